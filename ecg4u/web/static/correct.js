"use strict";
/* Correcting a reading: names, redrawn stretches, corners and scale, on the photo itself. */
const SVG = "http://www.w3.org/2000/svg";
const LEADS = ["I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6"];
const COLOURS = ["#0072b2", "#d55e00", "#009e73", "#a0408a"];
const CORNERS = ["Top left", "Top right", "Bottom right", "Bottom left"];
const LEAST_MOVE_PX = 2;
const NAME_PX = 13;
const fix = { id: null, page: null, picture: null, zoom: 1, tool: "names", segment: null };

function make(tag, attributes = {}, ...inside) {
  const svg = ["path", "text", "g", "image", "polygon", "line", "circle", "polyline"].includes(tag);
  const node = svg ? document.createElementNS(SVG, tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...inside);
  return node;
}

/* Opening */

async function openFix() {
  try {
    if (fix.id !== state.id) await loadFix();
    show("fix");
    chooseTool(fix.tool);
    fitPage();
  } catch (trouble) {
    window.alert(`${trouble.message || t("This page cannot be corrected.")} ${trouble.hint || ""}`);
  }
}

async function loadFix() {
  const [view, picture] = await Promise.all([ask(`/v1/ecg/${state.id}/page`), ask(`/v1/ecg/${state.id}/page.webp`)]);
  for (const answer of [view, picture]) if (!answer.ok) throw await problem(answer);
  if (fix.picture) URL.revokeObjectURL(fix.picture);
  Object.assign(fix, { id: state.id, page: await view.json(), picture: URL.createObjectURL(await picture.blob()), segment: null });
  clearFix();
}

function clearFix() {
  Object.assign(fix, { names: {}, redraw: [], corners: null, drawn: [], cross: null });
  drawPage();
  listNames();
  listSegments();
  listStretches();
  fillScale();
  $("fix-first").hidden = state.ids.length < 2;
  counted();
}

/* The page */

const points = (line) => line.map((p, i) => (p ? `${i && line[i - 1] ? "L" : "M"}${p[0]} ${p[1]}` : "")).join("");
const unit = () => Math.max(fix.page.page.width, fix.page.page.height) / 1000;
const segmentOf = (id) => fix.page.segments.find((segment) => segment.id === id);
const nameOf = (segment) => (segment.id in fix.names ? fix.names[segment.id] : segment.lead);
const placeOf = (segment) => `row ${segment.row}, ${segment.start_s.toFixed(1)} to ${(segment.start_s + segment.duration_s).toFixed(1)} s`;

function drawPage() {
  const { width, height } = fix.page.page;
  const ink = $("ink");
  ink.setAttribute("viewBox", `0 0 ${width} ${height}`);
  ink.replaceChildren(make("image", { href: fix.picture, width, height, preserveAspectRatio: "none" }));
  fix.page.segments.forEach((segment, i) => {
    const first = segment.polyline.find(Boolean) || [segment.box[0], segment.box[1]];
    const group = make("g", { class: "found", "data-id": segment.id, stroke: COLOURS[i % 4], fill: COLOURS[i % 4] },
      make("path", { d: points(segment.polyline), class: "reach" }),
      make("path", { d: points(segment.polyline), class: "line" }),
      make("text", { x: first[0], y: Math.max(segment.box[1] - 4 * unit(), 40 * unit()) }, nameOf(segment) || "–"));
    group.addEventListener("click", () => pick(segment.id));
    ink.append(group);
  });
  ink.append(make("polygon", { id: "outline", class: "outline" }), make("line", { id: "top", class: "top" }));
  ink.append(make("g", { id: "kept" }), make("polyline", { id: "pen", class: "pen" }), make("path", { id: "cross", class: "cross" }));
  drawCorners();
}

function pick(id) {
  fix.segment = id;
  for (const group of document.querySelectorAll("#ink .found")) group.classList.toggle("picked", group.dataset.id === id);
  for (const row of $("names").children) row.classList.toggle("picked", row.dataset.id === id);
  if (fix.tool === "names") {
    const row = [...$("names").children].find((item) => item.dataset.id === id);
    row.scrollIntoView({ block: "nearest" });
    const select = row.querySelector("select");
    if (document.activeElement !== select) select.focus({ preventScroll: true });
  }
  if (fix.tool === "trace") { $("segment").value = id; zoomTo(id); }
}

/* Zoom: by buttons, two fingers, or Ctrl and wheel */

function setZoom(zoom, at = null) {
  const sheet = $("sheet");
  const box = sheet.getBoundingClientRect();
  const [x, y] = at ? [at[0] - box.left, at[1] - box.top] : [sheet.clientWidth / 2, sheet.clientHeight / 2];
  const before = [(sheet.scrollLeft + x) / $("photo").offsetWidth, (sheet.scrollTop + y) / $("photo").offsetHeight];
  fix.zoom = Math.min(Math.max(zoom, wholeZoom()), 12);
  $("photo").style.width = `${100 * fix.zoom}%`;
  $("ink").style.fontSize = `${(NAME_PX * fix.page.page.width) / $("photo").offsetWidth}px`;
  sheet.scrollLeft = before[0] * $("photo").offsetWidth - x;
  sheet.scrollTop = before[1] * $("photo").offsetHeight - y;
}

/* The zoom at which all of the page is in view; 1 fills the width. */
function wholeZoom() {
  const { maxHeight, paddingTop, paddingLeft } = getComputedStyle($("sheet"));
  const { width, height } = fix.page.page;
  const room = [$("sheet").clientWidth - 2 * parseFloat(paddingLeft), parseFloat(maxHeight) - 2 * parseFloat(paddingTop) - 2];
  return Math.min(1, (room[1] / room[0]) * (width / height)) || 1;
}

function fitPage() { setZoom(wholeZoom()); $("sheet").scrollTo(0, 0); }

function zoomTo(id) {
  const [x0, y0, x1, y1] = segmentOf(id).box;
  const { width } = fix.page.page;
  const sheet = $("sheet");
  const share = Math.max((x1 - x0) / width, ((y1 - y0) / width) * (sheet.clientWidth / sheet.clientHeight));
  setZoom(0.85 / Math.max(share, 0.05));
  const scale = $("photo").offsetWidth / width;
  sheet.scrollLeft = ((x0 + x1) / 2) * scale - sheet.clientWidth / 2;
  sheet.scrollTop = ((y0 + y1) / 2) * scale - sheet.clientHeight / 2;
}

function toPage(event) {
  const box = $("ink").getBoundingClientRect();
  const { width, height } = fix.page.page;
  return [((event.clientX - box.left) / box.width) * width, ((event.clientY - box.top) / box.height) * height];
}

const fingers = new Map();
let pinch = null;
let drawing = false;

function pinchState() {
  const [a, b] = [...fingers.values()];
  return { x: (a[0] + b[0]) / 2, y: (a[1] + b[1]) / 2, apart: Math.max(Math.hypot(a[0] - b[0], a[1] - b[1]), 1) };
}

$("sheet").addEventListener("pointerdown", (event) => {
  if (event.target.closest(".corner") || (event.pointerType === "mouse" && event.button !== 0)) return;
  fingers.set(event.pointerId, [event.clientX, event.clientY]);
  if (fingers.size === 2) {
    pinch = pinchState();
    if (drawing) { fix.drawn.length = drawing.from; drawing = false; drawPen(); }
  } else if (fix.tool === "trace" && fix.segment && fingers.size === 1 && event.target.closest("#ink")) {
    drawing = { from: fix.drawn.length, x: event.clientX, y: event.clientY };
    addPoint(toPage(event));
    $("sheet").setPointerCapture(event.pointerId);
    event.preventDefault();
  }
});
$("sheet").addEventListener("pointermove", (event) => {
  if (!fingers.has(event.pointerId)) return;
  fingers.set(event.pointerId, [event.clientX, event.clientY]);
  if (pinch && fingers.size === 2) {
    const now = pinchState();
    setZoom((fix.zoom * now.apart) / pinch.apart, [now.x, now.y]);
    $("sheet").scrollLeft -= now.x - pinch.x;
    $("sheet").scrollTop -= now.y - pinch.y;
    pinch = now;
  } else if (drawing && Math.hypot(event.clientX - drawing.x, event.clientY - drawing.y) >= LEAST_MOVE_PX) {
    Object.assign(drawing, { x: event.clientX, y: event.clientY });
    addPoint(toPage(event));
  }
});
for (const kind of ["pointerup", "pointercancel", "pointerleave"]) {
  $("sheet").addEventListener(kind, (event) => {
    if (kind === "pointerleave" && drawing) return;
    fingers.delete(event.pointerId);
    if (fingers.size < 2) pinch = null;
    if (!fingers.size) drawing = false;
  });
}
$("sheet").addEventListener("wheel", (event) => {
  if (!event.ctrlKey) return;
  event.preventDefault();
  setZoom(fix.zoom * Math.exp(-event.deltaY / 300), [event.clientX, event.clientY]);
}, { passive: false });

/* Names */

function listNames() {
  $("names").replaceChildren(...fix.page.segments.map((segment) => {
    const select = make("select", { id: `name-${segment.id}` }, ...LEADS.map((lead) => new Option(lead, lead)), new Option(t("leave out"), ""));
    select.value = nameOf(segment) || "";
    select.addEventListener("focus", () => pick(segment.id));
    select.addEventListener("change", () => rename(segment, select.value || null));
    const label = make("label", { for: select.id }, t("Row {}, {} s", segment.row, segment.start_s.toFixed(1)));
    const words = { layout: "by its place", physiology: "by its signal" }[segment.named_by];
    const doubt = words ? make("span", { class: "quiet" }, words) : "";
    return make("li", { "data-id": segment.id }, label, select, doubt);
  }));
  sayTwice();
}

function rename(segment, lead) {
  if (lead === segment.lead) delete fix.names[segment.id];
  else fix.names[segment.id] = lead;
  document.querySelector(`#ink [data-id="${segment.id}"] text`).textContent = lead || "–";
  sayTwice();
  listSegments();
  counted();
}

function sayTwice() {
  const seen = fix.page.segments.filter((segment) => !segment.rhythm).map(nameOf).filter(Boolean);
  const twice = [...new Set(seen.filter((lead, i) => seen.indexOf(lead) !== i))];
  $("twice").hidden = twice.length === 0;
  $("twice").textContent = twice.length ? t("More than one trace is called {}.", twice.join(", ")) : "";
}

/* Redrawing */

function listSegments() {
  const chosen = fix.segment;
  $("segment").replaceChildren(new Option(t("choose a trace"), ""),
    ...fix.page.segments.map((segment) => new Option(`${nameOf(segment) || t("left out")} (${placeOf(segment)})`, segment.id)));
  $("segment").value = chosen || "";
}

function addPoint(point) {
  const { width, height } = fix.page.page;
  fix.drawn.push([Math.min(Math.max(point[0], 0), width), Math.min(Math.max(point[1], 0), height)].map((v) => Math.round(v * 10) / 10));
  drawPen();
}

function drawPen() {
  $("pen").setAttribute("points", fix.drawn.map((p) => p.join(" ")).join(" "));
  $("keep").disabled = $("blank").disabled = !unkept();
  if (unkept() === $("fix-go").disabled) counted();
  $("undo-point").disabled = fix.drawn.length === 0;
  const cross = fix.cross;
  const arm = (14 * unit()) / fix.zoom;
  $("cross").setAttribute("d", cross ? `M${cross[0] - arm} ${cross[1]}h${2 * arm}M${cross[0]} ${cross[1] - arm}v${2 * arm}` : "");
}

function keepStretch(blank) {
  const axis = sideways() ? 1 : 0;
  const along = fix.drawn.map((point) => point[axis]);
  const entry = blank
    ? { segment: fix.segment, points: null, x: [Math.min(...along), Math.max(...along)] }
    : { segment: fix.segment, points: fix.drawn };
  fix.redraw.push({ entry, shown: fix.drawn });
  Object.assign(fix, { drawn: [], cross: null });
  listStretches();
  counted();
}

/* Whether the rows run up or down in the picture: the top edge of the page says so. */
function sideways() {
  const [a, b] = fix.corners || fix.page.corners;
  return Math.abs(b[1] - a[1]) > Math.abs(b[0] - a[0]);
}

function listStretches() {
  $("kept").replaceChildren(...fix.redraw.map((item) => make("path", { d: points(item.shown), class: item.entry.points ? "redrawn" : "blanked" })));
  $("stretches").replaceChildren(...fix.redraw.map((item, i) => {
    const segment = segmentOf(item.entry.segment);
    const words = `${nameOf(segment) || "trace"} (${placeOf(segment)}): ${item.entry.points ? "redrawn" : "left out"} `;
    const remove = make("button", { type: "button", "aria-label": `Undo ${words}` }, t("Undo"));
    remove.addEventListener("click", () => { fix.redraw.splice(i, 1); listStretches(); counted(); });
    return make("li", {}, words, remove);
  }));
  drawPen();
}

function moveCross(dx, dy) {
  if (!fix.cross) {
    const [x0, y0, x1, y1] = segmentOf(fix.segment).box;
    fix.cross = fix.drawn.length ? [...fix.drawn[fix.drawn.length - 1]] : [x0 + (x1 - x0) / 4, (y0 + y1) / 2];
  }
  const step = (2 * unit()) / fix.zoom;
  fix.cross = [fix.cross[0] + dx * step, fix.cross[1] + dy * step];
  drawPen();
}

$("sheet").addEventListener("keydown", (event) => {
  if (fix.tool !== "trace" || !fix.segment) return;
  const move = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
  const far = event.shiftKey ? 10 : 1;
  if (move) moveCross(move[0] * far, move[1] * far);
  else if (event.key === "Enter" && fix.cross) { addPoint(fix.cross); say(`Point ${fix.drawn.length} set.`); }
  else if (event.key === "Backspace") takeBack();
  else return;
  event.preventDefault();
});

function takeBack() {
  fix.drawn.splice(-Math.max(1, Math.floor(fix.drawn.length / 10)));
  drawPen();
}

/* Corners */

function drawCorners() {
  const corners = fix.corners || fix.page.corners;
  const { width, height } = fix.page.page;
  $("outline").setAttribute("points", corners.map((p) => p.join(" ")).join(" "));
  const [a, b] = corners;
  for (const [name, value] of [["x1", a[0]], ["y1", a[1]], ["x2", b[0]], ["y2", b[1]]]) $("top").setAttribute(name, value);
  const box = $("corner-handles");
  if (!box.children.length) box.append(...CORNERS.map((_, i) => cornerHandle(i)));
  [...box.children].forEach((handle, i) => {
    const [x, y] = corners[i];
    handle.style.left = `${(100 * Math.min(Math.max(x, 0), width)) / width}%`;
    handle.style.top = `${(100 * Math.min(Math.max(y, 0), height)) / height}%`;
  });
}

function cornerHandle(i) {
  const handle = make("button", { type: "button", class: "handle corner", "aria-label": t(`${CORNERS[i]} corner; move with the arrow keys`) });
  handle.addEventListener("pointerdown", (event) => { handle.setPointerCapture(event.pointerId); event.preventDefault(); handle.focus({ preventScroll: true }); });
  handle.addEventListener("pointermove", (event) => { if (handle.hasPointerCapture(event.pointerId)) setCorner(i, toPage(event)); });
  handle.addEventListener("keydown", (event) => {
    const move = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (!move) return;
    event.preventDefault();
    const step = (event.shiftKey ? 20 : 4) * unit();
    const at = (fix.corners || fix.page.corners)[i];
    setCorner(i, [at[0] + move[0] * step, at[1] + move[1] * step]);
  });
  return handle;
}

function setCorner(i, point) {
  const { width, height } = fix.page.page;
  const corners = (fix.corners || fix.page.corners).map((corner) => [...corner]);
  corners[i] = [Math.min(Math.max(point[0], 0), width), Math.min(Math.max(point[1], 0), height)].map((v) => Math.round(v * 10) / 10);
  setCorners(corners);
}

function setCorners(corners) {
  fix.corners = corners;
  drawCorners();
  counted();
}

function turnCorners(quarter) {
  const now = fix.corners || fix.page.corners;
  setCorners(now.map((_, i) => now[(i - quarter + 4) % 4]));
}

/* Scale */

function foundGain(group) {
  const gain = fix.page.calibration.gain_mm_per_mv;
  return typeof gain === "object" ? gain[group] : gain;
}

function fillScale() {
  const form = $("scale");
  const [limb, chest] = [foundGain("limb"), foundGain("chest")];
  form.gain.value = limb;
  form.chest.value = chest === limb ? "" : chest;
  form.speed.value = fix.page.calibration.speed_mm_per_s;
  const names = fix.page.layouts.includes(fix.page.layout.name) ? fix.page.layouts : [fix.page.layout.name, ...fix.page.layouts];
  form.layout.replaceChildren(...names.map((name) => new Option(name, name)));
  form.layout.value = fix.page.layout.name;
  for (const name of ["age", "sex"]) form[name].value = $("options")[name].value;
}

function patient() {
  const said = given($("scale"));
  return Object.fromEntries(["age", "sex"].filter((name) => name in said).map((name) => [name, said[name]]));
}

function patientChanges() {
  return Object.fromEntries(Object.entries(patient()).filter(([name, value]) => String(value) !== $("options")[name].value));
}

function scaleChanges() {
  const form = $("scale");
  const said = {};
  const limb = Number(form.gain.value) || foundGain("limb");
  const chest = Number(form.chest.value) || limb;
  if (limb !== foundGain("limb") || chest !== foundGain("chest")) said.gain_mm_per_mv = limb === chest ? limb : { limb, chest };
  const speed = Number(form.speed.value);
  if (speed && speed !== fix.page.calibration.speed_mm_per_s) said.speed_mm_per_s = speed;
  if (form.layout.value !== fix.page.layout.name) said.layout = form.layout.value;
  return said;
}

/* All together */

function correction() {
  const said = { ...scaleChanges(), ...patientChanges() };
  if (Object.keys(fix.names).length) said.names = fix.names;
  if (fix.redraw.length) said.redraw = fix.redraw.map((item) => item.entry);
  if (fix.corners) said.corners = fix.corners;
  return said;
}

const say = (words) => { $("fix-said").textContent = words; };

const unkept = () => fix.drawn.length > 1 && fix.segment !== null;

function counted() {
  const said = correction();
  const single = Object.keys(said).filter((name) => name !== "names" && name !== "redraw").length;
  const n = single + Object.keys(fix.names).length + fix.redraw.length + unkept();
  $("fix-go").disabled = n === 0;
  say(n === 0 ? t("Nothing changed yet.") : n === 1 ? t("One correction.") : t("{} corrections.", n));
}

function chooseTool(tool) {
  fix.tool = tool;
  for (const input of document.querySelectorAll("[name=tool]")) input.checked = input.value === tool;
  for (const panel of document.querySelectorAll(".panel [data-tool]")) panel.hidden = panel.dataset.tool !== tool;
  $("fix").dataset.tool = tool;
  $("corner-handles").hidden = tool !== "corners";
  if (tool === "corners" || tool === "scale") fitPage();
  if (tool === "trace" && fix.segment) pick(fix.segment);
  drawPen();
}

async function compute() {
  if (unkept()) keepStretch(false);
  const said = patient();
  const body = JSON.stringify({ ...correction(), ...said });
  const path = `/v1/ecg/${state.id}/correct?wait=false`;
  await read(() => ask(path, { method: "POST", body, headers: { "Content-Type": "application/json" } }), "fix");
  if (document.body.dataset.view !== "result") return;
  for (const [name, value] of Object.entries(said)) $("options")[name].value = value;
}

async function backToFirst() {
  const later = state.ids.splice(1);
  state.id = state.ids[0];
  for (const id of later) await ask(`/v1/ecg/${id}`, { method: "DELETE" }).catch(() => null);
  try {
    await present();
  } catch (trouble) {
    window.alert(`${trouble.message} ${trouble.hint}`);
  }
}

$("correct").addEventListener("click", openFix);
for (const input of document.querySelectorAll("[name=tool]")) input.addEventListener("change", () => chooseTool(input.value));
$("segment").addEventListener("change", (event) => { if (event.target.value) { if (unkept()) keepStretch(false); fix.drawn = []; pick(event.target.value); drawPen(); } });
$("by-key").addEventListener("click", () => {
  if (!fix.segment) { $("segment").focus(); return; }
  $("sheet").focus();
  moveCross(0, 0);
});
$("undo-point").addEventListener("click", takeBack);
$("keep").addEventListener("click", () => keepStretch(false));
$("blank").addEventListener("click", () => keepStretch(true));
$("corners-left").addEventListener("click", () => turnCorners(-1));
$("corners-right").addEventListener("click", () => turnCorners(1));
$("corners-all").addEventListener("click", () => { const { width: w, height: h } = fix.page.page; setCorners([[0, 0], [w, 0], [w, h], [0, h]]); });
$("corners-found").addEventListener("click", () => setCorners(null));
$("scale").addEventListener("input", counted);
$("scale").addEventListener("submit", (event) => { event.preventDefault(); if (!$("fix-go").disabled) compute(); });
$("zoom-in").addEventListener("click", () => setZoom(fix.zoom * 1.5));
$("zoom-out").addEventListener("click", () => setZoom(fix.zoom / 1.5));
$("zoom-all").addEventListener("click", fitPage);
$("fix-go").addEventListener("click", compute);
$("fix-cancel").addEventListener("click", () => { clearFix(); show("result"); $("report").focus(); });
$("fix-first").addEventListener("click", backToFirst);
