// The site works without this file: forms post and redirect, links lead to pages.
// This script replaces the main part of the page in place, without loading a new page.
"use strict";

const main = document.getElementById("main");
const status_ = document.getElementById("status");
let turn = 0; // the last request wins

function say(text) {
  status_.textContent = text;
  status_.classList.add("shown");
  clearTimeout(say.timer);
  say.timer = setTimeout(() => status_.classList.remove("shown"), 2600);
}

async function show(response, mine) {
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  const next = page.getElementById("main");
  if (mine !== turn || !next) return false;
  main.replaceChildren(...next.childNodes);
  document.getElementById("my-link").replaceWith(page.getElementById("my-link"));
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

main.addEventListener("submit", async (event) => {
  const form = event.target;
  if (!form.matches("form[data-live]")) return;
  event.preventDefault();
  const button = event.submitter;
  const at = place(button);
  const mine = ++turn;
  const body = new URLSearchParams(new FormData(form));
  body.set(button.name, button.value);
  form.classList.add("busy");
  try {
    const response = await fetch(form.action, { method: "POST", body });
    if ([403, 409].includes(response.status) && (await show(response, mine))) return main.focus(); // the page says why, and what to do
    if (!response.ok) throw new Error(response.statusText);
    if (await show(response, mine)) {
      const now = new URL(response.url);
      if (now.pathname !== location.pathname) history.replaceState({}, "", now.pathname + now.search);
      back(at);
    }
    say(button.dataset.said || status_.dataset.saved);
  } catch {
    form.classList.remove("busy");
    say(status_.dataset.failed);
  }
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
      history.pushState({}, "", link.href);
      [...main.querySelectorAll("a[data-swap]")].find((one) => one.textContent === name)?.focus({ preventScroll: true });
    }
    say(link.dataset.said);
  } catch {
    location.href = link.href;
  }
});
addEventListener("popstate", () => location.reload());

// Reranking: every change requests the list at once; settings at their default stay out of the address.
async function rerank(form, control) {
  const mine = ++turn;
  const asked = new URLSearchParams([...new FormData(form)].filter(([, value]) => value !== "" && Number(value) !== 0));
  const address = form.getAttribute("action") + (asked.size ? `?${asked}` : "");
  try {
    const response = await fetch(address);
    if (!response.ok) return form.submit(); // loads the page with the error
    if (await show(response, mine)) {
      history.replaceState({}, "", address);
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

// Keyboard in the first-visit picker: arrows move between items, 1 to 5 rate the focused one, w marks it.
const STEPS = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: "row", ArrowUp: "-row" };
main.addEventListener("keydown", (event) => {
  const card = event.target.closest(".starters [data-item]");
  if (!card || event.altKey || event.ctrlKey || event.metaKey) return;
  const cards = [...card.parentElement.children];
  const now = cards.indexOf(card);
  if (event.key in STEPS) {
    const across = cards.findIndex((one) => one.offsetTop > cards[0].offsetTop);
    const step = STEPS[event.key] === "row" ? across : STEPS[event.key] === "-row" ? -across : STEPS[event.key];
    const target = cards[now + step];
    if (!target) return;
    event.preventDefault();
    target.querySelector("a").focus();
  }
  const mark = /^[1-5]$/.test(event.key) ? `button[value="${event.key}"]` : event.key.toLowerCase() === "w" ? "button.seen:not(.on)" : "";
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
