// A fit that runs: the page is fetched again each second, and what changed is put in its place, until it has ended.
"use strict";

const SECOND = 1000;

async function follow() {
  const job = document.querySelector("[data-running]");
  if (!job) return;
  try {
    const response = await fetch(location.href);
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    const next = page.querySelector("[data-running]");
    if (!response.ok || !next) return location.reload();
    job.querySelector(".stage").textContent = next.querySelector(".stage").textContent; // read out only when it changes
    for (const part of [".job progress", ".job dl", ".job .curve", ".job .key"]) change(job, next, part);
  } catch {
    // the line is down for a moment: the next second may have it
  }
  setTimeout(follow, SECOND);
}

function change(job, next, part) {
  const [before, after] = [job.querySelector(part), next.querySelector(part)];
  if (before && after) before.replaceWith(after);
  else if (after) job.querySelector(".job").append(after);
  else before?.remove();
}

setTimeout(follow, SECOND);
