// The picture: axes, the truth, two curves, and six points with a tangent each, which the reader can take hold of.
import { draw } from "./elements.js";
import { GRID, LIMITS, REACH } from "./wave_truth.js";

const HEIGHT = 2.7; // values from -HEIGHT to HEIGHT are in sight
const MARGIN = 44;  // pixels beside the wave, for tangents and numbers

// A short stroke for the legend: colour and dashes of a curve.
export function stroke({ paint, dash }) {
  return draw("svg", { width: 26, height: 8, "aria-hidden": "true" },
    draw("line", { x2: 26, y1: 4, y2: 4, "stroke-width": 2.75, "stroke-dasharray": dash, style: `stroke: ${paint}` }));
}

export class Picture {
  // `curves`: { paint, dash } of the truth and of both networks; `paints` of the points and of the slopes.
  constructor(count, curves, paints) {
    this.axes = draw("g", { "aria-hidden": "true" });
    this.curves = curves.map(({ paint, dash }, k) => draw("polyline",
      { class: k ? "swv-curve" : "swv-curve swv-truth", style: `stroke: ${paint}`, "stroke-dasharray": dash }));
    this.points = Array.from({ length: count }, (_, i) => {
      const tangent = draw("line", { class: "swv-tangent", style: `stroke: ${paints.slopes}` });
      const end = draw("circle", { class: "swv-end", r: 6, style: `stroke: ${paints.slopes}` });
      const node = draw("g", { class: "swv-point", tabindex: 0, role: "slider", "aria-label": `Point ${i + 1}`,
        "aria-valuemin": -LIMITS.value, "aria-valuemax": LIMITS.value }, tangent, end);
      const ring = draw("circle", { class: "swv-ring", r: 12 });
      const dot = draw("circle", { class: "swv-dot", r: 7, style: `fill: ${paints.points}` });
      const grips = [["point", 17], ["slope", 14]].map(([kind, r]) =>
        draw("circle", { class: "swv-grip", r, "data-grip": kind }));
      node.append(ring, dot, ...grips);
      return { node, tangent, end, ring, dot, grips };
    });
    this.node = draw("svg", { class: "swv-picture", role: "group" }, this.axes, ...this.curves,
      ...this.points.map(({ node }) => node));
  }

  // From the function's plane to CSS pixels and back.
  get scale() {
    const width = this.node.clientWidth || 600, height = this.node.clientHeight || 300;
    const [kx, ky] = [(width - 2 * MARGIN) / (2 * REACH), height / (2 * HEIGHT)];
    return { width, height, kx, ky, tangent: width < 520 ? 28 : 40,
      px: (x) => width / 2 + kx * x, py: (y) => height / 2 - ky * y,
      x: (px) => (px - width / 2) / kx, y: (py) => (height / 2 - py) / ky };
  }

  // The axes and the size; to be called whenever the width has changed.
  fit() {
    const { width, height, px, py } = this.scale;
    this.node.setAttribute("viewBox", `0 0 ${width} ${height}`);
    const number = (value, at) => Object.assign(draw("text", at), { textContent: String(value).replace("-", "−") });
    this.axes.replaceChildren(draw("line", { class: "swv-axis", x1: 0, y1: py(0), x2: width, y2: py(0) }),
      ...[-2, -1, 0, 1, 2].flatMap((x) => [
        draw("line", { class: "swv-axis", x1: px(x), y1: py(0) - 4, x2: px(x), y2: py(0) + 4 }),
        number(x, { x: px(x), y: height - 4, "text-anchor": "middle" })]),
      ...[-2, 0, 2].map((y) => number(y, { x: 2, y: py(y) + (y ? 4 : -4) }))); // zero above its axis
  }

  showCurve(k, values) {
    const { px, py } = this.scale;
    const line = values.map((y, i) => `${px(GRID[i]).toFixed(1)},${py(Math.min(Math.max(y, -99), 99)).toFixed(1)}`);
    this.curves[k].setAttribute("points", line.join(" "));
  }

  showPoints(points) {
    const { width, kx, ky, tangent, px, py } = this.scale;
    points.forEach(([x, value, slope], i) => {
      const { node, tangent: line, end, ring, dot, grips } = this.points[i];
      const size = tangent / Math.hypot(kx, ky * slope), [dx, dy] = [kx * size, -ky * slope * size];
      const side = this.side(i, points), [cx, cy] = [px(x), py(value)];
      const place = (shape, places) => {
        for (const [name, at] of Object.entries(places)) shape.setAttribute(name, at.toFixed(1));
      };
      for (const circle of [ring, dot, grips[0]]) place(circle, { cx, cy });
      for (const circle of [end, grips[1]]) place(circle, { cx: cx + side * dx, cy: cy + side * dy });
      place(line, { x1: cx - dx, y1: cy - dy, x2: cx + dx, y2: cy + dy });
      node.setAttribute("aria-valuenow", value.toFixed(2));
      node.setAttribute("aria-valuetext", `at ${x.toFixed(2)}: value ${value.toFixed(2)}, slope ${slope.toFixed(2)}`);
    });
  }

  // On which side of its point a tangent has its ring: the right one, where there is room.
  side(i, points) {
    const { width, tangent, px } = this.scale;
    return px(points[i][0]) + tangent + 8 < width ? 1 : -1;
  }
}
