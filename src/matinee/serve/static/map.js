// The map without this file is a drawing of links that scrolls. With it: pan, zoom, titles on hover and by keyboard.
"use strict";

const frame = document.querySelector(".map-frame");
const map = frame.querySelector(".map");
const tip = frame.querySelector(".map-tip");
const now = document.querySelector(".map-now");
const names = map.querySelector(".names");
const [WIDTH, HEIGHT] = map.getAttribute("viewBox").split(" ").slice(2).map(Number);
const CLOSEST = 12; // times the whole map
const REACH = 22; // pixels from a dot within which it is meant
const NEAR = 2; // pixels of movement up to which a press is a click
const LETTER = 7.1;

const dots = [...map.querySelectorAll("a")].map((link) => {
  const circle = link.firstElementChild;
  const title = link.querySelector("title");
  const dot = { link, url: link.getAttribute("href"), x: Number(circle.getAttribute("cx")), y: Number(circle.getAttribute("cy")), title: title.textContent };
  circle.style.setProperty("--r", circle.getAttribute("r"));
  link.setAttribute("aria-label", dot.title);
  title.remove(); // else the browser's own tip covers ours
  return dot;
});
const view = { x: WIDTH / 2, y: HEIGHT / 2, scale: 1 }; // the point in the middle, and pixels a unit
const labels = [];
let chosen = null;
let pending = 0;

const whole = () => Math.min(map.clientWidth / WIDTH, map.clientHeight / HEIGHT);
const clamp = (value, low, high) => Math.min(high, Math.max(low, value));

function draw() {
  pending = 0;
  const [width, height] = [map.clientWidth / view.scale, map.clientHeight / view.scale];
  map.setAttribute("viewBox", `${view.x - width / 2} ${view.y - height / 2} ${width} ${height}`);
  map.style.setProperty("--u", 1 / view.scale);
  write(width, height);
  point();
}

function redraw() {
  pending ||= requestAnimationFrame(draw);
}

// Titles of what is in view, one's own and what was found first, then the best known; none covers another.
function write(width, height) {
  const inside = dots.filter((dot) => Math.abs(dot.x - view.x) < width / 2 && Math.abs(dot.y - view.y) < height / 2);
  const first = (dot) => dot === chosen || dot.link.matches(".own, .found");
  const wanted = [...inside.filter(first), ...inside.filter((dot) => !first(dot))];
  const most = clamp(Math.round((map.clientWidth * map.clientHeight) / 16000), 8, 60);
  const taken = [];
  let used = 0;
  for (const dot of wanted) {
    if (used === most) break;
    const text = dot.title.replace(/ \(\d{4}\)$/, "");
    const left = (dot.x - view.x) * view.scale + 8;
    const top = (dot.y - view.y) * view.scale - 8;
    const box = [left, top, left + LETTER * text.length, top + 16];
    if (box[2] > map.clientWidth / 2 || taken.some((other) => box[0] < other[2] && box[2] > other[0] && box[1] < other[3] && box[3] > other[1])) continue;
    taken.push(box);
    const label = (labels[used] ??= names.appendChild(document.createElementNS("http://www.w3.org/2000/svg", "text")));
    label.textContent = text;
    label.setAttribute("x", dot.x + 8 / view.scale);
    label.setAttribute("y", dot.y + 4 / view.scale);
    label.setAttribute("class", dot.link.matches(".own") ? "own" : "");
    used += 1;
  }
  labels.slice(used).forEach((label) => (label.textContent = ""));
}

function zoom(factor, x = 0, y = 0) { // x, y: pixels from the middle of what stays where it is
  const before = view.scale;
  view.scale = clamp(before * factor, whole(), whole() * CLOSEST);
  view.x = clamp(view.x + x / before - x / view.scale, 0, WIDTH);
  view.y = clamp(view.y + y / before - y / view.scale, 0, HEIGHT);
  redraw();
}

function reset() {
  Object.assign(view, { x: WIDTH / 2, y: HEIGHT / 2, scale: whole() });
  redraw();
}

// On a narrow screen the map begins with what is the visitor's, or was found, as large as the frame is high.
function begin() {
  reset();
  const high = map.clientHeight / HEIGHT;
  if (high < 1.3 * view.scale) return;
  const marked = dots.filter((dot) => dot.link.matches(".own, .found"));
  const mean = (axis) => marked.reduce((sum, dot) => sum + dot[axis], 0) / marked.length;
  Object.assign(view, { scale: high }, marked.length ? { x: mean("x"), y: HEIGHT / 2 } : {});
}

function from(event) {
  const box = map.getBoundingClientRect();
  return [event.clientX - box.left - box.width / 2, event.clientY - box.top - box.height / 2];
}

function nearest(x, y) {
  let [best, least] = [null, REACH ** 2];
  for (const dot of dots) {
    const away = ((dot.x - view.x) * view.scale - x) ** 2 + ((dot.y - view.y) * view.scale - y) ** 2;
    if (away < least) [best, least] = [dot, away];
  }
  return best;
}

// The dot that is meant: its title stands beside it, and below the map for those who do not see it there.
function choose(dot, say) {
  chosen?.link.classList.remove("now");
  chosen = dot;
  chosen?.link.classList.add("now");
  if (say && dot) now.textContent = `${dot.title}${dot.link.matches(".own") ? " ★" : ""} · ${now.dataset.open}`;
  point();
}

function point() {
  tip.hidden = !chosen;
  if (!chosen) return;
  tip.textContent = chosen.title;
  const x = map.clientWidth / 2 + (chosen.x - view.x) * view.scale + 12;
  const y = map.clientHeight / 2 + (chosen.y - view.y) * view.scale + 12;
  tip.style.left = `${clamp(x, 4, Math.max(4, map.clientWidth - tip.offsetWidth - 4))}px`;
  tip.style.top = `${clamp(y, 4, Math.max(4, map.clientHeight - tip.offsetHeight - 4))}px`;
}

const pressed = new Map(); // the fingers on the map, or the mouse button
let moved = 0;
map.addEventListener("pointerdown", (event) => {
  if (event.button) return;
  pressed.set(event.pointerId, from(event));
  if (pressed.size === 1) moved = 0;
});
map.addEventListener("pointermove", (event) => {
  const to = from(event);
  const at = pressed.get(event.pointerId);
  if (!at) return event.pointerType === "mouse" ? choose(nearest(...to), false) : undefined;
  moved += Math.hypot(to[0] - at[0], to[1] - at[1]);
  if (moved > NEAR && !map.hasPointerCapture(event.pointerId)) map.setPointerCapture(event.pointerId);
  const other = [...pressed].find(([id]) => id !== event.pointerId)?.[1];
  pressed.set(event.pointerId, to);
  if (other) {
    const apart = (point) => Math.hypot(point[0] - other[0], point[1] - other[1]) || 1;
    zoom(apart(to) / apart(at), (to[0] + other[0]) / 2, (to[1] + other[1]) / 2);
  }
  view.x = clamp(view.x - (to[0] - at[0]) / view.scale / (other ? 2 : 1), 0, WIDTH);
  view.y = clamp(view.y - (to[1] - at[1]) / view.scale / (other ? 2 : 1), 0, HEIGHT);
  redraw();
});
for (const name of ["pointerup", "pointercancel"]) map.addEventListener(name, (event) => pressed.delete(event.pointerId));
map.addEventListener("pointerleave", () => pressed.size || document.activeElement === map || choose(null, false));

// By mouse a click opens the film that is pointed at; by touch the first tap shows its title, and the second opens it.
map.addEventListener("click", (event) => {
  event.preventDefault();
  if (moved > NEAR) return;
  const dot = nearest(...from(event));
  if (dot && (event.pointerType === "mouse" || dot === chosen)) location.href = dot.url;
  else choose(dot, true);
});
map.addEventListener("dragstart", (event) => event.preventDefault());
map.addEventListener("wheel", (event) => {
  event.preventDefault();
  zoom(Math.exp(-event.deltaY / 400), ...from(event));
}, { passive: false });
frame.querySelector(".map-zoom").addEventListener("click", (event) => {
  const factor = event.target.closest("[data-zoom]")?.dataset.zoom;
  if (factor === "0") reset();
  else if (factor) zoom(Number(factor));
});

// The nearest dot in the direction of an arrow: what lies aside counts twice.
function towards(dx, dy) {
  const start = chosen ?? { x: view.x, y: view.y };
  let [best, least] = [null, Infinity];
  for (const dot of dots) {
    const ahead = (dot.x - start.x) * dx + (dot.y - start.y) * dy;
    const aside = Math.abs((dot.x - start.x) * dy) + Math.abs((dot.y - start.y) * dx);
    const away = ahead + 2 * aside;
    if (dot !== chosen && ahead > 0 && away < least) [best, least] = [dot, away];
  }
  return best;
}

const ARROWS = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] };
map.addEventListener("keydown", (event) => {
  if (event.altKey || event.ctrlKey || event.metaKey) return;
  const { key } = event;
  if (key in ARROWS) {
    const dot = towards(...ARROWS[key]);
    if (dot) show(dot);
  } else if (key === "Enter" && chosen) location.href = chosen.url;
  else if (key === "+" || key === "=") zoom(1.6);
  else if (key === "-") zoom(0.625);
  else if (key === "0") reset();
  else if (key === "Escape") choose(null, false);
  else return;
  event.preventDefault();
});

// Choose a dot, and move the map if it is not in view.
function show(dot) {
  const [width, height] = [map.clientWidth / view.scale / 2, map.clientHeight / view.scale / 2];
  if (Math.abs(dot.x - view.x) > width * 0.85) view.x = dot.x;
  if (Math.abs(dot.y - view.y) > height * 0.85) view.y = dot.y;
  choose(dot, true);
  redraw();
}
for (const link of document.querySelectorAll("[data-dot]")) {
  const [x, y] = link.dataset.dot.split(",").map(Number);
  const dot = dots.find((one) => one.x === x && one.y === y && one.url === link.getAttribute("href"));
  for (const name of ["pointerenter", "focus"]) link.addEventListener(name, () => dot && show(dot));
}

frame.classList.add("live");
frame.removeAttribute("tabindex");
map.setAttribute("tabindex", "0");
names.replaceChildren();
for (const hidden of [frame.querySelector(".map-zoom"), document.getElementById("map-keys"), now]) hidden.hidden = false;
let fitted = 0; // pixels a unit when the whole map is in the frame; none before the first layout
new ResizeObserver(() => {
  const fits = whole();
  if (!fits) return;
  if (!fitted) begin();
  else view.scale = clamp((view.scale * fits) / fitted, fits, fits * CLOSEST);
  fitted = fits;
  redraw();
}).observe(map);
