// Draws each frame together with its own points.

const RAW = "#ffb454";
const STEADY = "#45e6c8";
const SHADE = "rgb(0 0 0 / 0.45)";
const HELD_OPACITY = 0.4;
const WIDER = 1.8; // scale of raw strokes below stabilised ones

export class Overlay {
  edges = [];
  #canvas;
  #context;

  constructor(canvas) {
    this.#canvas = canvas;
    this.#context = canvas.getContext("2d", { alpha: true });
  }

  clear() {
    this.#context.setTransform(1, 0, 0, 1, 0, 0);
    this.#context.clearRect(0, 0, this.#canvas.width, this.#canvas.height);
  }

  draw({ canvas: picture, width, height }, faces, { show, mirrored }) {
    const scale = this.#fit(width);
    const context = this.#context;
    if (mirrored) context.setTransform(-scale, 0, 0, scale, this.#canvas.width, 0);
    else context.setTransform(scale, 0, 0, scale, 0, 0);
    context.drawImage(picture, 0, 0, width, height);
    context.translate(0.5, 0.5); // pixel centres are at integers
    for (const face of faces) {
      context.globalAlpha = face.held ? HELD_OPACITY : 1;
      if (show !== "steady") this.#contours(face.rawPoints, RAW, 1 / scale, show === "both" ? WIDER : 1);
      if (show !== "raw") this.#contours(face.points, STEADY, 1 / scale, 1);
    }
    for (const face of faces) this.#label(face, width, scale, mirrored);
    context.globalAlpha = 1;
  }

  // Resizes the canvas to its size on the page; returns its px per px of the frame.
  #fit(frameWidth) {
    const ratio = Math.min(devicePixelRatio, 2);
    const [width, height] = [this.#canvas.clientWidth, this.#canvas.clientHeight].map((side) => Math.round(side * ratio));
    if (this.#canvas.width !== width || this.#canvas.height !== height) Object.assign(this.#canvas, { width, height });
    return width / frameWidth;
  }

  #contours(points, colour, pixel, wider) {
    const context = this.#context;
    const size = faceWidth(points);
    const thin = wider * Math.max(1.2 * pixel, size / 170);
    const lines = new Path2D();
    for (const [from, to] of this.edges) {
      lines.moveTo(points[2 * from], points[2 * from + 1]);
      lines.lineTo(points[2 * to], points[2 * to + 1]);
    }
    const dots = new Path2D();
    const radius = wider * Math.max(1.5 * pixel, size / 85);
    for (let i = 0; i < points.length; i += 2) {
      dots.moveTo(points[i] + radius, points[i + 1]);
      dots.arc(points[i], points[i + 1], radius, 0, 2 * Math.PI);
    }
    context.lineCap = "round";
    context.strokeStyle = SHADE;
    context.lineWidth = 2.4 * thin;
    context.stroke(lines);
    context.strokeStyle = context.fillStyle = colour;
    context.lineWidth = thin;
    context.stroke(lines);
    context.fill(dots);
  }

  #label(face, width, scale, mirrored) {
    const xs = face.points.filter((_, i) => i % 2 === 0);
    const ys = face.points.filter((_, i) => i % 2 === 1);
    const x = (Math.min(...xs) + Math.max(...xs)) / 2;
    const context = this.#context;
    context.save();
    context.setTransform(scale, 0, 0, scale, 0, 0);
    const size = 13 * Math.min(devicePixelRatio, 2) / scale;
    context.font = `600 ${size}px system-ui, sans-serif`;
    context.textAlign = "center";
    const text = face.held ? `${face.face} held` : `${face.face}`;
    const position = [mirrored ? width - 1 - x : x, Math.max(Math.min(...ys) - size * 0.8, size)];
    context.lineWidth = size / 4;
    context.strokeStyle = SHADE;
    context.strokeText(text, ...position);
    context.fillStyle = "#ffffff";
    context.fillText(text, ...position);
    context.restore();
  }
}

function faceWidth(points) {
  let [low, high] = [Infinity, -Infinity];
  for (let i = 0; i < points.length; i += 2) {
    low = Math.min(low, points[i]);
    high = Math.max(high, points[i]);
  }
  return high - low;
}
