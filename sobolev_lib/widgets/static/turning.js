// Turning a landscape: by dragging one of its pictures, or by the arrow keys on all of them.
const KEYS = { ArrowLeft: [-0.12, 0], ArrowRight: [0.12, 0], ArrowUp: [0, 0.08], ArrowDown: [0, -0.08] };

// view.turn and view.tilt change while turns() says that there is something to turn; turned() is called after each change.
export function turnable(row, view, turns, turned) {
  function turn(by, up) {
    if (!turns()) return;
    view.turn += by;
    view.tilt = Math.min(Math.max(view.tilt + up, 0.08), 1.5);
    turned();
  }
  let grip = null;
  row.addEventListener("pointerdown", (event) => {
    if (event.target.tagName !== "CANVAS" || view.map) return;
    grip = [event.clientX, event.clientY];
    event.target.setPointerCapture(event.pointerId);
  });
  row.addEventListener("pointermove", (event) => {
    if (!grip) return;
    turn((event.clientX - grip[0]) * 0.01, (event.clientY - grip[1]) * 0.008);
    grip = [event.clientX, event.clientY];
  });
  for (const end of ["pointerup", "pointercancel"]) row.addEventListener(end, () => { grip = null; });
  row.addEventListener("keydown", (event) => {
    if (!KEYS[event.key] || !turns()) return;
    event.preventDefault(); // else the page scrolls
    event.stopPropagation(); // else the book turns a page, or Jupyter leaves the cell
    turn(...KEYS[event.key]);
  });
}
