// Hypotheses: a function of three straight pieces, three points on it to drag, and the functions of its kind that
// agree with it there: in value on the left, in value and slope on the right.
//
// The model holds: knots [[x, y] x 4], points [x x 3], heights [low, high] of the picture, alt. A
// function is a list of four vertices [x, y]: continuous, and of three pieces at most. All samples are deterministic.
import { colourOf, inkOf, onThemeChange } from "./common.js";
import { draw, element } from "./elements.js";
import { PALETTE } from "./palette.js";
import STYLE from "./hypotheses.css" with { type: "text" };

const PIECES = ["first", "middle", "last"];
const DRAWN = { values: 16, slopes: 12 };
const TRIES = 300; // members of the sequence looked at for one picture
const STEP = 0.01; // of the width: a press of an arrow key

// --- mathematics ----------------------------------------------------------------------------------------------------

export function valueAt(vertices, x) {
  const i = (x > vertices[1][0]) + (x > vertices[2][0]);
  const [[x0, y0], [x1, y1]] = [vertices[i], vertices[i + 1]];
  return y0 + ((x - x0) / (x1 - x0)) * (y1 - y0);
}

export function pieceOf(knots, x) {
  return (x > knots[1][0]) + (x > knots[2][0]);
}

// Where a point may lie: not on a hinge, which has no slope, and not on another point.
export function places(knots, others) {
  const [low, high] = [knots[0][0], knots[3][0]];
  const step = STEP * (high - low);
  return Array.from({ length: Math.round(1 / STEP) - 3 }, (_, i) => low + (i + 2) * step).filter((x) =>
    [knots[1][0], knots[2][0]].every((hinge) => Math.abs(x - hinge) > 0.6 * step)
    && others.every((other) => Math.abs(x - other) > 1.5 * step));
}

// Two numbers in (0, 1) that fill the square evenly as k grows: the plastic number's sequence.
function pair(k) {
  return [0.7548776662466927, 0.5698402909980532].map((a) => (0.5 + k * a) % 1);
}

function isInside(vertices, [low, high]) {
  return vertices.every(([, y]) => y >= low && y <= high);
}

function determinant(m) {
  if (m.length === 1) return m[0][0];
  return m[0].reduce((sum, first, j) =>
    sum + (j % 2 ? -1 : 1) * first * determinant(m.slice(1).map((row) => row.filter((_, c) => c !== j))), 0);
}

// Cramer's rule; the systems have four unknowns.
function solve(matrix, right) {
  const whole = determinant(matrix);
  return right.map((_, j) => determinant(matrix.map((row, i) => row.map((a, c) => (c === j ? right[i] : a)))) / whole);
}

// Functions with the three values. For fixed hinges their heights at the four corners solve three linear equations: a
// line of solutions, of which one within the picture is taken.
export function withValues(knots, points, heights, count = DRAWN.values, from = 0) {
  const [low, high] = [knots[0][0], knots[3][0]];
  const found = [];
  for (let k = from + 1; k <= from + TRIES && found.length < count; k++) {
    const [a, b] = pair(k).sort((u, v) => u - v).map((u) => low + (0.04 + 0.92 * u) * (high - low));
    if (b - a < 0.06 * (high - low)) continue;
    const corners = [low, a, b, high];
    const rows = points.map((x) => corners.map((_, j) => valueAt(corners.map((at, i) => [at, i === j ? 1 : 0]), x)));
    const free = corners.map((_, j) => (j % 2 ? -1 : 1) * determinant(rows.map((row) => row.filter((_, c) => c !== j))));
    if (Math.hypot(...free) < 1e-3) continue; // all points in one piece
    const one = solve([...rows, free], [...points.map((x) => valueAt(knots, x)), 0]);
    let least = -Infinity, most = Infinity;
    one.forEach((y, j) => {
      if (Math.abs(free[j]) < 1e-12) { if (y < heights[0] || y > heights[1]) most = -Infinity; return; }
      const ends = heights.map((edge) => (edge - y) / free[j]).sort((u, v) => u - v);
      least = Math.max(least, ends[0]);
      most = Math.min(most, ends[1]);
    });
    if (!(least < most)) continue;
    const share = 0.05 + 0.9 * ((k * 0.6180339887498949) % 1);
    found.push(corners.map((x, j) => [x, one[j] + (least + share * (most - least)) * free[j]]));
  }
  // few, if the points lie on one line; what has the slopes, too, has the values
  return [...found, ...withSlopes(knots, points, heights, count - found.length, from)].slice(0, count);
}

// Functions with the three values and slopes. Points of one piece show one line; a function of three pieces can't leave
// a line between two of its points and come back. So what is free lies before, after, and between the lines seen.
export function withSlopes(knots, points, heights, count = DRAWN.slopes, from = 0) {
  const [low, high] = [knots[0][0], knots[3][0]];
  const lines = [];
  for (const x of [...points].sort((a, b) => a - b)) {
    const piece = pieceOf(knots, x);
    if (lines.at(-1)?.piece === piece) { lines.at(-1).last = x; continue; }
    const slope = (knots[piece + 1][1] - knots[piece][1]) / (knots[piece + 1][0] - knots[piece][0]);
    const value = valueAt(knots, x);
    lines.push({ piece, slope, first: x, last: x, start: value - slope * x });
  }
  const on = (line, x) => [x, line.start + line.slope * x];
  const crossing = (l, r) => (r.start - l.start) / (l.slope - r.slope);
  const [left, right] = [lines[0], lines.at(-1)];
  if (lines.length === 3) {
    const hinges = [crossing(lines[0], lines[1]), crossing(lines[1], lines[2])];
    return [[on(left, low), on(left, hinges[0]), on(right, hinges[1]), on(right, high)]];
  }
  const height = (share) => heights[0] + (0.04 + 0.92 * share) * (heights[1] - heights[0]);
  const leaves = (line) => heights.map((y) => (y - line.start) / line.slope).sort((a, b) => a - b); // the picture, at these x
  const [start, end] = [Math.max(low, leaves(left)[0]), Math.min(high, leaves(right)[1])];
  const before = (share) => start + (0.1 + 0.8 * share) * (left.first - start);
  const after = (share) => right.last + (0.1 + 0.8 * share) * (end - right.last);
  const families = [];
  if (lines.length === 2) {
    families.push((u, v) => { // leave the left line, take a short cut to the right one
      const [a, b] = [Math.min(u, v), Math.max(u, v)].map((share) => left.last + share * (right.first - left.last));
      return b - a < 0.1 * (right.first - left.last) ? null : [on(left, low), on(left, a), on(right, b), on(right, high)];
    });
    const hinge = crossing(left, right);
    if (hinge > left.last && hinge < right.first) {
      families.push((u, v) => [on(left, low), on(left, hinge), on(right, after(u)), [high, height(v)]]);
      families.push((u, v) => [[low, height(v)], on(left, before(u)), on(left, hinge), on(right, high)]);
    }
  } else {
    families.push((u, v) => [[low, height(v)], on(left, before(u)), on(left, after(v)), [high, height(u)]]);
    families.push((u, v) => {
      const at = after(u / 2);
      return [on(left, low), on(left, at), [at + (0.3 + 0.4 * v) * (high - at), height(v)], [high, height(1 - u)]];
    });
    families.push((u, v) => {
      const at = before(0.5 + u / 2);
      return [[low, height(1 - u)], [low + (0.3 + 0.4 * v) * (at - low), height(v)], on(left, at), on(left, high)];
    });
  }
  const found = [];
  for (let k = from + 1; k <= from + TRIES && found.length < count; k++) {
    const one = families[k % families.length](...pair(k));
    if (one && isInside(one, heights)) found.push(one);
  }
  return found;
}

export function sentence(knots, points, drawn) {
  const shares = PIECES.map((_, piece) => points.filter((x) => pieceOf(knots, x) === piece).length);
  if (shares.every((n) => n === 1)) {
    return "One point in each piece. With slopes one function is left: the true one. "
      + `With values alone infinitely many are left; ${drawn[0]} are drawn.`;
  }
  const where = shares.includes(3) ? `All points lie in the ${PIECES[shares.indexOf(3)]} piece. `
    : `Two points share the ${PIECES[shares.indexOf(2)]} piece, the ${PIECES[shares.indexOf(0)]} one has none. `;
  return `${where}Infinitely many functions are left, with slopes, too; ${drawn[0]} and ${drawn[1]} are drawn.`;
}

// --- page -----------------------------------------------------------------------------------------------------------

function swatch(line) {
  return draw("svg", { width: 26, height: 10, "aria-hidden": "true", style: "width:26px;aspect-ratio:auto" },
    draw("line", { x1: 1, y1: 5, x2: 25, y2: 5, ...line }));
}

export default {
  render({ model, el }) {
    const knots = model.get("knots"), heights = model.get("heights");
    let points = [...model.get("points")];
    let from = 0; // where the sampling starts

    const panels = [
      { title: "The same values", fit: withValues, look: "regular" },
      { title: "The same values and slopes", fit: withSlopes, look: "sobolev" },
    ];
    for (const [i, panel] of panels.entries()) {
      panel.curves = draw("g", { "aria-hidden": "true" });
      panel.handles = points.map((_, p) => {
        const handle = draw("g", { class: "shp-handle", "data-point": p }, draw("circle", { class: "shp-grip", r: 18 }),
          draw("circle", { class: "shp-ring", r: 12 }), draw("circle", { class: "shp-point", r: 6.5 }));
        if (i) handle.setAttribute("aria-hidden", "true"); // the same points again: one stop of the tab key each
        else for (const [name, value] of [["role", "slider"], ["tabindex", 0], ["aria-label", `Point ${p + 1}`],
          ["aria-valuemin", knots[0][0]], ["aria-valuemax", knots[3][0]]]) handle.setAttribute(name, value);
        return handle;
      });
      panel.svg = draw("svg", { class: "shp-picture", role: "group", "aria-label": `${panel.title}. ${model.get("alt")}` },
        panel.curves, ...panel.handles);
      panel.figure = element("figure", {}, element("figcaption", { textContent: panel.title }), panel.svg);
    }
    const within = (piece, share) => knots[piece][0] + share * (knots[piece + 1][0] - knots[piece][0]);
    const presets = {
      "One in each piece": [within(0, 0.75), within(1, 0.75), within(2, 0.8)],
      "Two in one piece": [within(0, 0.3), within(0, 0.75), within(1, 0.6)],
      "All in one piece": [within(1, 0.2), within(1, 0.5), within(1, 0.8)],
    };
    const buttons = Object.entries(presets).map(([text, chosen]) =>
      element("button", { type: "button", textContent: text, onclick: () => moveAll(chosen) }));
    buttons.push(element("button", { type: "button", textContent: "Draw others", onclick: () => { from += TRIES; show(); } }));
    const says = element("p", { className: "shp-says" });
    says.setAttribute("aria-live", "polite");
    const legend = element("div", { className: "shp-legend" },
      element("span", {}, swatch({ class: "shp-true" }), "true function"),
      element("span", {}, swatch({ class: "shp-fits shp-regular" }), "fits the values"),
      element("span", {}, swatch({ class: "shp-fits shp-sobolev" }), "fits values and slopes"));
    const root = element("div", { className: "shp" }, element("style", { textContent: STYLE }),
      element("div", { className: "shp-buttons" }, ...buttons),
      element("div", { className: "shp-panels" }, ...panels.map((panel) => panel.figure)), legend, says);
    el.append(root);
    const paint = () => {
      const ink = inkOf(root);
      for (const name of ["truth", "points", "slopes", "regular", "sobolev"]) {
        root.style.setProperty(`--shp-${name}`, colourOf(name, ink));
        root.style.setProperty(`--shp-${name}-dash`, PALETTE[name].dash.join(" ") || "none");
      }
    };

    // --- drawing ------------------------------------------------------------------------------------------------
    const place = (svg) => { // of the function's plane in the picture, in CSS pixels
      const width = svg.clientWidth || 400, height = svg.clientHeight || 300, edge = 6;
      return { width, height,
        px: (x) => edge + ((x - knots[0][0]) / (knots[3][0] - knots[0][0])) * (width - 2 * edge),
        py: (y) => height - edge - ((y - heights[0]) / (heights[1] - heights[0])) * (height - 2 * edge),
        x: (px) => knots[0][0] + ((px - edge) / (width - 2 * edge)) * (knots[3][0] - knots[0][0]) };
    };

    function show() {
      const drawn = panels.map(({ svg, curves, handles, fit, look }, i) => {
        const { width, height, px, py } = place(svg);
        const line = (vertices) => vertices.map(([x, y]) => `${px(x).toFixed(2)},${py(y).toFixed(2)}`).join(" ");
        const fits = fit(knots, points, heights, undefined, from);
        const slope = (x) => knots[pieceOf(knots, x) + 1].map((v, c) => v - knots[pieceOf(knots, x)][c]);
        svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
        curves.replaceChildren(
          ...fits.map((vertices) => draw("polyline", { class: `shp-fits shp-${look}`, points: line(vertices),
            ...(fits.length === 1 && { style: "stroke-width:4" }) })),
          draw("polyline", { class: "shp-true", points: line(knots) }),
          draw("rect", { class: "shp-frame", x: 0.5, y: 0.5, width: width - 1, height: height - 1 }),
          ...(i ? points.map((x) => { // a short piece of the line that is known
            const [dx, dy] = slope(x), along = [px(dx) - px(0), py(dy) - py(0)];
            const [ux, uy] = along.map((d) => (20 * d) / Math.hypot(...along));
            const [cx, cy] = [px(x), py(valueAt(knots, x))];
            return draw("line", { class: "shp-slope", x1: cx - ux, y1: cy - uy, x2: cx + ux, y2: cy + uy });
          }) : []));
        handles.forEach((handle, p) => {
          handle.setAttribute("transform", `translate(${px(points[p]).toFixed(2)} ${py(valueAt(knots, points[p])).toFixed(2)})`);
          handle.setAttribute("aria-valuenow", points[p].toFixed(2));
          handle.setAttribute("aria-valuetext", `${points[p].toFixed(2)}, in the ${PIECES[pieceOf(knots, points[p])]} piece`);
        });
        return fits.length;
      });
      const text = sentence(knots, points, drawn);
      if (says.textContent !== text) says.textContent = text;
    }

    // --- moving -------------------------------------------------------------------------------------------------
    function moveAll(chosen) {
      points = [...chosen];
      model.set("points", [...points]);
      model.save_changes();
      show();
    }
    function move(p, wanted, direction = 0) {
      const free = places(knots, points.filter((_, other) => other !== p))
        .filter((x) => direction === 0 || (x - points[p]) * direction > 1e-9);
      if (!free.length) return;
      const nearest = free.reduce((best, x) => (Math.abs(x - wanted) < Math.abs(best - wanted) ? x : best));
      if (nearest !== points[p]) moveAll(points.map((x, other) => (other === p ? nearest : x)));
    }
    const width = knots[3][0] - knots[0][0];
    const KEYS = { ArrowLeft: -STEP, ArrowDown: -STEP, ArrowRight: STEP, ArrowUp: STEP, PageDown: -0.1, PageUp: 0.1,
      Home: -1, End: 1 };
    for (const { svg, handles } of panels) {
      handles.forEach((handle, p) => {
        let offset = null; // between the pointer and the point's middle
        handle.addEventListener("pointerdown", (event) => {
          if (event.button) return;
          event.preventDefault(); // else the browser selects text
          handle.setPointerCapture(event.pointerId);
          panels[0].handles[p].focus({ preventScroll: true, focusVisible: false });
          offset = event.clientX - svg.getBoundingClientRect().left - place(svg).px(points[p]);
        });
        handle.addEventListener("pointermove", (event) => {
          if (offset === null) return;
          move(p, place(svg).x(event.clientX - svg.getBoundingClientRect().left - offset));
        });
        for (const end of ["pointerup", "pointercancel"]) handle.addEventListener(end, () => { offset = null; });
        handle.addEventListener("keydown", (event) => {
          const by = KEYS[event.key];
          if (by === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
          event.preventDefault(); // else the page scrolls
          event.stopPropagation(); // else the book turns a page, or Jupyter leaves the cell
          move(p, points[p] + by * width, Math.sign(by));
        });
      });
    }

    // --- the world around ---------------------------------------------------------------------------------------
    const follow = () => { // Python set the points
      const wanted = model.get("points");
      if (wanted.some((x, p) => x !== points[p])) { points = [...wanted]; show(); }
    };
    model.on("change:points", follow);
    const sizes = new ResizeObserver(show);
    sizes.observe(panels[0].svg);
    const forget = onThemeChange(() => requestAnimationFrame(paint));
    paint();
    show();
    return () => { model.off("change:points", follow); sizes.disconnect(); forget(); };
  },
};
