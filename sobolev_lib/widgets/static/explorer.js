// The Explorer: choices on several axes, and the panels that belong to them.
//
// The model holds: spec {axes, play, alt}, selection {axis: option}, frames {key: panels}, blobs {key: base64}. A key is
// the positions of the chosen options, joined by commas. A frame that is not there is asked of the kernel.
import { axisInput } from "./axes.js";
import { colourBar, overlayBar } from "./bars.js";
import { colourOf, inkOf, onThemeChange } from "./common.js";
import { element } from "./elements.js";
import STYLE from "./explorer.css" with { type: "text" };
import { decodeImage, drawImage } from "./images.js";
import { decodeLines, drawLines, swatch } from "./lines.js";
import { PALETTE } from "./palette.js";
import { decodePlane, drawPlane } from "./plane.js";
import { decodeSurface, draw3d, drawMap } from "./surface.js";
import { turnable } from "./turning.js";

const PATIENCE = 20000; // milliseconds
const DECODE = { surface: decodeSurface, line: decodeLines, image: decodeImage, plane: decodePlane };

// What a panel shows, for those who cannot see it.
function describe(panel) {
  if (panel.kind === "line") return `curves ${panel.curves.map((curve) => curve.name).join(", ")}`;
  if (panel.kind === "plane") return `arrows and paths ${panel.curves.map((curve) => curve.name).join(", ")}`;
  if (panel.kind === "surface") return "surface above its gradient field";
  return panel.overlay === undefined ? "image" : `image with an overlay, ${panel.labels.join(" to ")}`;
}

export default {
  render({ model, el }) {
    const spec = model.get("spec");
    const frames = { ...model.get("frames") }, blobs = { ...model.get("blobs") };
    const choice = spec.axes.map((axis) => Math.max(0, axis.options.indexOf(model.get("selection")[axis.name])));
    const view = { turn: 0.6, tilt: 0.5, map: false };
    let panels = [];      // of the frame on show: decoded, each with its canvas
    let shared = null;    // limits that all surfaces of the frame have in common
    let waiting = null;   // key of the frame that the kernel is computing
    let gone = false;     // the kernel was restarted: nobody answers any more
    let patience = 0;     // timer: a kernel that is gone may not say so
    let clock = null;     // interval of the animation

    // --- controls ---------------------------------------------------------------------------------------------
    const controls = element("div", { className: "sbx-controls" });
    const inputs = spec.axes.map((axis, a) => axisInput(axis, (position) => {
      if (axis.numeric) pause();
      choose(a, position);
      if (a === playing) { rewind = false; showPlay(); }
    }));
    controls.append(...inputs.map((input) => input.node));
    const playing = spec.axes.findIndex((axis) => axis.name === spec.play);
    const play = element("button", { type: "button" });
    play.style.minWidth = "6.2em";
    play.addEventListener("click", () => (clock ? pause() : start()));
    if (playing >= 0) controls.prepend(play);
    const flip = element("button", { type: "button" });
    flip.addEventListener("click", () => { view.map = !view.map; showView(); draw(); });
    controls.append(flip);

    // --- page -------------------------------------------------------------------------------------------------
    const row = element("div", { className: "sbx-panels" });
    const bar = element("div", { className: "sbx-bar", ariaHidden: "true" });
    const scale = element("div", { className: "sbx-bar sbx-scale", ariaHidden: "true" });
    const note = element("p", { className: "sbx-note" });
    const spoken = element("p", { className: "sbx-hidden" });
    spoken.setAttribute("aria-live", "polite");
    row.setAttribute("role", "group");
    const root = element("div", { className: "sbx" }, element("style", { textContent: STYLE }), controls, row, bar, scale, note,
      spoken);
    el.append(root);

    // --- choosing a frame -------------------------------------------------------------------------------------
    function choose(axis, position) {
      choice[axis] = position;
      model.set("selection", Object.fromEntries(spec.axes.map((one, a) => [one.name, one.options[choice[a]]])));
      model.save_changes();
      update();
    }

    function update() {
      inputs.forEach((input, a) => input.show(choice[a]));
      const key = choice.join(",");
      if (frames[key]) return show(frames[key]);
      row.classList.add("sbx-busy");
      note.textContent = gone ? "" : "computing…"; // host.js says what to do
      if (gone || waiting !== null) return; // one question at a time: a dragged slider must not queue up work
      waiting = key;
      clearTimeout(patience);
      patience = setTimeout(() => { note.textContent = "computing… If the kernel was restarted, run this cell again."; }, PATIENCE);
      model.send({ type: "frame", key }); // VS Code tells of no restart: it throws here from then on
    }

    function lose() {
      gone = true;
      clearTimeout(patience);
      update();
    }

    function answer(message) {
      if (message.type === "frame") {
        Object.assign(blobs, message.blobs);
        Object.assign(frames, message.frames);
      }
      if (message.key === waiting) {
        waiting = null;
        clearTimeout(patience);
      }
      if (message.type === "error" && message.key === choice.join(",")) {
        note.textContent = spoken.textContent = message.message;
        pause();
      } else {
        update(); // an error of an earlier choice is not shown, but the present one may still be to ask for
      }
    }

    function show(packed) {
      row.classList.remove("sbx-busy");
      note.textContent = "";
      const before = panels;
      panels = packed.map((one, i) => {
        const panel = DECODE[one.kind](one, blobs);
        panel.box = before[i]?.kind === one.kind ? before[i].box : panelBox();
        return panel;
      });
      row.dataset.images = panels.every((panel) => panel.kind === "image") ? "yes" : "no";
      row.replaceChildren(...panels.map((panel) => panel.box.figure));
      dress();
      const surfaces = panels.filter((panel) => panel.kind === "surface");
      const history = surfaces.length && panels.find((panel) => panel.kind === "line");
      if (history) history.box.figure.before(bar); // the colours are told below the surfaces, not below their history
      else row.after(bar);
      shared = surfaces.length ? limits(surfaces, "zrange") : null;
      for (const panel of panels.filter((one) => one.kind === "line")) { // only equal axes share their limits
        panel.shared = limits(panels.filter((other) => other.ylabel === panel.ylabel && other.logy === panel.logy), "yrange");
      }
      flip.hidden = bar.hidden = !shared;
      if (shared) bar.replaceChildren(...colourBar(shared));
      const overlay = panels.find((panel) => panel.overlay !== undefined); // all of a frame have the same legend
      scale.hidden = !overlay;
      if (overlay) scale.replaceChildren(...overlayBar(overlay));
      if (!clock) spoken.textContent = spec.axes.map((axis, a) => `${axis.label} ${axis.text[choice[a]]}`).join(", ") + ". "
        + panels.map((panel) => [panel.title, panel.caption].filter(Boolean).join(": ")).join("; ");
      showView();
      draw();
      for (const panel of panels.filter((one) => one.kind === "image")) {
        const unless = (act) => (result) => { if (panels.includes(panel)) act(result); }; // a later choice has won
        panel.picture.ready.then(unless(() => drawImage(panel.box.canvas, panel)), unless((error) => fail(panel, error)));
      }
    }

    function fail({ box: { canvas } }, error) {
      canvas.width = canvas.height = 1; // no picture rather than the one of another choice
      note.textContent = spoken.textContent = `This image could not be shown: ${error.message}`;
    }

    function limits(alike, name) {
      return {
        low: Math.min(...alike.map((panel) => panel[name][0])), high: Math.max(...alike.map((panel) => panel[name][1])),
        longest: Math.max(...alike.map((panel) => panel.longest ?? 0)),
      };
    }

    function panelBox() {
      const box = { title: element("div", { className: "sbx-title" }), legend: element("div", { className: "sbx-legend" }),
        canvas: element("canvas", { className: "sbx-picture" }), caption: element("p", { className: "sbx-caption" }) };
      box.words = [box.title, box.caption].map((node) => node.appendChild(element("span")));
      box.canvas.setAttribute("role", "img");
      box.figure = element("figure", { className: "sbx-panel" }, box.title, box.legend, box.canvas, box.caption);
      sizes.observe(box.canvas);
      return box;
    }

    // Give everything the colours of the page's theme.
    function dress() {
      const ink = inkOf(root);
      for (const [i, panel] of panels.entries()) {
        Object.assign(panel, { mark: colourOf("points", ink), slopeMark: colourOf("slopes", ink) });
        for (const curve of panel.curves ?? []) {
          Object.assign(curve, { colour: colourOf(curve.look, ink), dash: curve.to ? [] : PALETTE[curve.look].dash }); // arrows are solid
        }
        fillBox(panel, i);
      }
    }

    function fillBox({ box, ...panel }, i) {
      box.figure.dataset.kind = panel.kind;
      [panel.title, panel.caption].forEach((text, k) => { box.words[k].textContent = text; });
      [box.title.dataset.longest, box.caption.dataset.longest] = longest(i);
      box.legend.hidden = !panel.curves;
      if (panel.size) box.canvas.style.aspectRatio = panel.size.join(" / ");
      box.legend.replaceChildren(...(panel.curves ?? []).map((curve) => element("span", {}, swatch(curve), curve.name)));
      box.canvas.setAttribute("aria-label", [panel.title, describe(panel), panel.caption].filter(Boolean).join(": "));
    }

    // The longest texts that panel i has in any frame at hand: their lines are kept free.
    function longest(i) {
      const alike = Object.values(frames).map((packed) => packed[i]).filter(Boolean);
      return ["title", "caption"].map((name) => alike.reduce((most, panel) => (panel[name].length > most.length ? panel[name] : most), ""));
    }

    function showView() {
      flip.textContent = view.map ? "Show in 3-D" : "Show as map";
      const turns = shared && !view.map;
      row.tabIndex = turns ? 0 : -1;
      row.setAttribute("aria-label", spec.alt + (turns ? " Drag, or press the arrow keys, to turn the view." : ""));
      row.dataset.turns = turns ? "yes" : "no";
    }

    function draw() {
      for (const panel of panels) {
        const { canvas } = panel.box;
        if (!canvas.clientWidth) continue;
        if (panel.kind === "line") drawLines(canvas, panel, panel.shared);
        else if (panel.kind === "image") drawImage(canvas, panel);
        else if (panel.kind === "plane") drawPlane(canvas, panel);
        else if (view.map) drawMap(canvas, panel, shared);
        else draw3d(canvas, panel, view, shared);
      }
    }

    let redraw = 0; // all panels turn together
    turnable(row, view, () => shared && !view.map, () => {
      cancelAnimationFrame(redraw);
      redraw = requestAnimationFrame(draw);
    });

    // --- animation --------------------------------------------------------------------------------------------
    let rewind = spec.paused; // it stands at a chosen step, and the first press starts from the beginning
    const over = () => rewind || (playing >= 0 && choice[playing] === spec.axes[playing].options.length - 1);
    const showPlay = () => { play.textContent = clock ? "❚❚ Pause" : over() ? "▶ Replay" : "▶ Play"; };
    function start() {
      const count = spec.axes[playing].options.length;
      if (over()) choose(playing, 0);
      rewind = false;
      clock = setInterval(() => {
        if (waiting !== null || document.hidden) return;
        if (choice[playing] >= count - 1) pause();
        else choose(playing, choice[playing] + 1);
      }, Math.min(Math.max(6000 / count, 80), 700));
      showPlay();
    }
    function pause() {
      if (!clock) return;
      clearInterval(clock);
      clock = null;
      showPlay();
      update(); // says aloud where it stopped
    }
    const count = spec.axes.reduce((product, axis) => product * axis.options.length, 1);
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    let untouched = playing >= 0 && !calm && !spec.paused && Object.keys(frames).length === count;
    const sight = new IntersectionObserver(([entry]) => {
      if (!entry.isIntersecting) pause();
      else if (untouched) { untouched = false; choose(playing, 0); start(); }
    }, { threshold: 0.3 });
    sight.observe(row);
    controls.addEventListener("pointerdown", () => { untouched = false; });

    // --- the world around -------------------------------------------------------------------------------------
    const sizes = new ResizeObserver(draw);
    const forget = onThemeChange(() => requestAnimationFrame(() => { dress(); draw(); }));
    const follow = () => { // Python set the selection
      const wanted = model.get("selection");
      const positions = spec.axes.map((axis) => axis.options.indexOf(wanted[axis.name]));
      if (positions.some((position, a) => position >= 0 && position !== choice[a])) {
        positions.forEach((position, a) => { choice[a] = position; });
        update();
      }
    };
    model.on("change:selection", follow);
    model.on("msg:custom", answer);
    model.on("comm_live_update", lose);
    update();
    showPlay();
    return () => {
      pause();
      clearTimeout(patience);
      model.off("comm_live_update", lose);
      model.off("change:selection", follow);
      model.off("msg:custom", answer);
      sizes.disconnect();
      sight.disconnect();
      forget();
    };
  },
};
