// Taking hold of the pictures: turning all of them, dragging and adding training points, their slopes where these are set by
// hand, and a drawn function's handles; with a mouse, a finger or the keyboard.
import { gripsOf, slopeTowards, turnedSlope, unitPlace, unitPoints, valueAt, valuePerPixel } from "./grips.js";

const REACH = 14; // pixels around a grip; a finger is thick
const STEEPEST = 40; // as the settings allow
const TURNS = { ArrowLeft: [-0.12, 0], ArrowRight: [0.12, 0], ArrowUp: [0, 0.08], ArrowDown: [0, -0.08] };
const MOVES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

// `stage`: { canvases (the target's first), scene(), view, editable(), tangents(), points(list), heights(list),
// setTangents(list), turned(), held() }. `tangents()` gives the points set by hand, [place, value, slope] each, or null.
// `points`, `heights` and `setTangents` get what the reader has made of them, `turned` and `held` ask for a new drawing.
export function handle(stage) {
  const { canvases, view } = stage, [target] = canvases;
  let drag = null;

  const turn = (by, up) => {
    if (view.map || stage.scene().domain.length === 1) return;
    view.turn += by;
    view.tilt = clamp(view.tilt + up, 0.08, 1.5);
    stage.turned();
  };
  const hit = (x, y) => {
    if (!stage.scene() || !stage.editable()) return null;
    const near = gripsOf(target, stage.scene(), view).map((grip) => ({ ...grip, away: Math.hypot(grip.x - x, grip.y - y) }))
      .filter(({ away }) => away <= REACH);
    return near.sort((a, b) => a.away - b.away)[0] ?? null;
  };
  const at = (event, canvas) => {
    const box = canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  const hold = (grip) => {
    view.held = grip && { kind: grip.kind, index: grip.index };
    stage.held();
  };
  // `value` and `slope` only where points are set by hand
  const movePoint = (index, place, value) => {
    const tangents = stage.tangents();
    if (tangents) {
      tangents[index] = [...place, clamp(value, -1, 1), tangents[index][2]];
      return stage.setTangents(tangents.flat());
    }
    const points = unitPoints(stage.scene());
    points[index] = place;
    return stage.points(points.flat());
  };
  const moveSlope = (index, slope) => {
    const tangents = stage.tangents();
    tangents[index][2] = clamp(slope, -STEEPEST, STEEPEST);
    stage.setTangents(tangents.flat());
  };
  const moveHeight = (index, by) => {
    const heights = [...stage.scene().drawing];
    heights[index] = clamp(heights[index] + by, -1, 1);
    stage.heights(heights);
  };
  const remove = (index) => {
    const tangents = stage.tangents(), rest = (tangents ?? unitPoints(stage.scene())).filter((_, p) => p !== index);
    if (!rest.length) return;
    hold(null);
    stage[tangents ? "setTangents" : "points"](rest.flat());
  };
  const add = (place, value) => {
    const tangents = stage.tangents();
    if (tangents) stage.setTangents([...tangents, [...place, clamp(value, -1, 1), 0]].flat());
    else stage.points([...unitPoints(stage.scene()), place].flat());
  };

  for (const canvas of canvases) {
    canvas.addEventListener("pointerdown", (event) => {
      if (!stage.scene() || event.button) return;
      const [x, y] = at(event, canvas), grip = canvas === target ? hit(x, y) : null;
      drag = { grip, x, y, moved: false };
      if (grip) hold(grip);
      canvas.setPointerCapture(event.pointerId);
    });
    canvas.addEventListener("pointermove", (event) => {
      const [x, y] = at(event, canvas);
      if (!drag) {
        if (canvas === target) target.style.cursor = hit(x, y) ? "move" : "";
        return;
      }
      const [dx, dy] = [x - drag.x, y - drag.y];
      if (!drag.moved && Math.hypot(dx, dy) < 4) return; // a click, until it goes further
      drag.moved = true;
      [drag.x, drag.y] = [x, y];
      if (!drag.grip) return turn(dx * 0.01, dy * 0.008);
      if (drag.grip.kind === "height") return moveHeight(drag.grip.index, -dy * valuePerPixel(target, stage.scene(), view));
      if (drag.grip.kind === "slope") return moveSlope(drag.grip.index, slopeTowards(target, stage.scene(), drag.grip.index, x, y));
      const place = unitPlace(target, stage.scene(), view, x, y);
      if (place) movePoint(drag.grip.index, place, stage.tangents() && valueAt(target, stage.scene(), y));
    });
    canvas.addEventListener("pointerup", () => {
      const { grip, x, y, moved } = drag ?? { moved: true };
      drag = null;
      if (moved || grip || canvas !== target || !stage.editable()) return;
      const place = unitPlace(target, stage.scene(), view, x, y);
      if (view.held) hold(null);
      if (place) add(place, stage.tangents() && valueAt(target, stage.scene(), y));
    });
    canvas.addEventListener("pointercancel", () => { drag = null; });
  }
  // a finger on a grip moves it; elsewhere it scrolls the page or turns the view
  target.addEventListener("touchstart", (event) => {
    if (hit(...at(event.touches[0], target))) event.preventDefault();
  }, { passive: false });
  target.addEventListener("dblclick", (event) => {
    const grip = hit(...at(event, target));
    if (grip?.kind === "point") remove(grip.index);
  });

  target.addEventListener("keydown", (event) => {
    if (!stage.scene() || event.ctrlKey || event.metaKey || event.altKey) return;
    const { held } = view, key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    if (!act(key, held)) return;
    event.preventDefault();  // else the page scrolls
    event.stopPropagation(); // else the book turns a page, or Jupyter leaves the cell
  });

  // Does what a key stands for; returns whether it stands for anything.
  function act(key, held) {
    const editable = stage.editable(), { domain, drawing } = stage.scene();
    if (key === "Escape" && held) hold(null);
    else if (editable && (key === "n" || key === "p")) next(key === "n" ? 1 : -1, held);
    else if (editable && key === "a") add(domain.map(() => 0.5), 0);
    else if (editable && ["point", "slope"].includes(held?.kind) && ["Delete", "Backspace"].includes(key)) remove(held.index);
    else if (MOVES[key] && held?.kind === "slope") {
      const slope = stage.tangents()?.[held.index]?.[2];
      if (slope === undefined) return false;
      moveSlope(held.index, turnedSlope(target, stage.scene(), slope, 0.09 * (MOVES[key][1] - MOVES[key][0])));
    }
    else if (MOVES[key] && held?.kind === "height" && drawing) moveHeight(held.index, 0.05 * (MOVES[key][0] + MOVES[key][1]));
    else if (MOVES[key] && held) {
      const place = unitPoints(stage.scene())[held.index];
      if (!place) return false;
      movePoint(held.index, place.map((one, j) => clamp(one + 0.02 * MOVES[key][j], 0, 1)),
        (stage.tangents()?.[held.index][1] ?? 0) + 0.04 * MOVES[key][1]);
    } else if (TURNS[key] && !view.map && domain.length === 2) turn(...TURNS[key]);
    else return false;
    return true;
  }

  function next(by, held) {
    const grips = gripsOf(target, stage.scene(), view);
    const now = grips.findIndex(({ kind, index }) => kind === held?.kind && index === held?.index);
    hold(grips[now < 0 ? (by > 0 ? 0 : grips.length - 1) : (now + by + grips.length) % grips.length]);
  }
}
