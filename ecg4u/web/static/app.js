"use strict";
const $ = (id) => document.getElementById(id);
/* Texts in the page's language, by the English; each {} is one of the values. */
const TEXTS = JSON.parse($("texts").textContent);
const t = (english, ...values) => (TEXTS[english] || english).replace(/\{\}/g, () => values.shift());
const POLL_MS = 200;
const PREVIEW_PX = 1400;
const CANVAS_PX = 16000000; /* more than this some phones give up silently */
const HEAVY_BYTES = 20000000;
const HEAVY_PX = 70000000;
const LEAST_PX = 1000;
const CHECK_PX = 400;
const DARK = 60;
const WASHED_OUT = 253;
const SCAN_LIGHT = 235; /* a scan is white all over, and rightly so */
const BLURRED = 0.16;
const state = { file: null, bitmap: null, turn: 0, crop: [0, 0, 1, 1], id: null, ids: [], token: "", after: "prepare" };

/* Views */

function show(view) {
  document.body.dataset.view = view;
  for (const part of document.querySelectorAll("[data-shown]")) part.hidden = part.dataset.shown !== view;
  $("result-tools").hidden = view !== "result";
  const heading = document.querySelector(`#${view} h1`);
  if (heading && view !== "start") heading.focus();
}

/* The address holds the result's number, so that reload and Back find it again while it is kept. */
function address(id) {
  const hash = id ? `#${id}` : "";
  if (location.hash !== hash) history.pushState(null, "", hash || location.pathname);
}

async function follow() {
  const id = location.hash.slice(1);
  if (!/^[\w-]{8,}$/.test(id)) return leave();
  if (id === state.id && document.body.dataset.view === "result") return undefined;
  const answer = await ask(`/v1/ecg/${id}`).catch(() => null);
  if (!answer || answer.status === 404) {
    $("trouble-heading").textContent = t("This result is no longer kept");
    $("trouble-message").textContent = t("Results are deleted after a while.");
    $("trouble-hint").textContent = t("Read the page again.");
    $("retry").hidden = true;
    show("trouble");
    return undefined;
  }
  await read(() => answer, "start");
  if (document.body.dataset.view === "result" && new URLSearchParams(location.search).has("fix")) openFix();
  return undefined;
}

function restart() {
  leave();
  address("");
}

function leave() {
  Object.assign(state, { file: null, bitmap: null, turn: 0, crop: [0, 0, 1, 1], id: null, ids: [] });
  $("report").srcdoc = "";
  $("file").value = $("camera").value = "";
  $("options").reset(); /* age and sex are the last patient's */
  show("start");
}

/* Requests */

async function ask(path, options = {}) {
  const headers = { ...(options.headers || {}) };
  if (state.token) headers.Authorization = `Bearer ${state.token}`;
  let answer;
  try {
    answer = await fetch(path, { ...options, headers, cache: "no-store" });
  } catch {
    throw { message: t("The service does not answer."), hint: t("Is it running, and is this device on its network?") };
  }
  if (answer.status === 401 && (await askToken())) return ask(path, options);
  return answer;
}

function askToken() {
  const dialog = $("token");
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      state.token = dialog.querySelector("input").value;
      resolve(dialog.returnValue === "go" && state.token !== "");
    }, { once: true });
    dialog.returnValue = "";
    dialog.showModal();
  });
}

async function problem(answer) {
  try {
    return (await answer.json()).error;
  } catch {
    return { message: t("The service gave an invalid answer."), hint: t("Try again.") };
  }
}

/* Choosing, turning, cropping */

async function choose(file) {
  if (!file) return;
  Object.assign(state, { file, bitmap: null, turn: 0, crop: [0, 0, 1, 1] });
  try {
    state.bitmap = await createImageBitmap(file, { imageOrientation: "from-image" });
  } catch { /* PDF, TIFF, HEIC: sent as they are */ }
  const shown = state.bitmap !== null;
  $("preview").hidden = $("crop").hidden = $("turning").hidden = !shown;
  $("no-preview").hidden = shown;
  $("prepare-heading").textContent = shown ? t("Crop to the ECG page and turn it upright") : t("Ready to read");
  $("photo-check").replaceChildren(...(shown ? flaws() : []).map((words) => {
    const item = document.createElement("li");
    item.textContent = words;
    return item;
  }));
  $("page-field").hidden = !/pdf$/i.test(file.type || file.name);
  show("prepare");
  if (shown) draw();
}

/* What will make the page hard to read, while another photo is still easy to take. */
function flaws() {
  const { width, height } = state.bitmap;
  if (Math.max(width, height) < LEAST_PX) return [t("This picture is small: a photo or scan with more pixels gives better results.")];
  const found = [];
  const light = brightness(turned(CHECK_PX));
  if (mean(light.values) < DARK) found.push(t("This picture is dark: take it again with more light."));
  if (glares(light)) found.push(t("Part of the page is washed out: avoid glare, switch the flash off."));
  if (cutOff(light)) found.push(t("An edge of the page may be cut off: all four edges should be in view."));
  if (sharpness() < BLURRED) found.push(t("This picture looks blurred: hold still and tap the page to focus."));
  return found;
}

const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;

function brightness(canvas) {
  const { width, height } = canvas;
  const { data } = canvas.getContext("2d").getImageData(0, 0, width, height);
  const values = new Float32Array(width * height);
  for (let i = 0; i < values.length; i += 1) values[i] = Math.max(data[4 * i], data[4 * i + 1], data[4 * i + 2]);
  return { values, width, height, data };
}

/* A patch so bright that neither grid nor ink is left in it, on a page that is not so bright elsewhere. */
function glares({ values, width, height }) {
  const tile = 20;
  let [flat, all] = [0, 0];
  for (let y = 0; y + tile <= height; y += tile) {
    for (let x = 0; x + tile <= width; x += tile) {
      let least = 255;
      for (let dy = 0; dy < tile; dy += 1) for (let dx = 0; dx < tile; dx += 1) least = Math.min(least, values[(y + dy) * width + x + dx]);
      flat += least >= WASHED_OUT;
      all += 1;
    }
  }
  return mean(values) < SCAN_LIGHT && flat / all > 0.03;
}

/* Grid and paper run on to the border of the photo on one side, while on another the table shows. */
function cutOff({ values, width, height }) {
  const paper = [...values].sort((a, b) => a - b)[Math.round(values.length * 0.8)];
  const share = (side) => side.filter((value) => value > 0.85 * paper).length / side.length;
  const across = (y) => Array.from({ length: width }, (_, x) => values[y * width + x]);
  const down = (x) => Array.from({ length: height }, (_, y) => values[y * width + x]);
  const sides = [across(1), across(height - 2), down(1), down(width - 2)].map(share);
  return Math.max(...sides) > 0.9 && Math.min(...sides) < 0.3;
}

/* How much of the fine detail a slight blur would take: little where the picture is blurred already. */
function sharpness() {
  const { width, height } = state.bitmap;
  const side = Math.min(512, width, height);
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = side;
  canvas.getContext("2d").drawImage(state.bitmap, (width - side) / 2, (height - side) / 2, side, side, 0, 0, side, side);
  const { values } = brightness(canvas);
  let [near, far] = [0, 0];
  for (let y = 0; y < side; y += 1) {
    for (let x = 0; x + 8 < side; x += 1) {
      const i = y * side + x;
      near += Math.abs(values[i + 1] - values[i]);
      far += Math.abs(values[i + 8] - values[i]);
    }
  }
  return far > 0 ? near / far : 1;
}

function turned(longest) {
  const { width, height } = state.bitmap;
  const scale = Math.min(1, longest / Math.max(width, height), Math.sqrt(CANVAS_PX / (width * height)));
  const [w, h] = [Math.round(width * scale), Math.round(height * scale)];
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = state.turn % 2 ? [h, w] : [w, h];
  const pen = canvas.getContext("2d");
  pen.fillStyle = "#fff";
  pen.fillRect(0, 0, canvas.width, canvas.height);
  pen.translate(canvas.width / 2, canvas.height / 2);
  pen.rotate((state.turn * Math.PI) / 2);
  pen.drawImage(state.bitmap, -w / 2, -h / 2, w, h);
  return canvas;
}

function draw() {
  const canvas = turned(PREVIEW_PX);
  const preview = $("preview");
  [preview.width, preview.height] = [canvas.width, canvas.height];
  preview.getContext("2d").drawImage(canvas, 0, 0);
  place();
}

function place() {
  const { offsetWidth: w, offsetHeight: h } = $("preview");
  const [x0, y0, x1, y1] = state.crop;
  Object.assign($("crop").style, {
    left: `${x0 * w}px`, top: `${y0 * h}px`, width: `${(x1 - x0) * w}px`, height: `${(y1 - y0) * h}px`,
  });
}

function turn(quarter) {
  state.turn = (state.turn + quarter + 4) % 4;
  state.crop = [0, 0, 1, 1];
  draw();
}

function moveCorner(handle, x, y) {
  const right = handle.dataset.x === "1";
  const below = handle.dataset.y === "1";
  const [x0, y0, x1, y1] = state.crop;
  const least = 0.1;
  const clamp = (v, a, b) => Math.min(Math.max(v, a), b);
  state.crop = [
    right ? x0 : clamp(x, 0, x1 - least), below ? y0 : clamp(y, 0, y1 - least),
    right ? clamp(x, x0 + least, 1) : x1, below ? clamp(y, y0 + least, 1) : y1,
  ];
  place();
}

function corner(handle) {
  return [state.crop[handle.dataset.x === "1" ? 2 : 0], state.crop[handle.dataset.y === "1" ? 3 : 1]];
}

for (const handle of document.querySelectorAll(".handle")) {
  handle.addEventListener("pointerdown", (event) => {
    handle.setPointerCapture(event.pointerId);
    event.preventDefault();
    handle.focus();
  });
  handle.addEventListener("pointermove", (event) => {
    if (!handle.hasPointerCapture(event.pointerId)) return;
    const box = $("preview").getBoundingClientRect();
    moveCorner(handle, (event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height);
  });
  handle.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (!step) return;
    event.preventDefault();
    const [x, y] = corner(handle);
    moveCorner(handle, x + step[0] * 0.01, y + step[1] * 0.01);
  });
}

function touched() {
  return state.turn !== 0 || state.crop.some((v, i) => v !== [0, 0, 1, 1][i]);
}

/* More than the service takes: sent smaller, which is still far finer than the grid. */
function heavy() {
  return state.file.size > HEAVY_BYTES || state.bitmap.width * state.bitmap.height > HEAVY_PX;
}

async function prepared() {
  if (!state.bitmap || !(touched() || heavy())) return state.file;
  const whole = turned(Infinity);
  const [x0, y0, x1, y1] = state.crop.map((v, i) => Math.round(v * (i % 2 ? whole.height : whole.width)));
  const part = document.createElement("canvas");
  [part.width, part.height] = [x1 - x0, y1 - y0];
  part.getContext("2d").drawImage(whole, x0, y0, x1 - x0, y1 - y0, 0, 0, x1 - x0, y1 - y0);
  const type = state.file.type === "image/png" && !heavy() ? "image/png" : "image/jpeg";
  const blob = await new Promise((resolve) => part.toBlob(resolve, type, 0.95));
  return blob || state.file;
}

/* Reading */

function given(form) {
  const said = {};
  for (const [name, value] of new FormData(form)) {
    if (value !== "") said[name] = name === "sex" ? value : Number(value);
  }
  return said;
}

function progress(stage, ahead = 0) {
  const items = [...$("stages").children];
  const at = items.findIndex((item) => item.dataset.stage === stage);
  items.forEach((item, i) => {
    item.classList.toggle("done", i < at || stage === "done");
    item.classList.toggle("now", i === at);
    if (i === at) item.setAttribute("aria-current", "step");
    else item.removeAttribute("aria-current");
  });
  const before = ahead === 1 ? t("one page ahead") : t("{} pages ahead", ahead);
  const words = at < 0 ? "" : `${items[at].textContent}${ahead ? `: ${before}` : ""}`;
  if ($("said").textContent !== words) $("said").textContent = words;
}

async function read(send, after) {
  state.after = after;
  forgetEarly();
  show("working");
  progress("upload");
  try {
    let answer = await send();
    for (let tries = 0; answer.status === 503 && tries < 20; tries += 1) {
      progress("waiting");
      await sleep(1000 * Math.min(Number(answer.headers.get("Retry-After")) || 5, 30));
      answer = await send();
    }
    if (!answer.ok) throw await problem(answer);
    let path = answer.headers.get("Location");
    while (answer.status === 202) {
      const { stage, ahead, page, summary } = await answer.json();
      progress(stage, ahead);
      await showEarly(path, page, summary);
      await sleep($("early-page").hidden ? POLL_MS : 2 * POLL_MS);
      answer = await ask(path);
    }
    if (!answer.ok) throw await problem(answer);
    state.id = path.split("/").pop();
    if (!state.ids.includes(state.id)) state.ids.push(state.id);
    await present();
  } catch (trouble) {
    $("trouble-message").textContent = trouble.message || t("Something went wrong.");
    $("trouble-hint").textContent = trouble.hint || "";
    $("trouble-heading").textContent = after === "fix" ? t("This correction did not work") : t("This could not be read");
    $("retry").hidden = false;
    $("retry").textContent = after === "fix" ? t("Back to the correction") : t("Back to the page");
    show("trouble");
  }
}

/* The traces as soon as they are found, then the classes: the reasons take longest. */
const EARLY_KINDS = ["urgent", "class", "normal", "none", "unreadable"];

async function showEarly(path, page, summary) {
  if (page && $("early-page").hidden) {
    $("early-page").hidden = false;
    const answers = await Promise.all([ask(`${path}/page`), ask(`${path}/page.webp`)]);
    if (answers.every((answer) => answer.ok)) drawEarly(await answers[0].json(), await answers[1].blob());
  }
  const lines = summary.filter((line) => EARLY_KINDS.includes(line.kind));
  if (!lines.length || !$("early-summary").hidden) return;
  $("early-summary").replaceChildren(...lines.map((line) => {
    const item = document.createElement("li");
    item.textContent = [t(line.title), line.certainty && `(${t(line.certainty)})`].filter(Boolean).join(" ");
    return item;
  }));
  $("early-summary").hidden = false;
}

function drawEarly(view, picture) {
  const { width, height } = view.page;
  state.early = URL.createObjectURL(picture);
  $("early").setAttribute("viewBox", `0 0 ${width} ${height}`);
  $("early").replaceChildren(
    make("image", { href: state.early, width, height, preserveAspectRatio: "none" }),
    ...view.segments.map((segment, i) => make("path", { d: points(segment.polyline), stroke: COLOURS[i % COLOURS.length] })));
}

function forgetEarly() {
  if (state.early) URL.revokeObjectURL(state.early);
  state.early = null;
  $("early").replaceChildren();
  $("early-summary").replaceChildren();
  $("early-page").hidden = $("early-summary").hidden = true;
}

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function present() {
  const answer = await ask(`/v1/ecg/${state.id}/report`);
  if (!answer.ok) throw await problem(answer);
  progress("done");
  $("report").srcdoc = await answer.text();
  address(state.id);
  show("result");
  $("report").focus();
}

async function upload() {
  const said = given($("options"));
  if ($("page-field").hidden) delete said.page;
  said.exports = ["pdf"];
  const body = new FormData();
  body.append("image", await prepared(), "page");
  body.append("options", JSON.stringify(said));
  return ask("/v1/ecg?wait=false", { method: "POST", body });
}

async function download(button) {
  const path = `/v1/ecg/${state.id}${button.dataset.get ? `/${button.dataset.get}` : ""}`;
  const answer = await ask(path);
  if (!answer.ok) {
    const trouble = await problem(answer);
    window.alert(`${trouble.message} ${trouble.hint}`);
    return;
  }
  const link = document.createElement("a");
  link.href = URL.createObjectURL(await answer.blob());
  link.download = button.dataset.name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  $("downloads").open = false;
}

async function forget() {
  for (const id of state.ids) await ask(`/v1/ecg/${id}`, { method: "DELETE" }).catch(() => null);
  restart();
}

async function example() {
  const answer = await ask("/static/example.jpg");
  if (answer.ok) choose(new File([await answer.blob()], "example.jpg", { type: "image/jpeg" }));
}

/* Wiring */

for (const id of ["file", "camera"]) $(id).addEventListener("change", (event) => choose(event.target.files[0]));
$("left").addEventListener("click", () => turn(-1));
$("right").addEventListener("click", () => turn(1));
$("whole").addEventListener("click", () => { state.crop = [0, 0, 1, 1]; place(); });
$("back").addEventListener("click", restart);
$("restart").addEventListener("click", restart);
$("again").addEventListener("click", restart);
$("home").addEventListener("click", (event) => { event.preventDefault(); restart(); });
$("retry").addEventListener("click", () => { show(state.after); if (state.after === "prepare" && state.bitmap) place(); });
$("forget").addEventListener("click", forget);
$("example").addEventListener("click", example);
addEventListener("popstate", follow);
addEventListener("DOMContentLoaded", () => { if (location.hash.length > 1) follow(); });
$("print").addEventListener("click", () => $("report").contentWindow.print());
/* The browser would print as much of the report as the window shows. */
function printShortcut(event) {
  if (!(event.ctrlKey || event.metaKey) || event.key.toLowerCase() !== "p" || document.body.dataset.view !== "result") return;
  event.preventDefault();
  $("report").contentWindow.print();
}
addEventListener("keydown", printShortcut);
$("report").addEventListener("load", () => $("report").contentWindow.addEventListener("keydown", printShortcut));
$("options").addEventListener("submit", (event) => { event.preventDefault(); read(upload, "prepare"); });
for (const button of document.querySelectorAll("[data-get]")) button.addEventListener("click", () => download(button));
addEventListener("resize", () => { if (document.body.dataset.view === "prepare" && state.bitmap) place(); });

const drop = $("drop");
for (const kind of ["dragenter", "dragover"]) drop.addEventListener(kind, (event) => { event.preventDefault(); drop.classList.add("over"); });
for (const kind of ["dragleave", "drop"]) drop.addEventListener(kind, () => drop.classList.remove("over"));
drop.addEventListener("drop", (event) => { event.preventDefault(); choose(event.dataTransfer.files[0]); });
addEventListener("paste", (event) => { if (document.body.dataset.view === "start") choose(event.clipboardData.files[0]); });

if ("serviceWorker" in navigator && isSecureContext) navigator.serviceWorker.register("/sw.js").catch(() => null);
