// Measurements beside the picture.

const REFRESH = 250; // ms
const DELAYS = 5000; // ms over which quantiles of the delay are taken
const byId = (id) => document.getElementById(id);

export class Figures {
  #answers = []; // { drawn, delay, milliseconds, filterDelay }
  #jitter = { raw: NaN, steady: NaN };
  #dropped = 0;

  constructor() {
    setInterval(() => this.#write(), REFRESH);
  }

  add({ drawn, delay, milliseconds, faces, dropped }) {
    const face = faces.find((each) => !each.held);
    this.#answers.push({ drawn, delay, milliseconds, filterDelay: face?.filterDelay ?? NaN });
    while (this.#answers[0].drawn < drawn - DELAYS) this.#answers.shift();
    this.#jitter = { raw: face?.jitterRaw ?? NaN, steady: face?.jitter ?? NaN };
    this.#dropped = dropped;
  }

  clear() {
    this.#answers = [];
    this.#jitter = { raw: NaN, steady: NaN };
  }

  #read() {
    const now = performance.now();
    const late = this.#answers.filter(({ drawn }) => drawn > now - DELAYS);
    const sorted = (name) => late.map((each) => each[name]).filter(Number.isFinite).sort((a, b) => a - b);
    const delays = sorted("delay");
    return {
      computing: quantile(sorted("milliseconds"), 0.5),
      filter: quantile(sorted("filterDelay"), 0.5),
      rate: this.#answers.filter(({ drawn }) => drawn > now - 1000).length,
      delay: quantile(delays, 0.5),
      delay95: quantile(delays, 0.95),
      dropped: this.#dropped,
      ...this.#jitter,
    };
  }

  #write() {
    const { rate, delay, delay95, computing, filter, dropped, raw, steady } = this.#read();
    const running = this.#answers.length > 0;
    put("rate", running ? String(rate) : null);
    put("dropped", running ? String(dropped) : null);
    put("delay", round(delay, 0), "ms");
    put("delay95", round(delay95, 0), "ms");
    put("computing", round(computing, 1), "ms");
    put("filter-delay", round(filter, 2), "frames");
    put("jitter-raw", round(raw, 2), "%");
    put("jitter", round(steady, 2), "%");
  }
}

function quantile(sorted, ratio) {
  return sorted.length ? sorted[Math.min(sorted.length - 1, Math.floor(ratio * sorted.length))] : NaN;
}

function round(value, digits) {
  return Number.isFinite(value) ? value.toFixed(digits).replace(/^-(0\.?0*)$/, "$1") : null;
}

function put(id, text, unit = "") {
  const element = byId(id);
  const wanted = text === null ? "–" : unit ? `${text} ${unit}` : text;
  if (element.textContent === wanted) return;
  element.textContent = text === null ? "–" : text;
  if (text !== null && unit) {
    const small = document.createElement("small");
    small.textContent = ` ${unit}`;
    element.append(small);
  }
}
