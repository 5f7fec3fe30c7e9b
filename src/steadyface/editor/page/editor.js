"use strict";

// A frame of the clip with its points. The page holds the list of corrections; the server carries them.

const byId = (id) => document.getElementById(id);
const svg = byId("picture"), image = svg.querySelector("image"), grips = svg.querySelector("g");
const GRIP = 4;  // px of the screen: radius of a point
const MARGIN = 0.4;  // of a face's size around it, in its view

let clip = null;
let faces = [];
let corrections = [];
let carried = "[]", saved = "[]";  // lists as the server and the file have them
let carrying = false;

const chosen = () => clip.frames[Number(byId("place").value)];
const shown = () => Number(svg.dataset.frame);  // behind the chosen one while that is read
const list = () => JSON.stringify(corrections);

async function ask(path, method = "GET", body = undefined) {
  const answer = await fetch(path, { method, body }).catch(() => {
    throw new Error("steadyface correct has ended: start it again");
  });
  const value = await answer.json();
  if (!answer.ok) throw new Error(value.error);
  return value;
}

function tell(text) {
  const count = new Set(corrections.map((one) => `${one.frame} ${one.face} ${one.point}`)).size;
  byId("said").textContent = text ?? (count ? `${count} ${count === 1 ? "correction" : "corrections"}${list() === saved ? ", saved" : ""}` : "");
  byId("undo").disabled = !count;
  byId("save").disabled = carrying || list() === saved;
}

// Shows the chosen frame, or that chosen in the meantime.
async function show() {
  const wanted = chosen(), picture = new Image();
  byId("clock").textContent = `frame ${wanted}, ${clip.seconds[Number(byId("place").value)].toFixed(2)} s`;
  picture.src = `frames/${wanted}.jpg`;
  try {
    const [found] = await Promise.all([ask(`faces/${wanted}`), picture.decode()]);
    if (wanted !== chosen()) return;
    faces = found;
    image.setAttribute("href", picture.src);
    for (const name of ["width", "height"]) image.setAttribute(name, picture[name]);
    svg.dataset.frame = wanted;
    draw();
  } catch (error) {
    if (wanted === chosen()) tell(error.message);
  }
}

function draw() {
  if (svg.classList.contains("dragged")) return;
  const view = byId("view"), before = view.value;
  const options = faces.map((one) => new Option(one.name || `face ${one.face}`, one.face));
  view.replaceChildren(view.options[0], ...options);
  view.value = faces.some((one) => String(one.face) === before) ? before : "";
  svg.setAttribute("viewBox", boxOf(faces.find((one) => String(one.face) === view.value)).join(" "));
  const scale = svg.getScreenCTM().a;
  const own = new Map(corrections.filter((one) => one.frame === shown()).map((one) => [`${one.face} ${one.point}`, one]));
  grips.replaceChildren(...faces.flatMap((one) => one.points.map(([x, y], point) => {
    const correction = own.get(`${one.face} ${point}`);
    const grip = document.createElementNS(svg.namespaceURI, "circle");
    const attributes = { cx: correction?.x ?? x, cy: correction?.y ?? y, r: GRIP / scale };
    for (const [name, value] of Object.entries(attributes)) grip.setAttribute(name, value);
    Object.assign(grip.dataset, { face: one.face, point });
    grip.classList.toggle("corrected", Boolean(correction));
    const title = document.createElementNS(svg.namespaceURI, "title");
    title.textContent = clip.names[point];
    grip.append(title);
    return grip;
  })));
}

// Rectangle to show: x, y, width, height in px of the frame, whose centres are whole numbers.
function boxOf(face) {
  const [width, height] = ["width", "height"].map((name) => Number(image.getAttribute(name)));
  if (!face) return [-0.5, -0.5, width, height];
  const [xs, ys] = [0, 1].map((axis) => face.points.map((point) => point[axis]));
  const [left, top] = [Math.min(...xs), Math.min(...ys)];
  const [wide, high] = [Math.max(...xs) - left, Math.max(...ys) - top];
  const margin = MARGIN * Math.max(wide, high);
  return [left - margin, top - margin, wide + 2 * margin, high + 2 * margin];
}

// Lets the server carry the list, and again if it has changed meanwhile.
async function carry() {
  tell();
  if (carrying) return;
  carrying = true;
  try {
    while (carried !== list()) {
      tell("carrying …");
      const sent = list();
      await ask("corrections", "PUT", sent);
      carried = sent;
    }
    carrying = false;
    tell();
  } catch (error) {
    carrying = false;
    corrections = JSON.parse(carried);
    tell(error.message);
  }
  await show();
}

letDrag(svg, (grip) => {
  grip.classList.add("corrected");
  const [face, point] = [Number(grip.dataset.face), Number(grip.dataset.point)];
  const [x, y] = ["cx", "cy"].map((name) => Number(Number(grip.getAttribute(name)).toFixed(2)));
  corrections.push({ frame: shown(), face, point, x, y });
  carry();
}, draw);

function go(steps) {
  const place = byId("place");
  place.value = Number(place.value) + steps;
  show();
}

byId("place").addEventListener("input", show);
byId("view").addEventListener("change", draw);
byId("back").addEventListener("click", () => go(-1));
byId("forth").addEventListener("click", () => go(1));
byId("undo").addEventListener("click", () => { corrections.pop(); carry(); });
byId("save").addEventListener("click", async () => {
  const sent = list();
  try {
    const { path } = await ask("save", "POST");
    saved = sent;
    tell(`saved in ${path}`);
    byId("save").disabled = true;
  } catch (error) {
    tell(error.message);
  }
});
addEventListener("keydown", (event) => {
  if (!["ArrowLeft", "ArrowRight"].includes(event.key) || event.target.matches("select")) return;
  event.preventDefault();
  go((event.key === "ArrowLeft" ? -1 : 1) * (event.shiftKey ? 10 : 1));
});
addEventListener("resize", () => { if (faces.length) draw(); });
addEventListener("beforeunload", (event) => { if (list() !== saved) event.preventDefault(); });

ask("clip").then((about) => {
  clip = about;
  corrections = about.corrections;
  carried = list();
  saved = about.saved ? carried : null;
  byId("place").max = clip.frames.length - 1;
  document.title = `${clip.name}: corrections`;
  tell();
  show();
}, (error) => tell(error.message));
