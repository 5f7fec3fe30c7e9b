// WebSocket to the server: encodes frames, decodes answers (see messages.py), reconnects.

const FRAME_HEADER = 16;
const ANSWER_HEADER = 20;
const FACE_HEADER = 24;
const LANDMARKS = 68;
const FACE_BYTES = FACE_HEADER + 4 * LANDMARKS * 5;
const FULL = 1013; // close code: too many tabs
const SLOWEST_RETRY = 4000; // ms

export class Link extends EventTarget {
  #socket = null;
  #retry = 250;

  connect() {
    const socket = new WebSocket(`ws://${location.host}/live`);
    socket.binaryType = "arraybuffer";
    socket.onmessage = ({ data }) => this.#receive(data);
    socket.onclose = ({ code, reason }) => this.#lost(code, reason);
    this.#socket = socket;
  }

  get open() {
    return this.#socket?.readyState === WebSocket.OPEN;
  }

  ask(request) {
    if (this.open) this.#socket.send(JSON.stringify(request));
  }

  sendFrame({ sequence, seconds, width, height, jpeg }) {
    const message = new Uint8Array(FRAME_HEADER + jpeg.byteLength);
    const header = new DataView(message.buffer);
    header.setUint32(0, sequence, true);
    header.setFloat64(4, seconds, true);
    header.setUint16(12, width, true);
    header.setUint16(14, height, true);
    message.set(new Uint8Array(jpeg), FRAME_HEADER);
    this.#socket.send(message);
  }

  #receive(data) {
    if (typeof data === "string") {
      const message = JSON.parse(data);
      if (message.type === "ready") this.#retry = 250;
      this.#tell(message.type, message);
    } else {
      this.#tell("answer", readAnswer(data));
    }
  }

  #lost(code, reason) {
    this.#tell(code === FULL ? "full" : "lost", { reason });
    setTimeout(() => this.connect(), this.#retry);
    this.#retry = Math.min(2 * this.#retry, SLOWEST_RETRY);
  }

  #tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

function readAnswer(data) {
  const view = new DataView(data);
  const count = view.getUint32(8, true);
  const faces = Array.from({ length: count }, (_, i) => readFace(view, ANSWER_HEADER + i * FACE_BYTES));
  return {
    sequence: view.getUint32(0, true),
    dropped: view.getUint32(4, true),
    milliseconds: view.getFloat32(12, true),
    recorded: view.getUint32(16, true),
    faces,
  };
}

function readFace(view, start) {
  const floats = (skip, count) => new Float32Array(view.buffer, start + FACE_HEADER + 4 * skip, count);
  return {
    face: view.getUint32(start, true),
    held: view.getUint32(start + 4, true) !== 0,
    jitterRaw: view.getFloat32(start + 8, true),
    jitter: view.getFloat32(start + 12, true),
    filterDelay: view.getFloat32(start + 16, true),
    person: view.getInt32(start + 20, true),
    points: floats(0, 2 * LANDMARKS),
    rawPoints: floats(2 * LANDMARKS, 2 * LANDMARKS),
    scores: floats(4 * LANDMARKS, LANDMARKS),
  };
}
