"use strict";
(() => {
  const figure = document.getElementById("ecg");
  const panels = figure ? [...figure.querySelectorAll(".panel")] : [];
  const buttons = [...document.querySelectorAll(".sentence")];
  const mm = 25;

  function light(n, on) {
    if (!figure) return;
    for (const part of figure.querySelectorAll(`[data-n="${n}"]`)) part.classList.toggle("lit", on);
  }

  function places(button) {
    return button.dataset.places.split(";").map((place) => {
      const [lead, start, end] = place.split(",");
      return { lead, start: +start, end: +end };
    });
  }

  function panelOf(place) {
    const shows = panels.filter((p) =>
      (place.lead === "*" || p.dataset.lead === place.lead) &&
      +p.dataset.t0 < place.end && place.start < +p.dataset.t1);
    return shows[shows.length - 1];
  }

  function view(place) {
    const panel = panelOf(place);
    if (!panel) return null;
    const { t0, t1, x, top, bottom } = panel.dataset;
    const at = (t) => +x + (Math.min(Math.max(t, +t0), +t1) - t0) * mm;
    const middle = (at(place.start) + at(place.end)) / 2;
    const width = Math.max(at(place.end) - at(place.start) + 20, 50);
    const total = figure.viewBox.baseVal.width;
    const left = Math.min(Math.max(middle - width / 2, 0), Math.max(total - width, 0));
    return [left, +top - 1, Math.min(width, total), bottom - top + 3.5];
  }

  function lens(button) {
    const holder = document.getElementById(button.getAttribute("aria-controls"));
    const open = button.getAttribute("aria-expanded") === "true";
    for (const other of buttons) {
      if (other.getAttribute("aria-expanded") !== "true") continue;
      other.setAttribute("aria-expanded", "false");
      document.getElementById(other.getAttribute("aria-controls")).hidden = true;
      light(other.dataset.n, false);
    }
    if (open) return;
    button.setAttribute("aria-expanded", "true");
    light(button.dataset.n, true);
    if (!holder.firstChild) fill(holder, button);
    holder.hidden = false;
  }

  function fill(holder, button) {
    const seen = new Set();
    for (const place of places(button)) {
      const box = view(place);
      const panel = panelOf(place);
      if (!box || seen.has(panel) || seen.size === 4) continue;
      seen.add(panel);
      const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
      svg.setAttribute("viewBox", box.map((v) => v.toFixed(2)).join(" "));
      svg.setAttribute("class", "ecg");
      svg.setAttribute("role", "img");
      const when = `${place.start.toFixed(1)} to ${place.end.toFixed(1)} s`;
      const name = place.lead === "*" ? "all leads" : `lead ${panel.dataset.lead}`;
      svg.setAttribute("aria-label", `The cited place: ${name}, ${when}`);
      const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
      use.setAttribute("href", "#ecg-sheet");
      svg.append(use);
      const caption = document.createElement("p");
      caption.textContent = `${name[0].toUpperCase()}${name.slice(1)}, ${when}`;
      holder.append(svg, caption);
    }
  }

  function reveal(button) {
    const scroller = figure && figure.closest(".scroll");
    const box = view(places(button)[0]);
    if (!scroller || !box) return;
    const scale = figure.getBoundingClientRect().width / figure.viewBox.baseVal.width;
    scroller.scrollLeft = (box[0] + box[2] / 2) * scale - scroller.clientWidth / 2;
  }

  for (const button of buttons) {
    const n = button.dataset.n;
    const keep = () => button.getAttribute("aria-expanded") === "true";
    button.addEventListener("pointerenter", () => light(n, true));
    button.addEventListener("pointerleave", () => keep() || light(n, false));
    button.addEventListener("focus", () => light(n, true));
    button.addEventListener("blur", () => keep() || light(n, false));
    button.addEventListener("click", () => { lens(button); reveal(button); });
  }

  for (const choice of document.querySelectorAll("input[name=band]")) {
    choice.addEventListener("change", () => {
      for (const band of figure.querySelectorAll(".attribution")) {
        band.toggleAttribute("hidden", band.dataset.class !== choice.value);
      }
    });
  }

  const reading = document.getElementById("reading");
  const narrow = matchMedia("screen and (max-width: 40rem)").matches;
  /* On a phone the tracing comes first; the heading tells how many there are. */
  const conflicts = document.querySelector(".conflicts");
  if (conflicts && narrow) conflicts.open = false;
  if (reading && narrow) {
    const more = document.createElement("button");
    more.type = "button";
    more.className = "more screen-only";
    more.textContent = document.body.dataset.more;
    more.addEventListener("click", () => { reading.classList.remove("clipped"); more.remove(); });
    reading.classList.add("clipped");
    reading.append(more);
  }

  const all = document.getElementById("open-all");
  if (all) all.addEventListener("click", () => {
    const folds = [...document.querySelectorAll(".folded > details")];
    const open = folds.some((fold) => !fold.open);
    for (const fold of folds) fold.open = open;
    all.textContent = open ? document.body.dataset.close : document.body.dataset.open;
  });

  const toggle = document.getElementById("show-read");
  if (toggle) toggle.addEventListener("change", () => {
    document.querySelector(".page").classList.toggle("bare", !toggle.checked);
  });
})();
