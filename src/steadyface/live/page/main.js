// Controls and states of the page.

import { Figures } from "./figures.js";
import { Link } from "./link.js";
import { Overlay } from "./overlay.js";
import { Pipeline } from "./pipeline.js";
import { Recorder } from "./recorder.js";
import { Source } from "./source.js";
import { Trace } from "./trace.js";

const byId = (id) => document.getElementById(id);
const video = byId("video");
const link = new Link();
const source = new Source(video);
const pipeline = new Pipeline(link);
const overlay = new Overlay(byId("overlay"));
export const figures = new Figures();
const trace = new Trace(byId("trace"), byId("scale"));
const recorder = new Recorder(link);

const PATIENCE = 700; // ms without a face before the page says so
const NOTICES = {
  idle: ["Choose a source", "Use the webcam, open a video or play the sample. You can also drop a file here."],
  fetching: ["Making the sample", "A portrait before a moving camera, rendered once."],
  asking: ["Allow the camera", "The browser asks for your permission."],
  denied: ["Camera not allowed", "Allow it next to the address of this page and try again, or open a video."],
  missing: ["No camera found", "Connect one and try again, or open a video."],
  busy: ["Camera cannot be read", "Another program may be using it. Close it and try again, or open a video."],
  unreadable: ["File cannot be played", "The browser plays MP4 (H.264), WebM and some other formats."],
  unplugged: ["Camera disconnected", "Connect it again, or open a video."],
  ended: ["End of the video", "Play it again or choose another source."],
  hidden: ["Paused in the background", "Tracking continues when this tab is visible again."],
};

let connected = false;
let resumes = false;
let lastSeconds = -Infinity;
let lastPresented = null;
let missed = 0;
let faceSeen = 0;
let kept = false; // whether the message says what became of a recording: the next connection leaves it

// ------------------------------------------------------------------------------------------- states

function notice(name) {
  byId("notice").hidden = name === null;
  document.body.dataset.state = name ?? "running";
  if (name !== null) [byId("notice-title").textContent, byId("notice-text").textContent] = NOTICES[name];
  update();
}

function update() {
  const active = source.name !== null;
  byId("stop").hidden = !active;
  byId("play").hidden = !source.isFile;
  byId("play").textContent = video.ended ? "Play again" : video.paused ? "Play" : "Pause";
  byId("camera").classList.toggle("primary", !active);
  byId("record").disabled = !recorder.running && !(active && connected && !video.ended);
  byId("record").setAttribute("aria-pressed", String(recorder.running));
  if (!recorder.running) byId("record").textContent = "Record";
  for (const id of ["stabilizer", "decoder"]) byId(id).disabled = !connected || recorder.running;
  byId("sample").disabled = !connected;
  byId("landmark").disabled = !overlay.edges.length;
}

function connection(state, text) {
  byId("connection").dataset.state = state;
  byId("connection").textContent = text;
  connected = state === "ready";
  document.body.toggleAttribute("data-lost", state === "lost");
  update();
}

function complain(text) {
  say(text);
  byId("message").dataset.state = "bad";
}

function say(text) {
  byId("message").textContent = text ?? "";
  byId("message").hidden = !text;
  byId("message").dataset.state = "good";
}

function caption(text) {
  byId("caption").textContent = text ?? "";
  byId("caption").hidden = !text;
}

// ------------------------------------------------------------------------------------------- source

async function open(begin, asking) {
  stop(asking);
  complain(null);
  try {
    await begin();
    byId("mirror").checked = !source.isFile;
    mirror();
    notice(null);
  } catch (error) {
    if (error.name === "AbortError") return; // the user chose another source in the meantime
    source.close();
    notice(reason(error));
  }
}

function reason(error) {
  const names = { NotAllowedError: "denied", NotFoundError: "missing", NotReadableError: "busy", OverconstrainedError: "missing" };
  if (error instanceof DOMException) return names[error.name] ?? "unreadable";
  if (!navigator.mediaDevices) return "missing";
  throw error;
}

function stop(next = "idle") {
  source.close();
  restart();
  overlay.clear();
  figures.clear();
  trace.clear();
  caption(null);
  notice(next);
}

function restart() {
  recorder.save();
  pipeline.forget();
  link.ask({ type: "restart" });
  lastSeconds = -Infinity;
  lastPresented = null;
  faceSeen = performance.now();
}

source.addEventListener("frame", ({ detail: { seconds, presented } }) => {
  if (document.hidden || !connected || !video.videoWidth) return;
  if (seconds <= lastSeconds) {
    if (!source.isFile || seconds === lastSeconds) return;
    restart();
    trace.clear();
  }
  if (lastPresented !== null) missed += Math.max(0, presented - lastPresented - 1);
  [lastSeconds, lastPresented] = [seconds, presented];
  byId("picture").style.setProperty("--ratio", video.videoWidth / video.videoHeight);
  pipeline.offer(video, seconds);
});
source.addEventListener("ended", () => {
  recorder.save();
  notice("ended");
});
source.addEventListener("unplugged", () => stop("unplugged"));
video.addEventListener("play", () => notice(null));
video.addEventListener("pause", update);
video.addEventListener("error", () => {
  if (source.name !== null) stop("unreadable");
});

document.addEventListener("visibilitychange", () => {
  if (source.name === null || video.ended) return;
  lastPresented = null;
  if (!document.hidden) {
    notice(null);
    if (source.isFile && resumes) video.play();
    return;
  }
  resumes = !video.paused;
  if (source.isFile) video.pause();
  notice("hidden");
});

byId("camera").addEventListener("click", () => open(() => source.openCamera(), "asking"));
byId("choose").addEventListener("click", () => byId("file").click());
byId("sample").addEventListener("click", () => open(() => source.openSample("sample.mp4"), "fetching"));
byId("file").addEventListener("change", ({ target }) => {
  const [file] = target.files;
  if (file) open(() => source.openFile(file));
  target.value = "";
});
byId("play").addEventListener("click", () => (video.paused ? video.play() : video.pause()));
byId("stop").addEventListener("click", () => stop());

document.addEventListener("dragover", (event) => {
  event.preventDefault();
  byId("picture").classList.add("dropping");
});
document.addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) byId("picture").classList.remove("dropping");
});
document.addEventListener("drop", (event) => {
  event.preventDefault();
  byId("picture").classList.remove("dropping");
  const [file] = event.dataTransfer.files;
  if (file) open(() => source.openFile(file));
});

// ------------------------------------------------------------------------------------------ answers

link.addEventListener("answer", ({ detail: answer }) => {
  const shot = pipeline.answered(answer.sequence);
  if (!shot) return;
  const show = document.querySelector("input[name=show]:checked").value;
  overlay.draw(shot, answer.faces, { show, mirrored: byId("mirror").checked });
  const drawn = performance.now();
  const dropped = answer.dropped + pipeline.dropped + missed;
  const { faces, milliseconds } = answer;
  byId("picture").classList.toggle("pointable", faces.length > 0);
  figures.add({ drawn, delay: drawn - shot.taken, sent: drawn - shot.sent, milliseconds, faces, dropped });
  trace.add(answer.faces, shot.seconds);
  if (answer.faces.some((face) => !face.held)) faceSeen = drawn;
  caption(drawn - faceSeen > PATIENCE ? "No face found" : null);
  recorder.count(answer.recorded);
});

link.addEventListener("ready", ({ detail }) => {
  overlay.edges = detail.edges;
  overlay.people = detail.people;
  fill(byId("stabilizer"), detail.stabilizers.map((name) => [name, name]), byId("stabilizer").value || detail.stabilizer);
  fill(byId("decoder"), detail.decoders.map((name) => [name, name]), byId("decoder").value || detail.decoder);
  fill(byId("landmark"), detail.names.map((name, i) => [i, name]), trace.landmark);
  pipeline.forget();
  lastSeconds = -Infinity;
  faceSeen = performance.now();
  if (!kept) complain(null);
  kept = false;
  connection("ready", "Connected");
  const chosen = [byId("stabilizer").value, byId("decoder").value];
  if (chosen.join() !== [detail.stabilizer, detail.decoder].join()) configure();
});

link.addEventListener("error", ({ detail: { message } }) => {
  complain(message);
  pipeline.release();
});

link.addEventListener("lost", () => gone("lost", "Not connected", "No answer from steadyface. Check that `steadyface live` is still running. Reconnecting."));
link.addEventListener("full", ({ detail }) => gone("full", "Too many tabs", `${detail.reason}.`));

function gone(state, text, problem) {
  const recording = recorder.lost();
  kept ||= recording !== "";
  pipeline.forget();
  overlay.clear();
  figures.clear();
  trace.clear();
  caption(null);
  connection(state, text);
  if (recording || !kept) complain(`${problem}${recording}`);
}

// ------------------------------------------------------------------------------------------ choices

function fill(select, options, chosen) {
  select.replaceChildren(...options.map(([value, text]) => new Option(text, value, false, String(value) === String(chosen))));
}

function configure() {
  link.ask({ type: "configure", stabilizer: byId("stabilizer").value, decoder: byId("decoder").value });
  trace.clear();
}

function mirror() {
  byId("picture").classList.toggle("mirrored", byId("mirror").checked);
}

byId("stabilizer").addEventListener("change", configure);
byId("decoder").addEventListener("change", configure);
byId("mirror").addEventListener("change", mirror);
byId("landmark").addEventListener("change", ({ target }) => point(Number(target.value)));
byId("axis").addEventListener("change", ({ target }) => {
  trace.axis = Number(target.value);
  trace.clear();
});
byId("picture").addEventListener("click", ({ clientX, clientY }) => {
  const box = byId("overlay").getBoundingClientRect();
  const landmark = overlay.landmarkAt(clientX - box.left, clientY - box.top);
  if (landmark !== null) point(landmark);
});

function point(landmark) {
  trace.landmark = overlay.landmark = landmark;
  byId("landmark").value = String(landmark);
  trace.clear();
}

// ---------------------------------------------------------------------------------------- recording

byId("record").addEventListener("click", () => {
  complain(null);
  if (recorder.running) recorder.save();
  else recorder.start(source.name);
});
recorder.addEventListener("change", update);
recorder.addEventListener("saved", ({ detail: { label, rows, problem, links } }) => {
  say(`Saved ${label}.csv, ${rows} ${rows === 1 ? "row" : "rows"}. Points are in px of the tracked frames, ${pipeline.size}.`);
  if (problem) complain(problem);
  byId("message").append(...links.flatMap((each) => [" ", each]));
});

if ("requestVideoFrameCallback" in HTMLVideoElement.prototype && "OffscreenCanvas" in window) {
  notice("idle");
  link.connect();
} else {
  complain("This browser cannot read single frames of a video. Use Chrome, Edge, Safari 16.4 or later, or Firefox 132 or later.");
}
