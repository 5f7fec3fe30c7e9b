// Draws each frame together with its own points, and where both kinds are shown, a part of it magnified.

const RAW = "#ffb454";
const STEADY = "#45e6c8";
const SHADE = "rgb(0 0 0 / 0.45)";
const HELD_OPACITY = 0.4;
const WIDER = 1.8; // scale of raw strokes below stabilised ones
const INSET = 0.3; // side of an inset over the picture's width, and over its height at most .45
const SEEN = 0.28; // side of what an inset shows, over the face's width
const FOLLOWING = 0.08; // share of the way to the point that an inset's view moves in a frame
const REACH = 24; // px of the page within which a click chooses a point

export class Overlay {
  edges = [];
  people = [];
  landmark = 30; // in the middle of the insets
  #view = null; // { face, landmark, x, y, side } of the insets, px of the frame
  #drawn = null; // { faces, width, mirrored }
  #canvas;
  #context;

  constructor(canvas) {
    this.#canvas = canvas;
    this.#context = canvas.getContext("2d", { alpha: true });
  }

  // Landmark nearest to a click, px of the page from the canvas's corner; null if none is near.
  landmarkAt(x, y) {
    if (!this.#drawn) return null;
    const { faces, width, mirrored } = this.#drawn;
    const scale = this.#canvas.clientWidth / width;
    let [best, found] = [REACH, null];
    for (const { points } of faces) {
      for (let i = 0; i < points.length; i += 2) {
        const across = (mirrored ? width - 1 - points[i] : points[i]) + 0.5;
        const distance = Math.hypot(across * scale - x, (points[i + 1] + 0.5) * scale - y);
        if (distance < best) [best, found] = [distance, i / 2];
      }
    }
    return found;
  }

  clear() {
    this.#view = this.#drawn = null;
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
    this.#drawn = { faces, width, mirrored };
    const face = faces.find((each) => !each.held);
    if (show === "both" && face) this.#insets(picture, face, mirrored);
    else this.#view = null;
  }

  // Magnifies the surroundings of the chosen landmark: with raw points at the left, stabilised ones at the right.
  #insets(picture, face, mirrored) {
    const { width, height } = this.#canvas;
    const side = Math.round(Math.min(INSET * width, 0.45 * height));
    const view = this.#follow(face);
    const zoom = side / view.side;
    const context = this.#context;
    const insets = [["raw", face.rawPoints, RAW, 0], ["stabilised", face.points, STEADY, width - side]];
    for (const [name, points, colour, left] of insets) {
      context.save();
      context.setTransform(1, 0, 0, 1, left, height - side);
      context.beginPath();
      context.rect(0, 0, side, side);
      context.clip();
      context.fillStyle = "#000000";
      context.fill();
      context.translate(side / 2, side / 2);
      context.scale(mirrored ? -zoom : zoom, zoom);
      context.translate(-view.x, -view.y);
      context.drawImage(picture, 0, 0);
      context.translate(0.5, 0.5);
      this.#contours(points, colour, 1 / zoom, 0.5);
      context.setTransform(1, 0, 0, 1, left, height - side);
      context.strokeStyle = colour;
      context.lineWidth = 4;
      context.strokeRect(0, 0, side, side);
      this.#text(name, side / 2, 20 * this.#ratio, 13 * this.#ratio);
      context.restore();
    }
  }

  // View of the insets: it moves slowly, so that what shakes are the points.
  #follow(face) {
    const [x, y] = face.points.subarray(2 * this.landmark, 2 * this.landmark + 2);
    const side = SEEN * faceWidth(face.points);
    const before = this.#view;
    const known = before?.face === face.face && before.landmark === this.landmark;
    const near = known && Math.hypot(x - before.x, y - before.y) < side / 3;
    const to = (from, value) => (near ? from + FOLLOWING * (value - from) : value);
    this.#view = { face: face.face, landmark: this.landmark, x: to(before?.x, x), y: to(before?.y, y), side: known ? to(before.side, side) : side };
    return this.#view;
  }

  get #ratio() {
    return Math.min(devicePixelRatio, 2);
  }

  // Resizes the canvas to its size on the page; returns its px per px of the frame.
  #fit(frameWidth) {
    const ratio = this.#ratio;
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
    const size = 13 * this.#ratio / scale;
    const name = this.people[face.person] ?? `${face.face}`;
    this.#text(face.held ? `${name} held` : name, mirrored ? width - 1 - x : x, Math.max(Math.min(...ys) - size * 0.8, size), size);
    context.restore();
  }

  #text(text, x, y, size) {
    const context = this.#context;
    context.font = `600 ${size}px system-ui, sans-serif`;
    context.textAlign = "center";
    context.lineWidth = size / 4;
    context.strokeStyle = SHADE;
    context.strokeText(text, x, y);
    context.fillStyle = "#ffffff";
    context.fillText(text, x, y);
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
