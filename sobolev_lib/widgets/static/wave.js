// The wave: six points with a value and a slope each, to be dragged, and two networks that follow them at once.
//
// The model holds: points [[x, value, slope] x 6], told (whether the second network is told the slopes), weights
// [{ weight, bias }] as base64, start as points were at first, alt;
// errors { regular, sobolev } are reported at rest.
import { unpack8 } from "./base64.js";
import { colourOf, format, inkOf, onThemeChange } from "./common.js";
import { button, element } from "./elements.js";
import { PALETTE } from "./palette.js";
import { miss, STEPS, WaveFit } from "./wave_fit.js";
import { LOOK } from "./wave_look.js";
import { Picture, stroke } from "./wave_picture.js";
import { allowed, GRID, truthThrough } from "./wave_truth.js";

const SECOND = 1000;  // milliseconds that a run takes where the device keeps up
const BUDGET = 12;    // milliseconds of a picture's 16 that training may take
const PATIENCE = 600; // milliseconds between the picture's coming into sight and the first run
const THINGS = ["truth", "regular", "sobolev", "points", "slopes"];
const TOLD = ["values only", "values and slopes"];
const MOVES = { ArrowLeft: [-0.05, 0, 0], ArrowRight: [0.05, 0, 0], ArrowUp: [0, 0.1, 0], ArrowDown: [0, -0.1, 0],
  PageUp: [0, 0.5, 0], PageDown: [0, -0.5, 0] };
const TURNS = { ArrowLeft: 0.25, ArrowUp: 0.25, ArrowRight: -0.25, ArrowDown: -0.25 };

export function sentence([regular, sobolev], told, left) {
  if (left === STEPS) return "Both networks start alike.";
  if (!told) return "Without the slopes the two networks are one and the same.";
  const times = regular / sobolev, about = (ratio) => (ratio < 10 ? ratio.toFixed(1) : format(Math.round(ratio)));
  if (times > 1.1) return `Told the slopes too, a network comes ${about(times)} times as close to the truth.`;
  if (times < 1 / 1.1) return `Here the slopes do harm: values alone come ${about(1 / times)} times as close to the truth.`;
  return "Here both come about equally close to the truth.";
}

export default {
  render({ model, el }) {
    const start = model.get("start");
    const floats = (text) => new Float32Array(unpack8(text).buffer);
    const layers = model.get("weights").map(({ weight, bias }) => ({ weight: floats(weight), bias: floats(bias) }));
    const fit = new WaveFit(start, layers);
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    let points = model.get("points").map((point) => [...point]), told = model.get("told"), truth = [], errors = [NaN, NaN];
    let paused = false, waiting = !calm, frame = 0, last = 0, due = 0; // waiting: for the reader's eye to arrive

    // --- page ---------------------------------------------------------------------------------------------------
    const paint = (name) => `var(--swv-${name})`;
    const dashes = (name) => PALETTE[name].dash.map((length) => 1.5 * length).join(" ");
    const curves = THINGS.slice(0, 3).map((name) => ({ paint: paint(name), dash: dashes(name) }));
    const picture = new Picture(points.length, curves, { points: paint("points"), slopes: paint("slopes") });
    picture.node.setAttribute("aria-label", model.get("alt"));
    const numbers = [element("em", { textContent: "typical miss:" }), element("b", {}), element("b", {})];
    const legend = element("div", { className: "swv-row" }, ...["the truth", ...TOLD].map((name, k) =>
      element("div", {}, element("span", {}, stroke(curves[k]), name), numbers[k])));
    const says = element("div", { className: "swv-says" });
    const spoken = element("div", { className: "swv-hidden" });
    spoken.setAttribute("aria-live", "polite");
    const forget = button("Forget the slopes", () => tell(!told));
    const pause = button("", () => { paused = !paused; showPause(); run(); }, { className: "swv-pause" });
    const buttons = element("div", { className: "swv-buttons" }, button("Reset", reset), forget, pause);
    const keys = " With the keyboard: arrow keys move a point, Shift and an arrow key turn its slope.";
    const hint = element("div", { className: "swv-hint" }, "Drag a point, or the ring at its tangent's end.",
      element("span", { className: "swv-keys", textContent: keys }));
    const root = element("div", { className: "swv swv-fresh" }, element("style", { textContent: LOOK }), legend,
      picture.node, says, buttons, hint, spoken);
    el.append(root);

    // --- training -----------------------------------------------------------------------------------------------
    function run() {
      if (frame) return;
      last = performance.now();
      due = 0;
      frame = requestAnimationFrame(advance);
    }

    // One picture: as many steps as are due by the clock, or, for who wants no motion, all that are left.
    function advance(now) {
      frame = 0;
      const begun = performance.now();
      due = Math.min(due + Math.max(now - last, 0) * STEPS / SECOND, STEPS);
      last = now;
      const trains = !paused && !waiting;
      while (trains && fit.left > 0 && (calm || (due >= 1 && performance.now() - begun < BUDGET))) { fit.step(); due -= 1; }
      show();
      if (trains && fit.left > 0) frame = requestAnimationFrame(advance);
      else if (!waiting) rest();
    }

    function show() {
      const lines = [0, 1].map((k) => fit.curve(k));
      lines.forEach((line, k) => picture.showCurve(k + 1, line));
      errors = lines.map((line) => miss(line, truth));
      errors.forEach((error, k) => { numbers[k + 1].textContent = error >= 0.001 && error < 9.95 ? error.toPrecision(2) : format(error); });
      says.textContent = sentence(errors, told, fit.left);
    }

    function rest() {
      const misses = TOLD.map((name, k) => `${name} ${numbers[k + 1].textContent}`).join(", ");
      spoken.textContent = `${says.textContent} Typical miss: ${misses}.`;
      model.set("errors", { regular: errors[0], sobolev: errors[1] });
      model.save_changes();
      root.dataset.rest = paused ? "paused" : "yes";
    }

    // --- changes ------------------------------------------------------------------------------------------------
    function changed() { // the points, the networks or what they are told
      truth = Array.from(GRID, truthThrough(points));
      picture.showCurve(0, truth);
      picture.showPoints(points);
      root.classList.toggle("swv-untold", !told);
      root.dataset.rest = "no";
      run();
    }

    function move(i, wanted) {
      const point = allowed(points, i, wanted);
      if (point.every((one, c) => one === points[i][c])) return;
      points = points.map((other, k) => (k === i ? point : other));
      root.classList.remove("swv-fresh");
      fit.follow(points);
      changed();
      model.set("points", points.map((one) => [...one]));
      model.save_changes();
    }

    function tell(yes) {
      told = yes;
      forget.textContent = told ? "Forget the slopes" : "Tell the slopes";
      fit.restart(points, told); // a network that has learned from slopes does not forget them by itself
      changed();
      model.set("told", told);
      model.save_changes();
    }

    function reset() {
      points = start.map((point) => [...point]);
      paused = false;
      showPause();
      model.set("points", points.map((one) => [...one]));
      tell(true);
    }

    function showPause() {
      pause.textContent = paused ? "▶ Train" : "❚❚ Pause";
    }

    // --- hands --------------------------------------------------------------------------------------------------
    picture.points.forEach(({ node, grips }, i) => {
      let held = null; // { x, y }: from the pointer to what it holds
      for (const grip of grips) {
        const turns = grip.dataset.grip === "slope";
        const at = (event) => {
          const box = picture.node.getBoundingClientRect();
          return [event.clientX - box.left, event.clientY - box.top];
        };
        grip.addEventListener("pointerdown", (event) => {
          if (event.button) return;
          event.preventDefault(); // else the browser selects text
          grip.setPointerCapture(event.pointerId);
          node.focus({ preventScroll: true, focusVisible: false });
          const [x, y] = at(event), [cx, cy] = ["cx", "cy"].map((name) => Number(grip.getAttribute(name)));
          held = { x: cx - x, y: cy - y, side: picture.side(i, points) };
        });
        grip.addEventListener("pointermove", (event) => {
          if (!held) return;
          const { px, py, x, y, kx, ky } = picture.scale, [atX, atY] = at(event);
          const [toX, toY] = [atX + held.x, atY + held.y], [old, value, slope] = points[i];
          if (!turns) return move(i, [x(toX), y(toY), slope]);
          const along = Math.max(held.side * (toX - px(old)), 3), up = held.side * (py(value) - toY);
          return move(i, [old, value, (up / ky) / (along / kx)]);
        });
        for (const end of ["pointerup", "pointercancel"]) grip.addEventListener(end, () => { held = null; });
      }
      node.addEventListener("keydown", (event) => {
        const by = event.shiftKey ? TURNS[event.key] && [0, 0, TURNS[event.key]] : MOVES[event.key];
        if (!by || event.ctrlKey || event.metaKey || event.altKey) return;
        event.preventDefault(); // else the page scrolls
        event.stopPropagation(); // else the book turns a page, or Jupyter leaves the cell
        move(i, points[i].map((one, c) => one + by[c]));
      });
    });

    // --- the world around ---------------------------------------------------------------------------------------
    const follow = () => { // Python set something
      const wanted = model.get("points");
      if (model.get("told") !== told) tell(model.get("told"));
      if (JSON.stringify(wanted) === JSON.stringify(points)) return;
      points = wanted.map((point) => [...point]);
      fit.follow(points);
      changed();
    };
    for (const name of ["points", "told"]) model.on(`change:${name}`, follow);
    const dress = () => {
      const ink = inkOf(root);
      for (const name of THINGS) root.style.setProperty(`--swv-${name}`, colourOf(name, ink));
    };
    const forgetTheme = onThemeChange(() => requestAnimationFrame(dress));
    const sizes = new ResizeObserver(() => { picture.fit(); changed(); });
    sizes.observe(picture.node);
    const sight = new IntersectionObserver(([entry]) => {
      if (!entry.isIntersecting) return;
      sight.disconnect();
      setTimeout(() => { waiting = false; run(); }, PATIENCE);
    }, { threshold: 0.5 });
    if (waiting) sight.observe(picture.node);
    dress();
    showPause();
    picture.fit();
    tell(told);
    return () => {
      for (const name of ["points", "told"]) model.off(`change:${name}`, follow);
      sizes.disconnect();
      sight.disconnect();
      forgetTheme();
      cancelAnimationFrame(frame);
    };
  },
};
