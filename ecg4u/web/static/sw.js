"use strict";
/* Keeps the page's shell, never a page of a patient: nothing under /v1 or /predict is touched. */
const SHELL = "ecg4u-shell-4";
const FILES = ["/", "/static/app.css", "/static/app.js", "/static/correct.js", "/static/icon.svg", "/manifest.webmanifest"];

self.addEventListener("install", (event) => {
  const requests = FILES.map((path) => new Request(path, { headers: { Accept: "text/html, */*" } }));
  event.waitUntil(caches.open(SHELL).then((cache) => cache.addAll(requests)).then(() => self.skipWaiting()));
});

self.addEventListener("activate", (event) => {
  event.waitUntil(caches.keys().then((names) =>
    Promise.all(names.filter((name) => name !== SHELL).map((name) => caches.delete(name)))));
});

self.addEventListener("fetch", (event) => {
  const url = new URL(event.request.url);
  const shell = event.request.method === "GET" && url.origin === location.origin && FILES.includes(url.pathname);
  if (!shell || (url.pathname === "/" && event.request.mode !== "navigate")) return;
  event.respondWith(fetch(event.request)
    .then((answer) => {
      if (answer.ok) { const copy = answer.clone(); caches.open(SHELL).then((cache) => cache.put(url.pathname, copy)); }
      return answer;
    })
    .catch(() => caches.match(url.pathname, { ignoreVary: true })));
});
