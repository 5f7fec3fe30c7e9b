// One cursor for all charts of a face, with values; enlarged moments; figures as a file.

// Points of a line: x and y in units of the drawing.
function pointsOf(path) {
  const d = path.getAttribute("d");
  if (path.drawn !== d) {
    path.drawn = d;
    const pairs = [...d.matchAll(/[ML](\S+?) (-?[\d.]+)/g)];
    path.points = pairs.map(([, x, y]) => [Number(x), Number(y)]);
  }
  return path.points;
}

function valueAt(path, x, low, high) {
  let best = null;
  for (const point of pointsOf(path)) if (!best || Math.abs(point[0] - x) < Math.abs(best[0] - x)) best = point;
  return best && Math.abs(best[0] - x) < UNITS / 20 ? high - (best[1] / UNITS) * (high - low) : NaN;
}

function digits(value, range) {
  const places = Math.max(0, Math.min(3, 2 - Math.floor(Math.log10(range || 1))));
  return value === value ? value.toFixed(places) : "–";
}

// Moves the cursor of every chart of a face to a time, s; null hides it.
function pointAt(person, seconds) {
  for (const chart of person.querySelectorAll(".chart")) {
    const [start, end, low, high] = ["start", "end", "low", "high"].map((name) => Number(chart.dataset[name]));
    const inside = seconds !== null && seconds >= start && seconds <= end;
    const cursor = chart.querySelector(".cursor"), names = [...chart.querySelectorAll(".legend span")];
    cursor.hidden = !inside;
    const share = inside ? (seconds - start) / Math.max(end - start, 1e-9) : 0;
    cursor.style.left = `${100 * share}%`;
    cursor.classList.toggle("late", share > 0.6);
    const lines = [...chart.querySelectorAll(".line")];
    const values = lines.map((line) => digits(valueAt(line, share * UNITS, low, high), high - low));
    cursor.replaceChildren(...[`${clockOf(seconds)}`, ...values].map((text, k) => {
      const part = document.createElement("span");
      part.textContent = text;
      if (k) part.className = lines[k - 1].getAttribute("class").replace("line", "value");
      return part;
    }));
    names.forEach((name) => name.classList.toggle("pointed", inside));
  }
}

function clockOf(seconds) {
  if (seconds === null) return "";
  const minutes = Math.floor(seconds / 60), rest = (seconds - 60 * minutes).toFixed(2);
  return minutes ? `${minutes}:${rest.padStart(5, "0")}` : `${rest} s`;
}

// While no chart is pointed at, the cursor stays at the moment that was enlarged last (`person.moment`), if any.
// It must not depend on the pointer's last event: the browser sends one wherever a dialog closes under a resting mouse.
for (const person of document.querySelectorAll(".person")) {
  person.moment = null;
  const move = (event) => {
    const field = event.target.closest(".chart .field");
    if (!field) return pointAt(person, person.moment);
    person.moment = null;
    const chart = field.closest(".chart"), box = field.getBoundingClientRect();
    const share = (event.clientX - box.left) / Math.max(box.width, 1);
    const [start, end] = [Number(chart.dataset.start), Number(chart.dataset.end)];
    pointAt(person, start + Math.min(Math.max(share, 0), 1) * (end - start));
  };
  person.addEventListener("pointermove", move);
  person.addEventListener("pointerdown", move);
  person.addEventListener("pointerleave", () => pointAt(person, person.moment));
}

const enlarged = document.getElementById("enlarged");
for (const button of document.querySelectorAll(".enlarge")) {
  button.addEventListener("click", () => {
    const picture = button.firstElementChild.cloneNode();
    enlarged.querySelector("div").replaceChildren(picture);
    enlarged.querySelector("p").textContent = `${clockOf(Number(button.dataset.seconds))}, ${picture.alt}`;
    const person = button.closest(".person");
    person.moment = Number(button.dataset.seconds);
    pointAt(person, person.moment);
    enlarged.showModal();
  });
}
enlarged.addEventListener("click", (event) => {
  if (event.target === enlarged) enlarged.close();
});

for (const button of document.querySelectorAll(".csv")) {
  button.addEventListener("click", () => {
    const { columns, count, values } = JSON.parse(button.closest(".person").querySelector(".table").textContent);
    const series = columns.map((_, k) => unpack(values, count, k));
    const rows = Array.from({ length: count }, (_, n) => series.map((one, k) => cell(one[n], values.step[k], k)).join(","));
    const text = `${[columns.join(","), ...rows].join("\n")}\n`;
    offer(text, "text/csv", button.dataset.name);
  });
}

// Lets the browser save a text as a file.
function offer(text, type, name) {
  const anchor = document.createElement("a");
  anchor.href = URL.createObjectURL(new Blob([text], { type }));
  anchor.download = name;
  anchor.click();
  URL.revokeObjectURL(anchor.href);
}

// A value with as many digits as it was kept with; the first column is a whole number.
function cell(value, step, column) {
  if (value !== value) return "";
  return column ? value.toFixed(Math.max(0, Math.min(6, Math.ceil(-Math.log10(step))))) : String(Math.round(value));
}
