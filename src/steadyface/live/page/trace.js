// Graph of one landmark's position over the last seconds, raw and stabilised.

const SECONDS = 4;
const LEAST_RANGE = 4; // px of the frame
const MARGIN = 4; // px of the page

export class Trace {
  landmark = 30;
  axis = 1; // 0 across, 1 down
  #canvas;
  #scale;
  #path = []; // { seconds, raw, steady }
  #face = null;

  constructor(canvas, scale) {
    this.#canvas = canvas;
    this.#scale = scale;
  }

  add(faces, seconds) {
    const face = faces.find((each) => each.face === this.#face && !each.held) ?? faces.find((each) => !each.held);
    if (!face) return;
    if (face.face !== this.#face) this.clear();
    this.#face = face.face;
    const at = 2 * this.landmark + this.axis;
    this.#path.push({ seconds, raw: face.rawPoints[at], steady: face.points[at] });
    while (this.#path[0].seconds < seconds - SECONDS) this.#path.shift();
    this.#draw(seconds);
  }

  clear() {
    this.#path = [];
    this.#face = null;
    this.#scale.textContent = "";
    this.#canvas.getContext("2d").clearRect(0, 0, this.#canvas.width, this.#canvas.height);
  }

  #draw(now) {
    const ratio = devicePixelRatio;
    const [width, height] = [this.#canvas.clientWidth, this.#canvas.clientHeight];
    if (this.#canvas.width !== Math.round(width * ratio)) this.#canvas.width = Math.round(width * ratio);
    if (this.#canvas.height !== Math.round(height * ratio)) this.#canvas.height = Math.round(height * ratio);
    const values = this.#path.flatMap(({ raw, steady }) => [raw, steady]);
    const [low, high] = [Math.min(...values), Math.max(...values)];
    const range = Math.max(high - low, LEAST_RANGE);
    const across = (seconds) => width * (1 - (now - seconds) / SECONDS);
    const down = (value) => MARGIN + ((value - (low + high - range) / 2) / range) * (height - 2 * MARGIN);
    const context = this.#canvas.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    context.lineJoin = "round";
    for (const [name, thickness] of [["raw", 1.5], ["steady", 2]]) {
      context.beginPath();
      for (const point of this.#path) context.lineTo(across(point.seconds), down(point[name]));
      context.strokeStyle = getComputedStyle(this.#canvas).getPropertyValue(`--${name}`);
      context.lineWidth = thickness;
      context.stroke();
    }
    this.#scale.textContent = `${range.toFixed(1)} px range`;
  }
}
