// Hypotheses: a function of three straight pieces, three points on it to drag, and the functions of its kind that
// agree with it there: in value on the left, in value and slope on the right.
//
// The model holds: knots [[x, y] x 4], points [x x 3], heights [low, high] of the picture, alt.
import { colourOf, inkOf, onThemeChange } from "./common.js";
import { draw, element } from "./elements.js";
import { PIECES, pieceOf, places, sentence, STEP, TRIES, valueAt, withSlopes, withValues } from "./hypotheses_model.js";
import { PALETTE } from "./palette.js";
import STYLE from "./hypotheses.css" with { type: "text" };

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
