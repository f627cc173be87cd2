// The API's page works as a description without this file; with it, each route can be tried from its form.
"use strict";

const key = document.getElementById("api-key");
key.closest("p").hidden = false;

for (const form of document.querySelectorAll("form.try")) {
  form.hidden = false;
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (form.dataset.method === "DELETE" && !confirm(form.dataset.confirm)) return;
    send(form);
  });
}

// What a form asks for: parameters go where the description says they belong; an empty one is left out.
function request(form) {
  const query = new URLSearchParams();
  const headers = {};
  let path = form.getAttribute("action");
  for (const field of form.querySelectorAll("[data-in]")) {
    if (field.dataset.in === "path") {
      path = path.replace(`{${field.name}}`, field.value.split("/").map(encodeURIComponent).join("/"));
    } else if (field.value) {
      if (field.dataset.in === "query") query.append(field.name, field.value);
      else headers[field.name] = field.value;
    }
  }
  if (key.value) headers.Authorization = `Bearer ${key.value.trim()}`;
  const body = form.elements.body?.value;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const asked = query.toString();
  return [asked ? `${path}?${asked}` : path, { method: form.dataset.method, headers, body }];
}

async function send(form) {
  const [head, text] = form.querySelectorAll("output, pre");
  const [url, options] = request(form);
  const begun = performance.now();
  form.classList.add("busy");
  try {
    const answer = await fetch(url, options);
    const body = await answer.text();
    const milliseconds = Math.round(performance.now() - begun);
    head.textContent = `${options.method} ${url}: ${answer.status} ${answer.statusText}, ${milliseconds} ms`;
    text.textContent = pretty(body);
    text.hidden = !body;
  } catch (error) {
    head.textContent = String(error);
    text.hidden = true;
  } finally {
    form.classList.remove("busy");
  }
}

function pretty(body) {
  try {
    return JSON.stringify(JSON.parse(body), null, 1);
  } catch {
    return body;
  }
}
