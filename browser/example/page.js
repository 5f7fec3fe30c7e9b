/** The page: a webcam or a file, and the tracked points drawn on it. */

import * as ort from "onnxruntime-web";
import { Tracker } from "../index.js";

const LONGEST = 1280; // px: a larger picture is drawn smaller
const RECENT = 30; // frames over which the rate is averaged
const PROVIDERS = { webgpu: "WebGPU", wasm: "WebAssembly" };
const RAW = "#ffb454";
const STEADY = "#45e6c8";

const element = (id) => document.getElementById(id);
const canvas = element("picture");
const pencil = canvas.getContext("2d", { willReadFrequently: true });

ort.env.wasm.wasmPaths = new URL("../node_modules/onnxruntime-web/dist/", location.href).href;
ort.env.logLevel = "error";

let tracker;
let source = null; // an image, or a video that plays
let running = Promise.resolve();
let turn = 0; // counts what was asked for: frames of an older source end at a newer one
let wake = () => {}; // ends the wait for a frame

/** Do one thing once the last has ended; an error is shown. */
function start(action) {
  const mine = ++turn;
  wake();
  running = running.then(() => action(mine)).catch((error) => say(error.message));
}

element("model").addEventListener("change", () => start(openTracker));
element("camera").addEventListener("click", () => start((mine) => show(openCamera(), mine)));
element("file").addEventListener("change", ({ target: { files } }) => {
  if (files.length) start((mine) => show(openFile(files[0]), mine));
});
element("stop").addEventListener("click", () => start(close));
for (const id of ["steady", "raw"]) element(id).addEventListener("change", () => redraw());
start(openTracker);

/** Load the chosen network, and go on with what is open. */
async function openTracker(mine) {
  say("Loading …");
  tracker = await Tracker.load(ort, { model: element("model").value });
  say("Start the webcam, or choose a photograph or a clip.");
  tell();
  if (source) await follow(mine);
}

/** Close what is open and show something else. */
async function show(opening, mine) {
  await close();
  source = await opening;
  element("stop").hidden = false;
  await follow(mine);
}

/** Stop the camera and forget the picture. */
async function close() {
  source?.srcObject?.getTracks().forEach((track) => track.stop());
  source?.pause?.();
  source = null;
  element("stop").hidden = true;
}

/** Track and draw: a photograph once, a video until something else is asked for. */
async function follow(mine) {
  const [width, height] = [source.videoWidth ?? source.naturalWidth, source.videoHeight ?? source.naturalHeight];
  const scale = Math.min(1, LONGEST / Math.max(width, height));
  [canvas.width, canvas.height] = [Math.round(width * scale), Math.round(height * scale)];
  tracker.reset();
  if (source instanceof HTMLImageElement) return draw(await tracker.step(read(), 0));
  const ends = []; // of the last frames, ms
  let last = -Infinity;
  while (turn === mine) {
    const seconds = await nextFrame(source);
    if (seconds === null || seconds === last) continue;
    if (seconds < last) tracker.reset(); // a clip begins again
    last = seconds;
    draw(await tracker.step(read(), seconds));
    ends.push(performance.now());
    if (ends.length > RECENT) ends.shift();
    tell(ends.length > 1 ? (1000 * (ends.length - 1)) / (ends.at(-1) - ends[0]) : null);
  }
}

/** Time of the next frame, s; null if something else was asked for. */
function nextFrame(video) {
  return new Promise((resolve) => {
    wake = () => resolve(null);
    const isLive = video.srcObject !== null; // whose times the browser need not tell
    video.requestVideoFrameCallback((now, { mediaTime }) => resolve(isLive ? now / 1000 : mediaTime));
  });
}

function read() {
  pencil.drawImage(source, 0, 0, canvas.width, canvas.height);
  return pencil.getImageData(0, 0, canvas.width, canvas.height);
}

let shown = []; // faces on the canvas

function draw(faces) {
  shown = faces;
  for (const face of faces) {
    pencil.globalAlpha = face.held ? 0.4 : 1;
    if (element("raw").checked) dots(face.rawPoints, RAW);
    if (element("steady").checked) dots(face.points, STEADY);
  }
  pencil.globalAlpha = 1;
  say(faces.length === 1 ? "1 face" : `${faces.length || "no"} faces`);
}

/** Draw again what a photograph shows; a video does so by itself. */
function redraw() {
  if (!(source instanceof HTMLImageElement)) return;
  read();
  draw(shown);
}

function dots(points, colour) {
  const radius = Math.max(1.5, canvas.width / 500);
  pencil.fillStyle = colour;
  for (let i = 0; i < points.length; i += 2) {
    pencil.beginPath();
    pencil.arc(points[i] + 0.5, points[i + 1] + 0.5, radius, 0, 2 * Math.PI); // centres at integers
    pencil.fill();
  }
}

/** Name the execution provider, and frames per second. */
function tell(rate = null) {
  const provider = PROVIDERS[tracker.landmarker.provider];
  element("figures").textContent = rate === null ? provider : `${provider}, ${rate.toFixed(1)} frames/s`;
}

function say(text) {
  element("message").textContent = text;
}

async function openCamera() {
  const stream = await navigator.mediaDevices.getUserMedia({ video: { width: { ideal: LONGEST } } });
  return play({ srcObject: stream });
}

async function openFile(file) {
  const src = URL.createObjectURL(file);
  try {
    if (file.type.startsWith("video")) return await play({ src, loop: true });
    const image = new Image();
    image.src = src;
    await image.decode();
    return image;
  } catch {
    throw new Error(`${file.name} cannot be shown by this browser.`);
  }
}

async function play(properties) {
  const video = document.createElement("video");
  Object.assign(video, { muted: true, playsInline: true, ...properties });
  await video.play();
  return video;
}
