// The Explorer: choices on several axes, and the panels that belong to them.
//
// The model holds: spec {axes, play, alt}, selection {axis: option}, frames {key: panels}, blobs {key: base64}. A key is
// the positions of the chosen options, joined by commas. A frame that is not there is asked of the kernel.
import { colourGradient, format, onThemeChange, ticks } from "./common.js";
import { decodeImage, drawImage, overlayGradient } from "./images.js";
import { decodeLines, drawLines, swatch } from "./lines.js";
import { decodeSurface, draw3d, drawMap } from "./surface.js";

const STYLE = `
.sbx { color: var(--pst-color-text-base, var(--jp-content-font-color1, var(--colab-primary-text-color, inherit)));
  font: 14px/1.4 system-ui, sans-serif; max-width: 100%; padding: .25rem; }
.sbx * { box-sizing: border-box; }
.sbx-controls { display: flex; flex-wrap: wrap; gap: .5rem 1rem; align-items: end; margin: .25rem 0 .75rem; }
.sbx-controls label { display: flex; flex-direction: column; gap: .15rem; font-size: 13px; }
.sbx-controls label > span { display: flex; gap: .5rem; justify-content: space-between; }
.sbx-controls output { font-weight: 600; font-variant-numeric: tabular-nums; }
.sbx select, .sbx button { font: inherit; color: inherit; background: transparent; min-height: 2.25rem;
  border: 1px solid currentColor; border-radius: 5px; padding: .2rem .6rem; cursor: pointer; max-width: 100%; }
.sbx select option { color: #222; background: #fff; }
.sbx input[type=range] { width: 10rem; max-width: 100%; height: 2.25rem; margin: 0; accent-color: #0072b2; }
.sbx :focus-visible { outline: 3px solid #3d9be0; outline-offset: 2px; }
.sbx-panels { display: grid; gap: .75rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 13rem), 1fr));
  margin-bottom: .5rem; }
.sbx-panel { margin: 0; min-width: 0; max-width: 30rem; }
.sbx-panel canvas { display: block; width: 100%; aspect-ratio: 1; border-radius: 5px; }
.sbx-panel[data-kind=line] { max-width: 44rem; }
.sbx-panel[data-kind=line] canvas { aspect-ratio: 4 / 3; }
.sbx-panels[data-images=yes] { grid-template-columns: repeat(auto-fit, minmax(min(100%, 9rem), 1fr)); }
.sbx-panel[data-kind=image] canvas { image-rendering: pixelated; outline: 1px solid rgb(128 128 128 / .6); border-radius: 0; }
.sbx-panel[data-kind=image] .sbx-caption { margin-top: .3rem; }
.sbx-panels[data-images=yes] .sbx-legend { display: none; }
.sbx-panels[data-images=yes] .sbx-title { margin-bottom: .15rem; }
.sbx-panels[data-turns=yes] canvas { cursor: grab; touch-action: pan-y; }
.sbx-title { font-weight: 600; text-align: center; min-height: 1.4em; }
.sbx-legend { display: flex; flex-wrap: wrap; gap: 0 .9rem; justify-content: center; font-size: 13px; min-height: 1.4em; }
.sbx-legend span { display: inline-flex; gap: .3rem; align-items: center; }
.sbx-caption { margin: .1rem 0 0; text-align: center; font-size: 13px; min-height: 2.8em; font-variant-numeric: tabular-nums; }
.sbx-bar { max-width: 26rem; margin: 0 auto; font-size: 12px; }
.sbx-bar i { display: block; height: 10px; border-radius: 2px; }
.sbx-bar div { position: relative; height: 1.5em; }
.sbx-bar span { position: absolute; transform: translateX(-50%); white-space: nowrap; }
.sbx-scale div { display: flex; justify-content: space-between; gap: 1rem; height: auto; min-height: 1.5em; }
.sbx-scale span { position: static; transform: none; white-space: normal; }
.sbx-note { min-height: 1.4em; margin: .2rem 0 0; font-size: 13px; text-align: center; }
.sbx-hidden { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
.sbx-busy { opacity: .45; }`;

const DECODE = { surface: decodeSurface, line: decodeLines, image: decodeImage };

// What a panel shows, for those who cannot see it.
function describe(panel) {
  if (panel.kind === "line") return `curves ${panel.curves.map((curve) => curve.name).join(", ")}`;
  if (panel.kind === "surface") return "surface above its gradient field";
  return panel.overlay === undefined ? "image" : `image with an overlay, ${panel.labels.join(" to ")}`;
}

function make(tag, properties = {}, ...children) {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children);
  return node;
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
    let clock = null;     // interval of the animation

    // --- controls ---------------------------------------------------------------------------------------------
    const controls = make("div", { className: "sbx-controls" });
    const inputs = spec.axes.map((axis, a) => {
      const last = axis.options.length - 1;
      if (!axis.numeric) {
        const select = make("select", {}, ...axis.text.map((text, i) => make("option", { value: i, textContent: text })));
        select.addEventListener("change", () => choose(a, select.selectedIndex));
        controls.append(make("label", {}, make("span", { textContent: axis.label }), select));
        return { show: (i) => { select.selectedIndex = i; } };
      }
      const range = make("input", { type: "range", min: 0, max: last, step: 1, disabled: last === 0 });
      const output = make("output", {});
      range.setAttribute("aria-label", axis.label);
      range.addEventListener("input", () => { pause(); choose(a, Number(range.value)); });
      const box = make("label", {}, make("span", {}, axis.label, output), range);
      const longest = Math.max(...axis.text.map((text) => text.length));
      output.style.minWidth = `${longest}ch`; // a longer number must not move its neighbours
      output.style.textAlign = "right";
      controls.append(box);
      return { show: (i) => {
        range.value = i;
        output.textContent = axis.text[i];
        range.setAttribute("aria-valuetext", axis.text[i]);
      } };
    });
    const playing = spec.axes.findIndex((axis) => axis.name === spec.play);
    const play = make("button", { type: "button", textContent: "▶ Play" });
    play.style.minWidth = "6.2em";
    play.addEventListener("click", () => (clock ? pause() : start()));
    if (playing >= 0) controls.prepend(play);
    const flip = make("button", { type: "button" });
    flip.addEventListener("click", () => { view.map = !view.map; showView(); draw(); });
    controls.append(flip);

    // --- page -------------------------------------------------------------------------------------------------
    const row = make("div", { className: "sbx-panels" });
    const bar = make("div", { className: "sbx-bar", ariaHidden: "true" });
    const scale = make("div", { className: "sbx-bar sbx-scale", ariaHidden: "true" });
    const note = make("p", { className: "sbx-note" });
    const spoken = make("p", { className: "sbx-hidden" });
    spoken.setAttribute("aria-live", "polite");
    row.setAttribute("role", "group");
    const root = make("div", { className: "sbx" }, make("style", { textContent: STYLE }), controls, row, bar, scale, note,
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
      note.textContent = "computing…";
      if (waiting === null) { // one question at a time: a dragged slider must not queue up work
        waiting = key;
        model.send({ type: "frame", key });
      }
    }

    function answer(message) {
      if (message.type === "frame") {
        Object.assign(blobs, message.blobs);
        Object.assign(frames, message.frames);
      }
      if (message.key === waiting) waiting = null;
      if (message.type === "error" && message.key === choice.join(",")) {
        note.textContent = spoken.textContent = message.message;
        pause();
      } else if (message.type === "frame") {
        update();
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
      for (const panel of panels) fillBox(panel);
      const surfaces = panels.filter((panel) => panel.kind === "surface");
      shared = surfaces.length ? limits(surfaces, "zrange") : null;
      for (const panel of panels.filter((one) => one.kind === "line")) { // only equal axes share their limits
        panel.shared = limits(panels.filter((other) => other.ylabel === panel.ylabel && other.logy === panel.logy), "yrange");
      }
      flip.hidden = bar.hidden = !shared;
      if (shared) showBar(shared);
      const overlay = panels.find((panel) => panel.overlay !== undefined); // all of a frame have the same legend
      scale.hidden = !overlay;
      if (overlay) showScale(overlay);
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
      const box = { title: make("div", { className: "sbx-title" }), legend: make("div", { className: "sbx-legend" }),
        canvas: make("canvas"), caption: make("p", { className: "sbx-caption" }) };
      box.canvas.setAttribute("role", "img");
      box.figure = make("figure", { className: "sbx-panel" }, box.title, box.legend, box.canvas, box.caption);
      sizes.observe(box.canvas);
      return box;
    }

    function fillBox({ box, ...panel }) {
      box.figure.dataset.kind = panel.kind;
      box.title.textContent = panel.title;
      box.caption.textContent = panel.caption;
      box.legend.hidden = panel.kind !== "line";
      if (panel.size) box.canvas.style.aspectRatio = panel.size.join(" / ");
      box.legend.replaceChildren(...(panel.curves ?? []).map((curve) => make("span", {}, swatch(curve), curve.name)));
      box.canvas.setAttribute("aria-label", [panel.title, describe(panel), panel.caption].filter(Boolean).join(": "));
    }

    function showBar({ low, high }) {
      const marks = ticks(low, high, 4).map((value) => {
        const mark = make("span", { textContent: format(value) });
        mark.style.left = `${(100 * (value - low)) / (high - low || 1)}%`;
        return mark;
      });
      const strip = make("i");
      strip.style.background = colourGradient();
      bar.replaceChildren(strip, make("div", {}, ...marks));
    }

    function showScale({ colours, labels }) {
      const strip = make("i");
      strip.style.background = overlayGradient(colours);
      scale.replaceChildren(strip, make("div", {}, ...labels.map((text) => make("span", { textContent: text }))));
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
        else if (view.map) drawMap(canvas, panel, shared);
        else draw3d(canvas, panel, view, shared);
      }
    }

    // --- turning: all panels together -------------------------------------------------------------------------
    let redraw = 0;
    function turn(by, up) {
      if (view.map || !shared) return;
      view.turn += by;
      view.tilt = Math.min(Math.max(view.tilt + up, 0.08), 1.5);
      cancelAnimationFrame(redraw);
      redraw = requestAnimationFrame(draw);
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
    const KEYS = { ArrowLeft: [-0.12, 0], ArrowRight: [0.12, 0], ArrowUp: [0, 0.08], ArrowDown: [0, -0.08] };
    row.addEventListener("keydown", (event) => {
      if (!KEYS[event.key] || view.map || !shared) return;
      event.preventDefault(); // else the page scrolls
      event.stopPropagation(); // else the book turns a page, or Jupyter leaves the cell
      turn(...KEYS[event.key]);
    });

    // --- animation --------------------------------------------------------------------------------------------
    function start() {
      const count = spec.axes[playing].options.length;
      if (choice[playing] === count - 1) choose(playing, 0);
      clock = setInterval(() => {
        if (waiting !== null || document.hidden) return;
        if (choice[playing] >= count - 1) pause();
        else choose(playing, choice[playing] + 1);
      }, Math.min(Math.max(6000 / count, 80), 700));
      play.textContent = "❚❚ Pause";
    }
    function pause() {
      if (!clock) return;
      clearInterval(clock);
      clock = null;
      play.textContent = "▶ Play";
      update(); // says aloud where it stopped
    }
    const count = spec.axes.reduce((product, axis) => product * axis.options.length, 1);
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    let untouched = playing >= 0 && !calm && Object.keys(frames).length === count;
    const sight = new IntersectionObserver(([entry]) => {
      if (!entry.isIntersecting) pause();
      else if (untouched) { untouched = false; choose(playing, 0); start(); }
    }, { threshold: 0.3 });
    sight.observe(row);
    controls.addEventListener("pointerdown", () => { untouched = false; });

    // --- the world around -------------------------------------------------------------------------------------
    const sizes = new ResizeObserver(draw);
    const forget = onThemeChange(() => requestAnimationFrame(draw));
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
    update();
    return () => {
      pause();
      model.off("change:selection", follow);
      model.off("msg:custom", answer);
      sizes.disconnect();
      sight.disconnect();
      forget();
    };
  },
};
