// The playground: two networks of the same size, start and data train in the page, one on values, one on values and
// derivatives. A worker computes; this file asks it, and keeps the settings.
//
// The model holds: schema, settings, presets, problem (a function or a table from Python), controls ("all" or "few"), home, alt;
// and for Python: running, metrics, weights.
import { toBase64 } from "./base64.js";
import { pythonOf } from "./code.js";
import { colourOf, inkOf, onThemeChange } from "./common.js";
import { record } from "./curves.js";
import { Display } from "./display.js";
import { takeDrops } from "./drops.js";
import { button, element } from "./elements.js";
import { control } from "./form.js";
import { handle } from "./hands.js";
import { fromHash, toHash } from "./hash.js";
import { ownData } from "./owndata.js";
import { PALETTE } from "./palette.js";
import { sceneOf } from "./pictures.js";
import { Runner } from "./runner.js";
import { LOOK } from "./style.js";
import { MOST_IN_LINK, tangentsOf } from "./tables.js";
import { paintThumbnails } from "./thumbnails.js";
import { HELP, sentence } from "./words.js";

const SEEN = ["view", "errors", "speed", "turn", "tilt"]; // settings that only change what is shown
const OWN = "Your own experiment. Whatever you change here, both networks begin again.";
const DEFAULT = "Thirty points, and two networks of the same size and start. Values alone leave most of the surface open; "
  + "with slopes all four valleys appear, and the difference stays. New sample, under More settings, draws other points.";
const CALM = matchMedia("(prefers-reduced-motion: reduce)");

export default {
  render({ model, el }) {
    const [schema, presets, problem] = ["schema", "presets", "problem"].map((key) => model.get(key));
    const full = model.get("controls") === "all", inPage = model.kernel === false; // in the book: no kernel, but an address
    const defaults = Object.fromEntries(schema.map((entry) => [entry.name, entry.default]));
    const first = { ...defaults, ...model.get("settings") };
    const colours = { lines: ["regular", "sobolev"].map((name) => ({ dash: PALETTE[name].dash })) }; // they follow the theme
    let settings = { ...first }, good = first;         // the reader's, and the last ones that could be trained
    const view = { held: null };                       // as the settings have it, and what the reader holds
    let made = null, scene = null, snapshot = null, history = null;
    let inSight = true, told = 0;
    const isTable = () => settings.function === "table" || (settings.function === "custom" && problem.kind === "table");

    // --- the page ---------------------------------------------------------------------------------------------
    const display = new Display(colours);
    const play = button("▶ Play", () => (runner.playing ? runner.pause() : runner.start()), { className: "spg-play" });
    const step = button("Step", () => runner.step());
    const reset = button("Reset", () => { runner.pause(); say(""); runner.make(); });
    const map = button("Map", () => change({ view: settings.view === "map" ? "3d" : "map" }), { className: "spg-map" });
    const errors = button("Difference", () => change({ errors: !settings.errors }), { className: "spg-difference" });
    errors.title = "learned minus true";
    const steps = element("span", { className: "spg-steps" });
    const controls = schema.filter((entry) => entry.group).map((entry) => ({ entry, ...control(entry, (value) => choose(entry, value)) }));
    const labelsOf = (group) => controls.filter(({ entry }) => entry.group === group).map(({ label }) => label);
    const said = element("p", { className: "spg-sentence" });
    const stories = [...presets.map((preset) => preset.story), DEFAULT, OWN].map((text) => element("p", { textContent: text }));
    const message = element("p", { className: "spg-message" }), spoken = element("p", { className: "spg-hidden" });
    message.setAttribute("role", "status");
    spoken.setAttribute("aria-live", "polite");
    const cards = presets.map((preset) => cardOf(preset.name, () => { runner.pause(); change(from(preset)); runner.start(); }));
    const cardRow = element("div", { className: "spg-cards" }, ...cards);
    cardRow.setAttribute("role", "group");
    cardRow.setAttribute("aria-label", "Experiments to start from");
    const sample = button("New sample", () => change({ sample: (settings.sample + 1) % 10000, at: null }));
    const groups = [...new Set(controls.map(({ entry }) => entry.group))].filter((group) => group !== "main" && group !== "speed");
    const sections = groups.map((group) => element("fieldset", {}, element("legend", { textContent: group }), ...labelsOf(group),
      ...(group === "Data" ? [sample] : [])));
    const more = element("div", {}, element("div", { className: "spg-controls" }, ...sections),
      element("p", { className: "spg-help", textContent: HELP }));
    const own = ownData((changes) => { change(changes); });
    const code = element("textarea", { className: "spg-code", readOnly: true, rows: 14, ariaLabel: "The experiment in Python" });
    const python = element("div", {}, code, button("Copy code", () => copy(code.value, "Code copied.")));
    const panels = [["Your own data", own.node], ["More settings", more], ["Python code", python]]
      .map(([name, node], k) => door(name, node, k));
    const link = button("Copy link", copyLink);
    const few = element("a", { textContent: "The same with all settings" });
    const root = element("div", { className: "sobolev-playground" }, element("style", { textContent: LOOK }),
      ...(full ? [cardRow] : []),
      ...(full || presets.length ? [element("div", { className: "spg-stories" }, ...stories)] : []),
      element("div", { className: "spg-tools" }, play, step, reset, ...labelsOf("speed"), errors, map, steps),
      display.pictures, display.barRow,
      element("div", { className: "spg-lower" }, display.curves,
        ...(full ? [element("div", { className: "spg-main" }, ...labelsOf("main"))] : [])), said,
      element("div", { className: "spg-doors" }, ...(full ? panels.map(({ opener }) => opener) : []),
        ...(full && inPage ? [link] : []), ...(!full && inPage ? [few] : []), message),
      spoken, ...(full ? panels.map(({ panel }) => panel) : []));
    root.querySelector(".spg-lower").dataset.controls = full ? "all" : "few";
    root.setAttribute("role", "group");
    root.setAttribute("aria-label", model.get("alt"));
    el.append(root);
    tint();

    function tint() {
      const ink = inkOf(root), of = (name) => colourOf(name, ink);
      Object.assign(colours, { truth: of("truth"), points: of("points"), slopes: of("slopes") });
      ["regular", "sobolev"].forEach((name, k) => { colours.lines[k].colour = of(name); });
    }

    // A part that opens below: { opener, panel, open() }.
    function door(name, node, k) {
      const id = `spg-panel-${k}-${Math.random().toString(36).slice(2, 8)}`; // a page may have several playgrounds
      const panel = element("div", { className: "spg-panel", hidden: true, id }, node);
      const opener = button(name, () => (panel.hidden ? open() : close()));
      opener.setAttribute("aria-expanded", false);
      opener.setAttribute("aria-controls", panel.id);
      const open = () => { panel.hidden = false; opener.setAttribute("aria-expanded", true); show(); showCode(); };
      const close = () => { panel.hidden = true; opener.setAttribute("aria-expanded", false); };
      return { opener, panel, open };
    }

    // --- settings ---------------------------------------------------------------------------------------------
    function from(preset) {
      const kept = [...SEEN, ...schema.filter(({ of }) => of).map(({ name }) => name)].map((name) => [name, settings[name]]);
      return { ...defaults, ...Object.fromEntries(kept), ...preset.settings };
    }
    function choose(entry, value) {
      const ofTheirOwn = entry.name === "function" && (value === "formula" || value === "table");
      if (ofTheirOwn) panels[0].open();
      if (ofTheirOwn && value === "table" && !settings.table) {
        own.ask("table");
        return show(); // the choice goes back until there is a table
      }
      return change({ [entry.name]: value, ...Object.fromEntries((entry.clears ?? []).map((name) => [name, null])) });
    }
    function change(changes) {
      const before = settings;
      settings = { ...settings, ...changes };
      show();
      remember();
      if (differ(before, settings)) { say(""); runner.make(); } else redraw();
      showCode();
    }
    function differ(a, b) {
      return schema.some(({ name }) => !SEEN.includes(name) && a[name] !== b[name]
        && JSON.stringify(a[name]) !== JSON.stringify(b[name]));
    }
    let remembering = 0;
    function remember() { // browsers allow about a hundred changes of the address in half a minute
      clearTimeout(remembering);
      remembering = setTimeout(() => {
        const hash = toHash(schema, settings, first), plain = location.pathname + location.search;
        if (inPage && full) window.history.replaceState(null, "", (hash.length <= MOST_IN_LINK && hash) || plain);
        model.set("settings", { ...settings });
        model.save_changes();
      }, 200);
    }
    function copyLink() {
      const hash = toHash(schema, settings, first);
      if (hash.length <= MOST_IN_LINK) return copy(location.href.split("#")[0] + (hash || "#playground?"), "Link copied.");
      const most = Math.floor(scene.data.n * 1.25 * MOST_IN_LINK / hash.length / 10) * 10;
      return say(`Your table is too large for a link: about ${most} rows like these fit. Nothing was copied; send the CSV file instead.`);
    }
    // Takes the settings from the address; false if it has none: other links lead to sections of the page.
    function readAddress() {
      const read = inPage && full ? fromHash(schema, location.hash, first) : null;
      if (!read) return false;
      settings = { ...first, ...read.settings };
      say(read.wrong.length ? `The link has settings that are not understood. ${read.wrong.join("; ")}.` : "");
      show();
      return true;
    }
    function show() {
      few.href = model.get("home") + (toHash(schema, settings, defaults) || "#playground?");
      Object.assign(view, { map: settings.view === "map", errors: settings.errors && Boolean(scene?.truth ?? !isTable()),
        turn: settings.turn, tilt: settings.tilt });
      const placed = settings.at || isTable() || settings.function === "tangents";
      for (const { entry, ...one } of controls) {
        one.show(entry.name === "points" && placed && scene ? scene.data.n : settings[entry.name]);
        one.enable(!(entry.name === "points" && (isTable() || settings.function === "tangents")));
      }
      sample.disabled = isTable() || settings.function === "tangents";
      errors.disabled = scene ? !scene.truth : isTable(); // a table has no truth between its points
      map.disabled = scene?.domain.length === 1;
      map.setAttribute("aria-pressed", view.map);
      errors.setAttribute("aria-pressed", view.errors);
      const now = presets.findIndex((preset) => !differ({ ...from(preset) }, settings));
      cards.forEach((node, i) => node.setAttribute("aria-pressed", i === now));
      const current = now >= 0 ? now : differ({ ...from({ settings: {} }) }, settings) ? presets.length + 1 : presets.length;
      stories.forEach((node, i) => { node.className = i === current ? "spg-story" : "spg-unseen"; });
      own.show(settings);
    }

    // --- training ---------------------------------------------------------------------------------------------
    const runner = new Runner({
      problem,
      settings: () => settings,
      awake: () => !document.hidden && inSight,
      calm: () => CALM.matches,
      weights: () => !inPage && (!runner.playing || performance.now() - told > 1000),
      failed: refused,
      made(answer) {
        made = answer;
        good = made.settings;
        scene = sceneOf(made, colours);
        history = { steps: [], errors: [[[], []], [[], []]], every: 1 };
        show();
        paint();
      },
      seen(latest) {
        snapshot = latest;
        record(history, snapshot);
        announce();
      },
      settled(weights) {
        redraw();
        if (weights) tell(weights);
        else if (!runner.playing && !inPage) runner.ask(0, 0); // Python is to know where it stands still
        if (!runner.playing) speak();
        if (!runner.playing || snapshot.step === 0 || performance.now() - coded > 1000) showCode();
      },
      playing(yes) {
        play.textContent = yes ? "❚❚ Pause" : "▶ Play";
        model.set("running", yes);
        model.save_changes();
        if (yes) return void (spoken.textContent = ""); // what was said before holds no longer
        if (!inPage) runner.ask(0, 0); // the last weights; while the worker is at work, its answer asks for them
        if (snapshot) speak();
        showCode();
      },
    });
    function refused(why) { // an experiment that is not possible, from a link or from Python
      if (!made && !differ(settings, first)) return say(`The training could not start here: ${why}.`);
      say(`This experiment is not possible: ${why}. The one before is back.`);
      if (!differ(settings, good)) return undefined;
      settings = { ...good };
      show();
      return runner.make();
    }
    function tell(weights) {
      told = performance.now();
      const errorsOf = ({ errors: [value_mse, gradient_mse] }) => Object.fromEntries(Object.entries({ value_mse, gradient_mse })
        .map(([name, error]) => [name, Number.isFinite(error) ? error : null])); // JSON has no NaN
      const [regular, sobolev] = snapshot.networks.map(errorsOf);
      const { data } = made, list = (numbers) => Array.from(numbers, (one) => (Number.isNaN(one) ? null : one));
      model.set("trained_on", { n: data.n, x: list(data.x), values: list(data.values), gradients: list(data.gradients) });
      model.set("weights", { settings, regular: weights[0].map(toBase64), sobolev: weights[1].map(toBase64) });
      const { steps: taken, errors: curves } = structuredClone(history); // of an object that it already has, the model sends nothing
      model.set("history", { steps: taken, errors: curves });
      model.set("metrics", { step: snapshot.step, stopped: snapshot.stopped, regular, sobolev });
      model.save_changes();
    }
    let endPainting = null;
    function paint() { // the cards' thumbnails, once the first experiment stands
      if (!full || endPainting || !presets.length) return;
      const experiments = presets.map((preset) => ({ ...defaults, ...preset.settings }));
      endPainting = paintThumbnails(experiments, colours.lines, (k, address) => { cards[k].querySelector("img").src = address; });
    }

    // --- showing ----------------------------------------------------------------------------------------------
    let frame = 0, coded = 0;
    function redraw(all = false) {
      cancelAnimationFrame(frame);
      frame = requestAnimationFrame(() => {
        if (snapshot) display.draw({ id: made.id, scene, snapshot, history, view, editable: !isTable(), all });
      });
    }
    function announce() { // at once: a page may be slow to draw, or hidden
      root.dataset.step = snapshot.step;
      [root.dataset.regularError, root.dataset.sobolevError] = snapshot.networks.map((network) => String(network.errors[0]));
      steps.textContent = `step ${snapshot.step.toLocaleString("en")}`;
      said.textContent = sentence(snapshot, settings);
    }
    function speak() { spoken.textContent = sentence(snapshot, settings); }
    function say(text) {
      message.textContent = text;
      message.tabIndex = message.scrollHeight > message.clientHeight ? 0 : -1; // a long one scrolls, by keyboard too
    }
    function showCode() {
      if (panels[2].panel.hidden || !made || runner.busy && made.id !== runner.id) return;
      coded = performance.now();
      const text = pythonOf(made.settings, made, snapshot.step, own.file());
      if (text !== code.value) code.value = text;
    }
    async function copy(text, done) {
      try {
        await navigator.clipboard.writeText(text);
        say(done);
      } catch { // an address without https has no clipboard
        say(`This page may not copy. Copy by hand: ${text}`);
      }
    }

    // --- the world around -------------------------------------------------------------------------------------
    handle({
      canvases: display.canvases,
      view,
      scene: () => scene,
      editable: () => !isTable(),
      tangents: () => (settings.function === "tangents" ? tangentsOf(settings) : null),
      points: (at) => (at.length > 500 * scene.domain.length ? say("500 points are the most.") : change({ at })),
      setTangents: (tangents) => (tangents.length > 90 ? say("30 points are the most here.") : change({ tangents })),
      heights: (drawing) => change({ drawing }),
      turned: () => change({ turn: view.turn, tilt: view.tilt }),
      held: () => redraw(),
    });
    const sizes = new ResizeObserver(() => redraw(true));
    const sight = new IntersectionObserver(([entry]) => { inSight = entry.isIntersecting; runner.next(); });
    const forget = onThemeChange(() => { tint(); redraw(true); });
    const woken = () => runner.next(), moved = () => { if (readAddress()) runner.make(); };
    const follow = () => { // Python changed the settings
      const wanted = { ...settings, ...model.get("settings") };
      const again = differ(settings, wanted);
      settings = wanted;
      show();
      if (again) runner.make(); else redraw();
    };
    const obey = () => { if (Boolean(model.get("running")) !== runner.playing) (runner.playing ? runner.pause() : runner.start()); };
    if (full) takeDrops(root, own, panels[0]);
    sizes.observe(display.pictures);
    sight.observe(root);
    document.addEventListener("visibilitychange", woken);
    window.addEventListener("hashchange", moved);
    model.on("change:settings", follow);
    model.on("change:running", obey);
    try { runner.open(); } catch (error) { refused(error.message); }
    show();
    readAddress();
    runner.make();
    obey(); // Python may have pressed play before there was anything to see
    return () => {
      clearTimeout(remembering);
      runner.close();
      endPainting?.();
      sizes.disconnect();
      sight.disconnect();
      forget();
      document.removeEventListener("visibilitychange", woken);
      window.removeEventListener("hashchange", moved);
      model.off("change:settings", follow);
      model.off("change:running", obey);
    };
  },
};

function cardOf(name, act) {
  const picture = element("img", { alt: "", src: "data:image/gif;base64,R0lGODlhAQABAAAAACH5BAEKAAEALAAAAAABAAEAAAICTAEAOw==" });
  const card = element("button", { type: "button", className: "spg-card" }, picture, element("span", { textContent: name }));
  card.setAttribute("aria-label", name);
  card.title = "Thumbnail: what the Sobolev network learns, and the value errors of both. A click plays it.";
  card.addEventListener("click", act);
  return card;
}
