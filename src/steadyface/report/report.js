"use strict";

const UNITS = 1000, NONE = 65535;

// Unpacks series k of a block written by series.packed.
function unpack(block, count, k) {
  if (!block.codes) {
    const bytes = Uint8Array.from(atob(block.data), (letter) => letter.charCodeAt(0));
    block.codes = new Uint16Array(bytes.buffer);
  }
  const codes = block.codes.subarray(k * count, (k + 1) * count);
  return Float64Array.from(codes, (code) => (code === NONE ? NaN : block.low[k] + code * block.step[k]));
}

function ticks(low, high, wanted) {
  const step = (high - low) / wanted;
  if (!(step > 0)) return [low];
  const power = 10 ** Math.floor(Math.log10(step));
  const near = (factor) => Math.abs(Math.log((power * factor) / step));
  const best = power * [1, 2, 2.5, 5, 10].reduce((a, b) => (near(b) < near(a) ? b : a));
  const out = [];
  for (let k = Math.ceil(low / best - 1e-9); k <= high / best + 1e-9; k++) out.push(Number((k * best).toPrecision(10)));
  return out;
}

function redraw(chart, view, seconds, lines) {
  const known = lines.flatMap((line) => Array.from(line).filter((value) => value === value));
  let low = known.reduce((a, b) => Math.min(a, b), Infinity);
  let high = known.reduce((a, b) => Math.max(a, b), -Infinity);
  const padding = 0.06 * (high - low || Math.abs(high) || 1);
  low -= padding;
  high += padding;
  const down = (value) => ((high - value) / (high - low)) * UNITS;
  const length = Math.max(view.end - view.start, 1e-9);
  chart.querySelectorAll(".line").forEach((path, k) => {
    let pen = "M", d = "";
    lines[k].forEach((value, n) => {
      if (value !== value) { pen = "M"; return; }
      d += `${pen}${(((seconds[n] - view.start) / length) * UNITS).toFixed(1)} ${down(value).toFixed(1)}`;
      d += pen === "M" ? "h0" : "";
      pen = "L";
    });
    path.setAttribute("d", d);
  });
  const values = ticks(low, high, 4), rules = [...chart.querySelectorAll(".rule")];
  for (const value of values) {
    const rule = rules[0].cloneNode();
    rule.setAttribute("d", `M0 ${down(value)}H${UNITS}`);
    rules[0].before(rule);
  }
  rules.forEach((rule) => rule.remove());
  label(chart.querySelector(".y"), values.map((value) => [String(value), "top", (100 * down(value)) / UNITS]));
  Object.assign(chart.dataset, { start: view.start, end: view.end, low, high });
  label(chart.querySelector(".x"), view.times.map(([text, percent]) => [text, "left", percent]));
}

// Deviation of both lines from the mean of the raw one over `reach` frames to each side.
function deviation([raw, steady], reach) {
  const mean = raw.map((_, n) => {
    if (n < reach || n + reach >= raw.length) return NaN;
    return raw.subarray(n - reach, n + reach + 1).reduce((a, b) => a + b, 0) / (2 * reach + 1);
  });
  return [raw, steady].map((line) => line.map((value, n) => value - mean[n]));
}

function label(axis, labels) {
  axis.replaceChildren(...labels.map(([text, side, percent]) => {
    const span = document.createElement("span");
    span.textContent = text;
    span.style[side] = `${percent}%`;
    return span;
  }));
}

for (const paths of document.querySelectorAll(".paths")) {
  const views = JSON.parse(paths.querySelector("script").textContent);
  const select = paths.querySelector("select"), diagram = paths.querySelector(".choose");
  const dots = [...diagram.querySelectorAll("circle")], charts = paths.querySelectorAll(".chart");
  const chosenView = () => views[Number(paths.querySelector("input:checked").value)];

  const update = () => {
    const landmark = Number(select.value), view = chosenView();
    dots.forEach((dot, i) => {
      dot.classList.toggle("chosen", i === landmark);
      dot.setAttribute("r", i === landmark ? 3.6 : 2.2);
    });
    const seconds = unpack(view.seconds, view.count, 0);
    for (const axis of [0, 1]) {
      const lines = [0, 1].map((kind) => unpack(view.points, view.count, (kind * 68 + landmark) * 2 + axis));
      redraw(charts[2 * axis], view, seconds, lines);
      charts[2 * axis + 1].hidden = !view.every;
      if (view.every) redraw(charts[2 * axis + 1], view, seconds, deviation(lines, view.reach));
    }
  };

  diagram.addEventListener("click", (event) => {
    const click = new DOMPoint(event.clientX, event.clientY).matrixTransform(diagram.getScreenCTM().inverse());
    const distances = dots.map((dot) => Math.hypot(dot.cx.baseVal.value - click.x, dot.cy.baseVal.value - click.y));
    select.value = String(distances.indexOf(Math.min(...distances)));
    update();
  });
  paths.addEventListener("change", update);
}
