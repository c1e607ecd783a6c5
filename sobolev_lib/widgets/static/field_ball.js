// FieldBall: a field of arrows, which a slider turns, and a ball that the reader drops into it. The ball rolls along the arrows.
//
// The model holds: landscape ("bowl" or "valleys"), angle (degrees, 0 to 90), start [x, y], alt. At 0 degrees the arrows
// are the downhill slopes of the landscape; at 90 they run along its height lines.
import { colourOf, inkOf, onThemeChange } from "./common.js";
import { button, draw, element } from "./elements.js";
import { PALETTE } from "./palette.js";
import { aroundLoop, arrowAt, asymmetryAt, heightLines, LANDSCAPES, placeFor, REACH, rolled, sentence, STEP } from "./field_ball_model.js";
import STYLE from "./field_ball.css" with { type: "text" };

const LONGEST = 90;    // the ball's time until it is stopped
const SPEED = 1.7;     // of the ball's time in a second
const PATIENCE = 500;  // milliseconds between the picture's coming into sight and the first run
const STILL = 0.004;   // where arrows are shorter the ball is at rest
const ARROWS = 13;
const KEYS = { ArrowLeft: [-0.1, 0], ArrowRight: [0.1, 0], ArrowUp: [0, 0.1], ArrowDown: [0, -0.1] };

// --- page -----------------------------------------------------------------------------------------------------------

// In a picture of 400 by 400 units.
const px = (x) => (200 + 100 * x).toFixed(1), py = (y) => (200 - 100 * y).toFixed(1);
const number = (value) => (Math.abs(value) < 0.005 ? "0" : value.toFixed(2).replace("-", "−"));

export default {
  render({ model, el }) {
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    let landscape = model.get("landscape"), angle = model.get("angle"), start = placeFor(landscape, model.get("start"));
    let ball = start, time = 0, turned = 0, heading = null, trail = [], rest = false;
    let paused = false, waiting = !calm, seen = calm, frame = 0, last = 0;

    const lines = draw("path", { class: "sfb-lines" }), arrows = draw("path", { class: "sfb-arrows" });
    const loop = draw("circle", { class: "sfb-loop", cx: 200, cy: 200 }), way = draw("polyline", { class: "sfb-way" });
    const disc = draw("circle", { class: "sfb-ball", r: 8 });
    const handle = draw("g", { class: "sfb-handle", role: "slider", tabindex: 0, "aria-label": "Where the ball is dropped: distance from the middle",
      "aria-valuemin": 0, "aria-valuemax": 2.3 }, draw("circle", { class: "sfb-grip", r: 22 }),
      draw("circle", { class: "sfb-ring", r: 13 }), draw("circle", { class: "sfb-start", r: 7 }));
    const picture = draw("svg", { class: "sfb-picture", viewBox: "0 0 400 400", role: "group", "aria-label": model.get("alt") },
      draw("rect", { class: "sfb-frame", x: 0.5, y: 0.5, width: 399, height: 399 }), lines, arrows, loop, way, handle, disc);

    const range = element("input", { type: "range", min: 0, max: 90, step: 5 }), shown = element("output", {});
    range.setAttribute("aria-label", "arrows turned by");
    range.addEventListener("input", () => change({ angle: Number(range.value) }));
    range.addEventListener("keydown", (event) => event.stopPropagation()); // else Jupyter leaves the cell
    const kinds = Object.entries(LANDSCAPES).map(([key, { name }]) => button(name, () => change({ landscape: key })));
    const pause = button("", () => { paused = !paused; show(); run(); }, { className: "sfb-pause" });
    const again = button("Drop it again", () => { paused = false; drop(); });
    const readings = ["Jacobian's asymmetry at the ball", "arrows along the dashed loop, in all", "every gradient is off on it by at least"]
      .map((name) => ({ name, value: element("b", {}) }));
    const says = element("p", { className: "sfb-says" }), spoken = element("div", { className: "sfb-hidden" });
    spoken.setAttribute("aria-live", "polite");
    const side = element("div", { className: "sfb-side" },
      element("div", { className: "sfb-buttons" }, ...kinds),
      element("label", { className: "sfb-slider" }, element("span", {}, "arrows turned by ", shown), range),
      element("div", { className: "sfb-readings" }, ...readings.map(({ name, value }) => element("div", {}, element("span", {}, name), value))),
      says, element("div", { className: "sfb-buttons" }, again, pause),
      element("p", { className: "sfb-hint", textContent: "Click to drop the ball elsewhere, or focus its ring and press arrow keys." }));
    const root = element("div", { className: "sfb" }, element("style", { textContent: STYLE }),
      element("div", { className: "sfb-row" }, picture, side), spoken);
    el.append(root);

    // --- the ball -------------------------------------------------------------------------------------------------
    function drop() {
      [ball, time, turned, heading, rest] = [start, 0, 0, null, false];
      trail = [start];
      advance(0);
      if (calm) advance(LONGEST);
      show();
      run();
    }

    function advance(until) {
      for (; ;) {
        const [a, b] = arrowAt(landscape, angle, ball);
        rest = Math.hypot(a, b) < STILL;
        const now = Math.atan2(b, a);
        if (heading !== null && !rest) turned += Math.atan2(Math.sin(now - heading), Math.cos(now - heading));
        heading = now;
        if (rest || time >= Math.min(until, LONGEST)) return;
        ball = rolled(landscape, angle, ball);
        time += STEP;
        const [x, y] = trail.at(-1);
        if (Math.hypot(ball[0] - x, ball[1] - y) > 0.02) trail.push(ball);
        if (trail.length > 4000) trail.splice(0, 1000); // what is lost lies below the later laps
      }
    }

    const done = () => rest || time >= LONGEST;
    function run() {
      if (frame || paused || waiting || !seen || done()) return;
      last = performance.now();
      frame = requestAnimationFrame(next);
    }
    function next(now) {
      frame = 0;
      if (paused || !seen) return;
      advance(time + (SPEED * Math.min(Math.max(now - last, 0), 100)) / 1000);
      last = now;
      show();
      if (!done()) frame = requestAnimationFrame(next);
    }

    // --- drawing --------------------------------------------------------------------------------------------------
    function show() {
      way.setAttribute("points", [...trail, ball].map(([x, y]) => `${px(x)},${py(y)}`).join(" "));
      disc.setAttribute("cx", px(ball[0]));
      disc.setAttribute("cy", py(ball[1]));
      readings[0].value.textContent = number(asymmetryAt(landscape, angle, ball));
      const turns = Math.floor(Math.abs(turned) / (2 * Math.PI) + 1e-6), text = sentence({ angle, rest, turns, over: time >= LONGEST });
      if (says.textContent !== text) says.textContent = text;
      if (done() && spoken.textContent !== text) spoken.textContent = text;
      pause.textContent = paused ? "▶ Roll" : "❚❚ Pause";
      root.dataset.rest = done() ? "yes" : "no";
    }

    function showField() {
      const cell = (2 * REACH) / ARROWS, middle = (k) => -REACH + (k + 0.5) * cell;
      let path = "";
      for (let i = 0; i < ARROWS; i++) {
        for (let j = 0; j < ARROWS; j++) {
          const at = [middle(i), middle(j)], [a, b] = arrowAt(landscape, angle, at), size = Math.hypot(a, b);
          if (size < 1e-9) continue;
          // square roots, so that short arrows are seen too
          const long = 0.9 * cell * Math.min(Math.sqrt(size / 3), 1), [ux, uy] = [(a / size) * long, (b / size) * long];
          const [hx, hy] = [at[0] + ux / 2, at[1] + uy / 2], head = 0.38;
          path += `M${px(at[0] - ux / 2)} ${py(at[1] - uy / 2)}L${px(hx)} ${py(hy)}`;
          for (const turn of [-0.5, 0.5]) path += `M${px(hx)} ${py(hy)}L${px(hx - head * (ux + turn * uy))} ${py(hy - head * (uy - turn * ux))}`;
        }
      }
      arrows.setAttribute("d", path);
      lines.setAttribute("d", heightLines(LANDSCAPES[landscape]).map(([[a, b], [c, d]]) => `M${px(a)} ${py(b)}L${px(c)} ${py(d)}`).join(""));
      const r = Math.hypot(...start), [sum, length] = aroundLoop(landscape, angle, start);
      loop.setAttribute("r", (100 * r).toFixed(1));
      readings[1].value.textContent = number(sum);
      readings[2].value.textContent = number(length > 1e-9 ? sum / length : 0);
      handle.setAttribute("transform", `translate(${px(start[0])} ${py(start[1])})`);
      handle.setAttribute("aria-valuenow", r.toFixed(2));
      const side = (value, [plus, minus]) => `${Math.abs(value).toFixed(2)} ${value < 0 ? minus : plus}`;
      handle.setAttribute("aria-valuetext", `${side(start[0], ["right", "left"])}, ${side(start[1], ["up", "down"])}`);
      kinds.forEach((node, k) => node.setAttribute("aria-pressed", String(Object.keys(LANDSCAPES)[k] === landscape)));
      range.value = angle;
      shown.textContent = `${angle}°`;
      range.setAttribute("aria-valuetext", `${angle} degrees`);
    }

    // --- changes --------------------------------------------------------------------------------------------------
    function change(wanted, tell = true) {
      landscape = wanted.landscape ?? landscape;
      angle = wanted.angle ?? angle;
      start = placeFor(landscape, wanted.start ?? start);
      paused = false;
      if (tell) waiting = false; // the reader has begun
      showField();
      drop();
      if (!tell) return;
      model.set("landscape", landscape);
      model.set("angle", angle);
      model.set("start", [...start]);
      model.save_changes();
    }
    const at = (event) => {
      const box = picture.getBoundingClientRect();
      return [((event.clientX - box.left) / box.width - 0.5) * 2 * REACH, (0.5 - (event.clientY - box.top) / box.height) * 2 * REACH];
    };
    let held = false;
    picture.addEventListener("click", (event) => { if (!handle.contains(event.target)) change({ start: at(event) }); });
    handle.addEventListener("pointerdown", (event) => {
      if (event.button) return;
      event.preventDefault(); // else the browser selects text
      handle.setPointerCapture(event.pointerId);
      handle.focus({ preventScroll: true, focusVisible: false });
      held = true;
    });
    handle.addEventListener("pointermove", (event) => { if (held) change({ start: at(event) }); });
    for (const end of ["pointerup", "pointercancel"]) handle.addEventListener(end, () => { held = false; });
    handle.addEventListener("keydown", (event) => {
      const by = KEYS[event.key], again = event.key === "Enter" || event.key === " ";
      if ((!by && !again) || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault(); // else the page scrolls
      event.stopPropagation(); // else the book turns a page, or Jupyter leaves the cell
      change(by ? { start: start.map((one, k) => one + by[k]) } : {});
    });

    // --- the world around -----------------------------------------------------------------------------------------
    const NAMES = ["landscape", "angle", "start"];
    const follow = () => { // Python set something
      const wanted = Object.fromEntries(NAMES.map((name) => [name, model.get(name)]));
      if (wanted.landscape === landscape && wanted.angle === angle && wanted.start.every((one, k) => one === start[k])) return;
      change(wanted, false);
    };
    for (const name of NAMES) model.on(`change:${name}`, follow);
    const dress = () => {
      const ink = inkOf(root);
      for (const name of ["slopes", "points", "other3"]) root.style.setProperty(`--sfb-${name}`, colourOf(name, ink));
      root.style.setProperty("--sfb-dash", PALETTE.other3.dash.join(" "));
    };
    const forgetTheme = onThemeChange(() => requestAnimationFrame(dress));
    const sight = new IntersectionObserver(([entry]) => {
      seen = calm || entry.isIntersecting;
      if (seen && waiting) setTimeout(() => { waiting = false; run(); }, PATIENCE);
      else run();
    }, { threshold: 0.3 });
    sight.observe(picture);
    dress();
    change({}, false);
    return () => {
      for (const name of NAMES) model.off(`change:${name}`, follow);
      sight.disconnect();
      forgetTheme();
      cancelAnimationFrame(frame);
    };
  },
};
