// LorenzRollout: a simulator of three states, and networks that learned its step, side by side in the page.
//
// The model holds: networks [{name, colour, network}], gap (time of a step), limit (how far off a network has lost the way),
// start (which start, 0 to 39), alt.
import { colourOf, inkOf, onThemeChange } from "./common.js";
import { button, draw, element } from "./elements.js";
import { answer, distances, rolled, simulated, startOf, stays } from "./lorenz_rollout_model.js";
import { PALETTE } from "./palette.js";
import STYLE from "./lorenz_rollout.css" with { type: "text" };

const STARTS = 40, STEPS = 120, FINE = 5; // FINE: points of the truth's way in a step
const SPEED = 18; // steps in a second
const TRAIL = 30; // steps of the way that are drawn boldly

// Seen along y, in a picture of 400 by 300 units: x from -24 to 24, z from 0 to 52.
const px = ([x]) => (200 + (x * 190) / 24).toFixed(1), py = ([, , z]) => (292 - (z * 284) / 52).toFixed(1);
const points = (way) => way.map((at) => `${px(at)},${py(at)}`).join(" ");

export default {
  render({ model, el }) {
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    const networks = model.get("networks"), gap = model.get("gap"), limit = model.get("limit");
    let start = model.get("start"), at = 0, ways = [], truth = [], fine = [], paused = false, seen = calm, begun = calm, frame = 0, last = 0;

    const background = draw("polyline", { class: "slr-all" }), trueWay = draw("polyline", { class: "slr-true" });
    const trueHead = draw("circle", { class: "slr-head slr-head-true", r: 6 });
    const shapes = networks.map(({ colour }) => {
      const style = `--slr: var(--slr-${colour})`;
      return { way: draw("polyline", { class: "slr-way", style }), head: draw("circle", { class: "slr-head", r: 6, style }),
        curve: draw("polyline", { class: "slr-curve", style }), dot: draw("circle", { class: "slr-dot", r: 4, style }) };
    });
    const picture = draw("svg", { class: "slr-picture", viewBox: "0 0 400 300", role: "img", "aria-label": model.get("alt") },
      background, trueWay, ...shapes.map(({ way }) => way), trueHead, ...shapes.map(({ head }) => head));
    // time along 0 to 400, distance up to twice the limit along 110 to 10
    const cx = (k) => (40 + (k * 352) / STEPS).toFixed(1), cy = (away) => (100 - 90 * Math.min(away / (2 * limit), 1)).toFixed(1);
    const text = (x, y, words, anchor = "middle") => draw("text", { x, y, "text-anchor": anchor }, words);
    const now = draw("line", { class: "slr-now", y1: 10, y2: 100 });
    const marks = [0, 3, 6, 9, 12].map((time) => text(cx(time / gap), 117, String(time)));
    const curves = draw("svg", { class: "slr-curves", viewBox: "0 0 400 136", "aria-hidden": "true" },
      draw("path", { class: "slr-axis", d: "M40 10V100H392" }), draw("line", { class: "slr-limit", x1: 40, x2: 392, y1: cy(limit), y2: cy(limit) }),
      text(36, 104, "0", "end"), text(36, Number(cy(limit)) + 4, "lost", "end"), ...marks, text(216, 132, "time"), now,
      ...shapes.map(({ curve }) => curve), ...shapes.map(({ dot }) => dot));

    const range = element("input", { type: "range", min: 0, max: STARTS - 1, step: 1 }), shown = element("output", {});
    range.setAttribute("aria-label", "start");
    range.addEventListener("input", () => change(Number(range.value)));
    range.addEventListener("keydown", (event) => event.stopPropagation()); // else Jupyter leaves the cell
    const rows = networks.map(({ name, colour }) => ({ value: element("b", {}), name, style: `--slr: var(--slr-${colour})` }));
    const line = (name, style, value) => {
      const key = element("i", {});
      key.style.cssText = style;
      return element("div", {}, element("span", {}, key, name), value);
    };
    const pause = button("", () => { if (at >= STEPS) at = 0; else paused = !paused; begun = true; show(); run(); }, { className: "slr-pause" });
    const spoken = element("div", { className: "slr-hidden" });
    spoken.setAttribute("aria-live", "polite");
    const side = element("div", { className: "slr-side" },
      element("div", { className: "slr-readings" }, line("the simulator itself", "--slr: var(--slr-truth)", element("b", { textContent: "near it for" })),
        ...rows.map(({ name, style, value }) => line(name, style, value))),
      curves,
      element("label", { className: "slr-slider" }, element("span", {}, "start ", shown), range),
      element("div", { className: "slr-buttons" }, pause, button("Another start", () => change((start + 7) % STARTS))));
    const root = element("div", { className: "slr" }, element("style", { textContent: STYLE }),
      element("div", { className: "slr-row" }, picture, side), spoken);
    el.append(root);

    function show() {
      const whole = Math.min(Math.floor(at), STEPS);
      trueWay.setAttribute("points", points(fine.slice(Math.max(0, (whole - TRAIL) * FINE), whole * FINE + 1)));
      place(trueHead, truth[whole]);
      shapes.forEach(({ way, head, curve, dot }, n) => {
        way.setAttribute("points", points(ways[n].way.slice(Math.max(0, whole - TRAIL), whole + 1)));
        place(head, ways[n].way[whole]);
        curve.setAttribute("points", ways[n].away.slice(0, whole + 1).map((away, k) => `${cx(k)},${cy(away)}`).join(" "));
        dot.setAttribute("cx", cx(whole));
        dot.setAttribute("cy", cy(ways[n].away[whole]));
        const near = stays(ways[n].away, limit), done = whole >= near;
        rows[n].value.textContent = `${done && near < STEPS ? "" : done ? "over " : "… "}${(gap * Math.min(near, whole)).toFixed(1)}`;
      });
      for (const side of ["x1", "x2"]) now.setAttribute(side, cx(whole));
      pause.textContent = at >= STEPS ? "↺ Again" : paused || !begun ? "▶ Go on" : "❚❚ Pause";
      root.dataset.done = at >= STEPS ? "yes" : "no";
      if (at >= STEPS) spoken.textContent = rows.map(({ name, value }) => `${name}: near the simulator for ${value.textContent} time units`).join(". ");
    }
    const place = (node, state) => { node.setAttribute("cx", px(state)); node.setAttribute("cy", py(state)); };

    function run() {
      if (frame || paused || !begun || !seen || at >= STEPS) return;
      last = performance.now();
      frame = requestAnimationFrame(next);
    }
    function next(time) {
      frame = 0;
      if (paused || !seen) return;
      at = Math.min(at + (SPEED * Math.min(Math.max(time - last, 0), 100)) / 1000, STEPS);
      last = time;
      show();
      if (at < STEPS) frame = requestAnimationFrame(next);
    }

    function change(wanted, tell = true) {
      start = wanted;
      const from = startOf(start);
      fine = rolled((state) => simulated(state, gap / FINE), from, STEPS * FINE);
      truth = fine.filter((_, k) => k % FINE === 0);
      ways = networks.map(({ network }) => {
        const way = rolled((state) => answer(network, state), from, STEPS);
        return { way, away: distances(way, truth) };
      });
      background.setAttribute("points", points(fine));
      range.value = start;
      shown.textContent = String(start + 1);
      at = calm ? STEPS : 0;
      paused = false;
      if (tell) begun = true;
      show();
      run();
      if (!tell) return;
      model.set("start", start);
      model.save_changes();
    }

    const follow = () => { if (model.get("start") !== start) change(model.get("start"), false); }; // Python set it
    model.on("change:start", follow);
    const dress = () => {
      const ink = inkOf(root);
      for (const name of Object.keys(PALETTE)) root.style.setProperty(`--slr-${name}`, colourOf(name, ink));
    };
    const forgetTheme = onThemeChange(() => requestAnimationFrame(dress));
    const sight = new IntersectionObserver(([entry]) => {
      seen = calm || entry.isIntersecting;
      begun ||= seen;
      run();
      if (begun) show();
    }, { threshold: 0.3 });
    sight.observe(picture);
    dress();
    change(start, false);
    return () => {
      model.off("change:start", follow);
      sight.disconnect();
      forgetTheme();
      cancelAnimationFrame(frame);
    };
  },
};
