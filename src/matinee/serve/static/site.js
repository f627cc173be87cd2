// The site works without this file: forms post and redirect, links lead to pages.
// This script replaces the main part of the page in place, without loading a new page.
"use strict";

const main = document.getElementById("main");
const status_ = document.getElementById("status");
let turn = 0; // the last request wins

function say(text, isSeen = false) { // isSeen: it stands beside what was done too
  status_.textContent = text;
  if (isSeen) return status_.classList.remove("shown");
  status_.classList.add("shown");
  clearTimeout(say.timer);
  say.timer = setTimeout(() => status_.classList.remove("shown"), 2600);
}

async function show(response, mine) {
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  const next = page.getElementById("main");
  if (mine !== turn || !next) return false;
  main.replaceChildren(...next.childNodes);
  reachFirst(main);
  document.querySelector("header nav").replaceChildren(...page.querySelector("header nav").childNodes); // who one is may have changed
  document.title = page.title;
  return true;
}

// What had the focus: a button of an item in a section. `back` focuses the same button again, or the nearest one.
function place(element) {
  const section = element.closest("section, article");
  const item = element.closest("[data-item]");
  return {
    section: section?.id,
    item: item?.dataset.item,
    value: element.value,
    order: item ? [...item.parentElement.children].indexOf(item) : -1,
  };
}

function back(at) {
  const section = (at.section && document.getElementById(at.section)) || main;
  const items = [...section.querySelectorAll("[data-item]")];
  const item = items.find((one) => one.dataset.item === at.item) || items[at.order];
  const target = (item || section).querySelector(`button[value="${CSS.escape(at.value)}"]`) || (item || section).querySelector("button, a");
  target?.focus({ preventScroll: true });
}

main.addEventListener("submit", (event) => {
  const form = event.target;
  if (!form.matches("form[data-live]")) return;
  event.preventDefault();
  const item = form.closest("[data-item], .yours");
  if (item && (item.matches("[data-item]") || event.submitter.matches(".later"))) mark(item, event.submitter);
  else send(form, event.submitter);
});

// A form outside of lists: its stars fill at once, then the page is replaced.
async function send(form, button) {
  const at = place(button);
  const mine = ++turn;
  const before = stars(form);
  if (isStars(button.value)) fill(form, button.value);
  form.classList.add("busy");
  try {
    const response = await post(form, button.value);
    if (await refused(response, mine)) return;
    if (await show(response, mine)) {
      const now = new URL(response.url);
      if (now.pathname !== location.pathname) remember("replaceState", now.pathname + now.search);
      back(at);
    }
    say(saidBy(button));
  } catch {
    form.classList.remove("busy");
    fill(form, before);
    say(status_.dataset.failed);
  }
}

function post(form, mark, next) {
  const body = new URLSearchParams(new FormData(form));
  body.set("mark", mark);
  if (next) body.set("next", next);
  return fetch(form.action, { method: "POST", body });
}

// Whether the answer is a page that says why not, and what to do; throws for any other failure.
async function refused(response, mine) {
  if ([403, 409].includes(response.status) && (await show(response, mine))) {
    main.focus();
    return true;
  }
  if (!response.ok) throw new Error(response.statusText);
  return false;
}

// Items of lists ---------------------------------------------------------
// A marked item stays where it is, filled, with Undo, until the next page; nothing slides under the pointer.
const FLAGS = { dismissed: "restored", restored: "dismissed" };
const kept = new WeakMap(); // of an item: its mark when the page came, the mark that is shown, and what is on its way

// What a button says that it did; the stars of an item have one text.
const saidBy = (button) =>
  button.dataset.said || button.closest(".stars")?.dataset.said.replace("{}", button.value) || status_.dataset.saved;
const isStars = (value) => Number(value) > 0;
const stars = (root) => root.querySelector('.stars [aria-pressed="true"]')?.value ?? "";

function fill(root, value) {
  for (const button of root.querySelectorAll(".stars button")) {
    button.setAttribute("aria-pressed", String(button.value === value));
    button.classList.toggle("on", isStars(value) && Number(button.value) <= Number(value));
  }
}

function stateOf(item) {
  if (!kept.has(item)) {
    const hidden = item.querySelector('button[value="restored"]') ? "dismissed" : "";
    const watched = item.querySelector('button[value="removed"]') ? status_.dataset.kind : "";
    const first = stars(item) || watched || hidden;
    kept.set(item, { first, shown: first, sent: Promise.resolve(), touched: false });
  }
  return kept.get(item);
}

function mark(item, button) {
  const state = stateOf(item);
  const value = button.value;
  if (button.matches(".later")) return keep(item, state, button);
  const before = { shown: state.shown, touched: state.touched, said: item.querySelector(".done span")?.textContent };
  const shown = { restored: "", removed: "" }[value] ?? value;
  if (shown === state.shown && button.className !== "undo") return say(saidBy(button));
  state.touched ||= !(value in FLAGS);
  draw(item, state, button.className === "undo" ? state.first : shown, saidBy(button));
  if (!button.isConnected || !button.offsetParent) item.querySelector(".done .undo, .stars button, button")?.focus({ preventScroll: true });
  say(saidBy(button), true);
  const form = item.querySelector("form.marks, form.hiding");
  state.sent = state.sent.then(async () => {
    try {
      const response = await post(form, value, "/my/link");
      if (await refused(response, turn)) return;
      document.getElementById("my-link").outerHTML = await response.text(); // our own server's
      if (item.closest("#start")) freshen(item.closest("section"));
    } catch {
      Object.assign(state, before);
      draw(item, state, before.shown, before.said);
      say(status_.dataset.failed);
    }
  });
}

// The bookmark: pressed and released in its place.
function keep(item, state, button) {
  const value = button.value;
  const press = (on) => {
    button.setAttribute("aria-pressed", String(on));
    button.value = on ? "unsaved" : "saved";
  };
  press(value === "saved");
  say(value === "saved" ? status_.dataset.kept : status_.dataset.unkept);
  state.sent = state.sent.then(async () => {
    try {
      const response = await post(button.form, value, "/my/link");
      if (!(await refused(response, turn))) await response.text(); // an answer that is not read holds its connection
    } catch {
      press(value !== "saved");
      say(status_.dataset.failed);
    }
  });
}

// An item as it is after a mark: what was done is said over it, beside the button that takes it back.
function draw(item, state, shown, said) {
  state.shown = shown;
  const form = item.querySelector("form.marks, form.hiding");
  fill(item, isStars(shown) ? shown : "");
  item.classList.toggle("marked", shown !== state.first);
  item.classList.toggle("dimmed", shown === "dismissed" || shown === "less");
  form.querySelector(".done")?.remove();
  if (shown === state.first) return void (state.touched = false);
  const back = state.first || (state.touched ? "removed" : FLAGS[shown] ?? "removed");
  const done = document.createElement("p");
  done.className = "done";
  const words = document.createElement("span");
  words.textContent = (said || "").slice((said || "").lastIndexOf(": ") + 1).trim();
  const undo = document.createElement("button");
  Object.assign(undo, { className: "undo", name: "mark", value: back, textContent: status_.dataset.undo });
  undo.setAttribute("aria-label", `${status_.dataset.undo}: ${said || ""}`);
  undo.dataset.said = status_.dataset.undone;
  done.append(words, undo);
  if (isStars(shown)) {
    const again = document.createElement("small");
    again.textContent = status_.dataset.again;
    done.append(again);
  }
  form.append(done);
}

// What follows the picker is made from its ratings: it is fetched again, unless somebody is using it.
let due;
function freshen(picker) {
  clearTimeout(due);
  due = setTimeout(async () => {
    const mine = ++turn;
    const response = await fetch(location.href).catch(() => null);
    if (!response?.ok) return;
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    const next = page.getElementById(picker.id);
    const later = [...picker.parentElement.children].slice([...picker.parentElement.children].indexOf(picker) + 1);
    if (mine !== turn || !next || !picker.isConnected || later.some((one) => one.matches(":hover, :focus-within, :has(.marked)"))) return;
    const call = picker.querySelector(".call");
    call.style.minHeight = `${call.offsetHeight}px`; // the cards below it stay where they are
    call.replaceChildren(...next.querySelector(".call").childNodes);
    picker.className = next.className;
    for (const one of later) one.remove();
    while (next.nextSibling) main.append(next.nextSibling);
    reachFirst(main);
  }, 350);
}

// By touch a tap gives a whole star, and a second tap on it half a star less: half a star is too narrow for a finger.
main.addEventListener("click", (event) => {
  const button = event.target.closest(".stars button");
  if (!button || event.pointerType !== "touch") return;
  const whole = Math.ceil(Number(button.value));
  const now = Number(stars(button.closest(".stars")));
  const wanted = now === whole ? whole - 0.5 : whole;
  if (Number(button.value) === wanted) return;
  event.preventDefault();
  button.closest(".stars").querySelector(`button[value="${wanted}"]`).click();
});

main.addEventListener("click", async (event) => {
  const link = event.target.closest("a[data-swap]");
  if (!link || event.metaKey || event.ctrlKey || event.shiftKey || event.button) return;
  event.preventDefault();
  const mine = ++turn;
  const name = link.textContent;
  try {
    const response = await fetch(link.href);
    if (!response.ok) throw new Error(response.statusText);
    if (await show(response, mine)) {
      remember("pushState", link.href);
      [...main.querySelectorAll("a[data-swap]")].find((one) => one.textContent === name)?.focus({ preventScroll: true });
    }
    say(link.dataset.said);
  } catch {
    location.href = link.href;
  }
});
// Back and forward: the page of that address, and never one as it was before something was rated or somebody logged out.
const here = () => location.pathname + location.search;
let shownAt = here();
function remember(how, url) {
  history[how]({}, "", url);
  shownAt = here();
}
addEventListener("popstate", () => shownAt !== here() && location.reload()); // a fragment of the same page leads to no other
addEventListener("pageshow", (event) => event.persisted && location.reload());

// Reranking: every change requests the list at once; settings at their default stay out of the address.
async function rerank(form, control) {
  const mine = ++turn;
  const atRest = (name) => form.elements[name].dataset?.rest ?? "";
  const asked = new URLSearchParams([...new FormData(form)].filter(([name, value]) => value !== "" && value !== atRest(name)));
  const address = form.getAttribute("action") + (asked.size ? `?${asked}` : "");
  try {
    const response = await fetch(address);
    if (!response.ok) return form.submit(); // loads the page with the error
    if (await show(response, mine)) {
      remember("replaceState", address);
      document.getElementById("rerank")?.setAttribute("open", "");
      const same = control && [...main.querySelectorAll("[data-rerank] input")].find((one) => one.name === control.name && (one.type !== "checkbox" || one.value === control.value));
      (same || main.querySelector("[data-rerank] button"))?.focus({ preventScroll: true });
    }
    say(form.dataset.said);
  } catch {
    form.submit();
  }
}
main.addEventListener("change", (event) => {
  const form = event.target.closest("form[data-rerank]");
  if (form) rerank(form, event.target);
});
main.addEventListener("submit", (event) => {
  if (!event.target.matches("form[data-rerank]")) return;
  event.preventDefault();
  rerank(event.target, null);
});

// Keyboard: a row is one stop of the Tab key, its card that was used last, and stars are one stop of the card. Arrows go
// from card to card, and among stars from star to star; 1 to 5 rate the card, w marks it, l keeps it for later.
const ROWS = ".grid, .firsts, .list, .ranked";
const STEPS = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: "down", ArrowUp: "up" };
const KEYS = { w: "button.seen:not(.on)", l: "button.later" };
const current = new WeakMap(); // of a row: its card that Tab reaches

function reach(row, card) {
  current.set(row, card);
  for (const one of row.children) {
    const stars = [...one.querySelectorAll(".stars button")];
    const star = stars.find((button) => button.getAttribute("aria-pressed") === "true") ?? stars[0];
    for (const control of one.querySelectorAll("a, button")) {
      control.tabIndex = one === card && (control === star || !control.matches(".stars button, h3 a, .thumb")) ? 0 : -1;
    }
  }
}

function reachFirst(root) {
  for (const row of root.querySelectorAll(ROWS)) if (!current.has(row)) reach(row, row.firstElementChild);
}
reachFirst(main);

main.addEventListener("focusin", (event) => {
  const card = event.target.closest("[data-item]");
  const row = card?.closest(ROWS);
  if (row && current.get(row) !== card) reach(row, card);
});

// The card that an arrow leads to: beside, above or below; past the end of a row, the next row's.
function neighbour(row, card, step) {
  const cards = [...row.children];
  const now = cards.indexOf(card);
  if (!isNaN(step)) return cards[now + step];
  const wide = cards.filter((one) => one.offsetTop === cards[0].offsetTop).length;
  const down = step === "down";
  const rows = [...main.querySelectorAll(ROWS)];
  return cards[now + (down ? wide : -wide)] ?? current.get(rows[rows.indexOf(row) + (down ? 1 : -1)]);
}

main.addEventListener("keydown", (event) => {
  const card = event.target.closest("[data-item]");
  const row = card?.closest(ROWS);
  if (!row || event.altKey || event.ctrlKey || event.metaKey) return;
  const step = STEPS[event.key];
  const star = event.target.closest(".stars button");
  const target = !step ? null : star && !isNaN(step) ? (step > 0 ? star.nextElementSibling : star.previousElementSibling) : neighbour(row, card, step);
  if (target) {
    event.preventDefault();
    (target.matches("button") ? target : target.querySelector("a:not(.thumb)"))?.focus();
  }
  const mark = /^[1-5]$/.test(event.key) ? `.stars button[value="${event.key}"]` : KEYS[event.key.toLowerCase()];
  if (mark) card.querySelector(mark)?.click();
});

// Suggestions -----------------------------------------------------------
const box = document.getElementById("q");
const list = document.getElementById("suggestions");
let asked = 0;
let waiting;

function close() {
  list.hidden = true;
  box.setAttribute("aria-expanded", "false");
  box.removeAttribute("aria-activedescendant");
}

async function suggest() {
  const mine = ++asked;
  const words = box.value.trim();
  if (!words) return close();
  try {
    const response = await fetch(`${box.form.action}/suggest?q=${encodeURIComponent(words)}`);
    const html = await response.text();
    if (mine !== asked || !response.ok) return;
    list.innerHTML = html; // our own server's, with every title escaped
    list.hidden = false;
    box.setAttribute("aria-expanded", "true");
    box.removeAttribute("aria-activedescendant");
    status_.textContent = list.firstElementChild.dataset.said; // for screen readers
  } catch {
    close();
  }
}

box.addEventListener("input", () => {
  clearTimeout(waiting);
  waiting = setTimeout(suggest, 60);
});
box.addEventListener("focus", () => box.value && suggest());
box.addEventListener("keydown", (event) => {
  const options = [...list.querySelectorAll("a[role=option]")];
  const now = options.findIndex((one) => one.getAttribute("aria-selected") === "true");
  if (event.key === "Escape") return close();
  if (event.key === "Enter" && now >= 0 && !list.hidden) {
    event.preventDefault();
    options[now].click();
  }
  if (!options.length || list.hidden || !["ArrowDown", "ArrowUp"].includes(event.key)) return;
  event.preventDefault();
  const next = (now + (event.key === "ArrowDown" ? 1 : -1) + options.length + (now < 0 && event.key === "ArrowUp" ? 1 : 0)) % options.length;
  options.forEach((one, n) => one.setAttribute("aria-selected", String(n === next)));
  box.setAttribute("aria-activedescendant", options[next].id);
});
addEventListener("click", (event) => event.target.closest(".search") || close());
box.form.addEventListener("focusout", (event) => event.relatedTarget && !box.form.contains(event.relatedTarget) && close());

// Chromium scrolls to the fragment but leaves the focus where it was.
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  main.focus();
});
