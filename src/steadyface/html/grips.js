// Circles of a drawing that can be dragged.

const NEAR = 16;  // px of the screen around a circle in which it is taken

// Calls moved(circle) at the end of each drag, and cancelled() where nothing has moved or the browser takes the
// pointer away. Between, the drawing has the class "dragged".
function letDrag(svg, moved, cancelled) {
  let held = null;
  const at = (event) => new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
  const distance = (circle, click) => Math.hypot(circle.getAttribute("cx") - click.x, circle.getAttribute("cy") - click.y);
  svg.addEventListener("pointerdown", (event) => {
    const click = at(event), circles = [...svg.querySelectorAll("circle")];
    const away = circles.map((circle) => distance(circle, click) * svg.getScreenCTM().a);
    const least = Math.min(...away);
    if (!(least <= NEAR)) return;
    held = { circle: circles[away.indexOf(least)], from: click, moved: false };
    svg.classList.add("dragged");
    svg.setPointerCapture(event.pointerId);
    event.preventDefault();
  });
  svg.addEventListener("pointermove", (event) => {
    if (!held) return;
    const click = at(event), { circle, from } = held;
    circle.setAttribute("cx", Number(circle.getAttribute("cx")) + click.x - from.x);
    circle.setAttribute("cy", Number(circle.getAttribute("cy")) + click.y - from.y);
    held.from = click;
    held.moved = true;
  });
  const end = (kept) => {
    if (!held) return;
    const { circle, moved: hasMoved } = held;
    held = null;
    svg.classList.remove("dragged");
    if (kept && hasMoved) moved(circle);
    else cancelled();
  };
  svg.addEventListener("pointerup", () => end(true));
  svg.addEventListener("pointercancel", () => end(false));
}
