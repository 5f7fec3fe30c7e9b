/** The page: a file, a box drawn by hand, points; a clip is followed from frame to frame and made steady. */

import * as ort from "onnxruntime-web/wasm";
import { regionAroundBox } from "./crop.js";
import { Landmarker } from "./landmarker.js";
import { Stabilizer } from "./stabilizer.js";

const canvas = document.querySelector("#picture");
const pencil = canvas.getContext("2d", { willReadFrequently: true });
const said = document.querySelector("#said");
const steady = document.querySelector("#steady");

let picture = null; // the image or video that is open
let following = 0; // counts the boxes drawn: an older clip's frames stop at a newer one

ort.env.wasm.wasmPaths = new URL("node_modules/onnxruntime-web/dist/", location.href).href;
const landmarker = await Landmarker.load(ort, "model.onnx");
const stabilizer = new Stabilizer(await (await fetch("stabilizer.json")).json());
said.textContent = "Open a file.";

document.querySelector("#file").addEventListener("change", async ({ target }) => {
  following++;
  const url = URL.createObjectURL(target.files[0]);
  try {
    picture = await (target.files[0].type.startsWith("video") ? openVideo(url) : openImage(url));
  } catch {
    said.textContent = `${target.files[0].name} cannot be shown by this browser.`;
    return;
  }
  canvas.width = picture.videoWidth ?? picture.naturalWidth;
  canvas.height = picture.videoHeight ?? picture.naturalHeight;
  pencil.drawImage(picture, 0, 0);
  said.textContent = "Drag a box around the face.";
});

let start = null;
canvas.addEventListener("pointerdown", (event) => {
  following++;
  start = place(event);
});
canvas.addEventListener("pointermove", (event) => {
  if (!start || !picture) return;
  const [x, y] = place(event);
  pencil.drawImage(picture, 0, 0);
  pencil.strokeStyle = "#ffb454";
  pencil.strokeRect(start[0], start[1], x - start[0], y - start[1]);
});
canvas.addEventListener("pointerup", async (event) => {
  if (!start || !picture) return;
  const box = boxBetween(start, place(event));
  start = null;
  if (picture instanceof HTMLVideoElement) await follow(picture, regionAroundBox(box), following);
  else show(await landmarker.predict(read(picture), box));
});

/** From frame to frame: each region is the box of the points before it. */
async function follow(video, region, mine) {
  let state = null;
  let before = null;
  const next = async (now, { mediaTime }) => {
    const found = await landmarker.predictRegion(read(video), region);
    if (following !== mine) return;
    state = stabilizer.step(state, found.points, before === null ? undefined : mediaTime - before, found.scores);
    before = mediaTime;
    region = regionAroundBox(boxOf(found.points));
    show({ ...found, points: steady.checked ? state.points : found.points });
    video.requestVideoFrameCallback(next);
  };
  video.requestVideoFrameCallback(next);
  await video.play();
}

function read(source) {
  pencil.drawImage(source, 0, 0);
  return pencil.getImageData(0, 0, canvas.width, canvas.height);
}

function show({ points, scores }) {
  const radius = Math.max(1.5, canvas.width / 500);
  pencil.fillStyle = "#45e6c8";
  for (let l = 0; l < scores.length; l++) {
    pencil.beginPath();
    pencil.arc(points[2 * l] + 0.5, points[2 * l + 1] + 0.5, radius, 0, 2 * Math.PI); // centres at integers
    pencil.fill();
  }
  const mean = scores.reduce((sum, score) => sum + score) / scores.length;
  said.textContent = `68 points, mean score ${mean.toFixed(2)}`;
}

/** Where a pointer is, px of the picture. */
function place(event) {
  const { left, top, width, height } = canvas.getBoundingClientRect();
  const x = ((event.clientX - left) * canvas.width) / width - 0.5;
  const y = ((event.clientY - top) * canvas.height) / height - 0.5;
  return [x, y];
}

function boxBetween([x0, y0], [x1, y1]) {
  return [Math.min(x0, x1), Math.min(y0, y1), Math.max(x0, x1), Math.max(y0, y1)];
}

function boxOf(points) {
  const [xs, ys] = [0, 1].map((axis) => points.filter((_, i) => i % 2 === axis));
  return [Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)];
}

async function openImage(url) {
  const image = new Image();
  image.src = url;
  await image.decode();
  return image;
}

async function openVideo(url) {
  const video = document.createElement("video");
  Object.assign(video, { src: url, muted: true, playsInline: true });
  await new Promise((resolve, reject) => {
    video.addEventListener("loadeddata", resolve, { once: true });
    video.addEventListener("error", reject, { once: true });
  });
  return video;
}
