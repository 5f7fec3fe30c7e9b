// Points that are dragged in an enlarged moment, kept as corrections of the clip's frames and saved as a file.

const corrections = [];
const bar = document.querySelector("#enlarged .corrections");

function sameFrame(one, place) {
  return one.frame === place.frame && one.face === place.face;
}

// Image px of a place in the picture, and back; `image` is the map from the picture's px, row by row.
function toImage([a, b, c, d, e, f], [x, y]) {
  return [a * x + b * y + c, d * x + e * y + f];
}

function toPicture([a, b, c, d, e, f], [x, y]) {
  const area = a * e - b * d;
  return [(e * (x - c) - b * (y - f)) / area, (a * (y - f) - d * (x - c)) / area];
}

function gripsOf(place, names) {
  const make = (name) => document.createElementNS(document.querySelector(".choose").namespaceURI, name);
  const svg = make("svg");
  svg.setAttribute("viewBox", `-0.5 -0.5 ${place.side} ${place.side}`);
  const moved = new Map(corrections.filter((one) => sameFrame(one, place)).map((one) => [one.point, one]));
  place.points.forEach((point, number) => {
    const own = moved.get(number), [x, y] = own ? toPicture(place.image, [own.x, own.y]) : point;
    const grip = make("circle");
    grip.setAttribute("cx", x);
    grip.setAttribute("cy", y);
    grip.setAttribute("r", 3);
    grip.classList.toggle("corrected", Boolean(own));
    grip.append(make("title"));
    grip.firstChild.textContent = names[number];
    svg.append(grip);
  });
  letDrag(svg, (grip) => {
    grip.classList.add("corrected");
    const [x, y] = toImage(place.image, [Number(grip.getAttribute("cx")), Number(grip.getAttribute("cy"))]);
    corrections.push({ frame: place.frame, face: place.face, point: [...svg.children].indexOf(grip), x, y });
    tell();
  }, show);
  return svg;
}

let shown = null;

function show() {
  const frame = document.querySelector("#enlarged > div");
  frame.querySelector("svg")?.remove();
  bar.hidden = !shown;
  if (shown) frame.append(gripsOf(shown.place, shown.names));
  tell();
}

function tell() {
  const count = corrections.length;
  bar.querySelector("output").textContent = count ? `${count} ${count === 1 ? "correction" : "corrections"}` : "";
  for (const button of bar.querySelectorAll("button")) button.disabled = !count;
}

for (const button of document.querySelectorAll(".enlarge")) {
  button.addEventListener("click", () => {
    const options = button.closest(".person").querySelector(".paths select").options;
    const place = button.dataset.place && JSON.parse(button.dataset.place);
    shown = place ? { place, names: [...options].map((option) => option.text) } : null;
    show();
  });
}

bar.querySelector(".undo").addEventListener("click", () => { corrections.pop(); show(); });
bar.querySelector(".save").addEventListener("click", () => {
  const last = new Map(corrections.map((one) => [`${one.frame} ${one.face} ${one.point}`, one]));
  const text = JSON.stringify({ source: bar.dataset.source, corrections: [...last.values()] }, null, 1);
  offer(text, "application/json", `${bar.dataset.source}.corrections.json`);
});
