// The playground: two networks of the same size, start and data train in the page, one on values, one on values and
// derivatives. A worker computes; this file asks it, and keeps the settings.
//
// The model holds: schema, settings, presets, problem (a function or a table from Python), controls ("all" or "few"), colours,
// alt; and for Python: running, metrics, weights.
import { toBase64 } from "./base64.js";
import { onThemeChange } from "./common.js";
import { Display } from "./display.js";
import { button, control, element } from "./form.js";
import { handle } from "./hands.js";
import { fromHash, toHash } from "./hash.js";
import { sceneOf } from "./pictures.js";
import { LOOK } from "./style.js";
import TRAINER from "./trainer.js" with { type: "text" };
import { HELP, pythonOf, sentence } from "./words.js";

const SEEN = ["view", "errors", "speed", "turn", "tilt"]; // settings that only change what is shown
const MOST = 400;                                         // points of a curve before every other one is dropped
const OWN = "Your own experiment. Whatever you change here, both networks begin again.";
const CALM = matchMedia("(prefers-reduced-motion: reduce)");

export default {
  render({ model, el }) {
    const [schema, presets, problem] = ["schema", "presets", "problem"].map((key) => model.get(key));
    const full = model.get("controls") === "all", inPage = model.kernel === false; // in the book: no kernel, but an address
    const defaults = Object.fromEntries(schema.map((entry) => [entry.name, entry.default]));
    const first = { ...defaults, ...model.get("settings") };
    const isTable = () => settings.function === "custom" && problem.kind === "table";
    let settings = { ...first };
    const view = { held: null };                       // as the settings have it, and what the reader holds
    let made = null, scene = null, snapshot = null, history = null;
    let id = 0, busy = false, stale = false;           // the worker: its experiment, at work, and no longer wanted
    let owed = 0;                                      // steps that the reader has asked for one by one
    let playing = false, inSight = true, timer = 0, told = 0;

    // --- the page ---------------------------------------------------------------------------------------------
    const display = new Display(model.get("colours"));
    const play = button("▶ Play", () => (playing ? pause() : start()), { className: "spg-play" });
    const step = button("Step", () => { pause(); owed += 1; pay(); });
    const reset = button("Reset", () => { pause(); say(""); make(); });
    const map = button("Map", () => change({ view: settings.view === "map" ? "3d" : "map" }));
    const errors = button("Error map", () => change({ errors: !settings.errors }));
    const steps = element("span", { className: "spg-steps" });
    const controls = schema.filter((entry) => entry.group).map((entry) => ({ entry, ...control(entry, (value) => choose(entry, value)) }));
    const speed = controls.find(({ entry }) => entry.name === "speed");
    const said = element("p", { className: "spg-sentence" });
    // one on the other, so that the longest keeps the room for all
    const stories = [...presets.map((preset) => preset.story), OWN].map((text) => element("p", { textContent: text }));
    const message = element("p", { className: "spg-message" }), spoken = element("p", { className: "spg-hidden" });
    message.setAttribute("role", "status");
    spoken.setAttribute("aria-live", "polite");
    const presetButtons = presets.map((preset) => button(preset.name, () => { pause(); change(from(preset)); }));
    const presetRow = element("div", { className: "spg-row" }, ...presetButtons);
    presetRow.setAttribute("role", "group");
    presetRow.setAttribute("aria-label", "Experiments to start from");
    const sample = button("New sample", () => change({ sample: (settings.sample + 1) % 10000, at: null }));
    const groups = [...new Set(controls.map(({ entry }) => entry.group))].filter((group) => group);
    const form = element("div", { className: "spg-controls" }, ...groups.filter((group) => group !== "speed").map((group) =>
      element("fieldset", {}, element("legend", { textContent: group }),
        ...controls.filter(({ entry }) => entry.group === group).map(({ label }) => label), ...(group === "Data" ? [sample] : []))));
    const code = element("textarea", { className: "spg-code", readOnly: true, rows: 14, hidden: true, ariaLabel: "The experiment in Python" });
    const link = button("Copy link", () => copy(location.href.split("#")[0] + (toHash(schema, settings, first) || "#playground?")));
    const python = button("Python code", () => { code.hidden = !code.hidden; showCode(); });
    const root = element("div", { className: "sobolev-playground" }, element("style", { textContent: LOOK }),
      ...(presets.length ? [presetRow] : []), element("div", { className: "spg-stories" }, ...stories),
      element("div", { className: "spg-row" }, play, step, reset, speed.label, map, errors, steps), ...display.nodes, said, message, spoken);
    const more = element("a", { textContent: "The same with all settings" });
    if (!full && inPage) root.append(more);
    if (full) root.append(form, element("p", { className: "spg-help", textContent: HELP }),
      element("div", { className: "spg-row" }, ...(inPage ? [link] : []), python), code);
    root.setAttribute("role", "group");
    root.setAttribute("aria-label", model.get("alt"));
    el.append(root);

    // --- settings ---------------------------------------------------------------------------------------------
    function from(preset) {
      return { ...defaults, ...Object.fromEntries(SEEN.map((name) => [name, settings[name]])), ...preset.settings };
    }
    function choose(entry, value) {
      change({ [entry.name]: value, ...Object.fromEntries((entry.clears ?? []).map((name) => [name, null])) });
    }
    function change(changes) {
      const before = settings;
      settings = { ...settings, ...changes };
      show();
      remember();
      if (differ(before, settings)) { say(""); make(); } else redraw();
    }
    function differ(a, b) {
      return schema.some(({ name }) => !SEEN.includes(name) && JSON.stringify(a[name]) !== JSON.stringify(b[name]));
    }
    let remembering = 0;
    function remember() { // browsers allow about a hundred changes of the address in half a minute
      clearTimeout(remembering);
      remembering = setTimeout(() => {
        if (inPage && full) window.history.replaceState(null, "", toHash(schema, settings, first) || location.pathname + location.search);
        model.set("settings", { ...settings });
        model.save_changes();
      }, 200);
    }
    // Takes the settings from the address; false if it has none: other links lead to sections of the page.
    function readAddress() {
      const read = inPage && full ? fromHash(schema, location.hash) : null;
      if (!read) return false;
      settings = { ...first, ...read.settings };
      say(read.wrong.length ? `The link has settings that are not understood. ${read.wrong.join("; ")}.` : "");
      show();
      return true;
    }
    function show() {
      more.href = model.get("home") + (toHash(schema, settings, defaults) || "#playground?");
      Object.assign(view, { map: settings.view === "map", errors: settings.errors && !isTable(), turn: settings.turn, tilt: settings.tilt });
      for (const { entry, ...one } of controls) {
        one.show(entry.name === "points" && (settings.at || isTable()) && scene ? scene.data.n : settings[entry.name]);
        one.enable(!(isTable() && entry.name === "points"));
      }
      sample.disabled = errors.disabled = isTable();
      map.disabled = scene?.domain.length === 1;
      map.setAttribute("aria-pressed", view.map);
      errors.setAttribute("aria-pressed", view.errors);
      const now = presets.findIndex((preset) => !differ({ ...defaults, ...preset.settings }, settings));
      presetButtons.forEach((node, i) => node.setAttribute("aria-pressed", i === now));
      const current = now < 0 ? presets.length : now;
      stories.forEach((node, i) => { node.className = i === current ? "spg-story" : "spg-unseen"; });
    }

    // --- the worker -------------------------------------------------------------------------------------------
    let worker = null;
    const address = URL.createObjectURL(new Blob([TRAINER], { type: "text/javascript" }));
    const failed = (what) => say(`The training could not start here: ${what}.`);
    try {
      worker = new Worker(address);
      worker.onmessage = ({ data }) => receive(data);
      worker.onerror = (event) => failed(event.message ?? "this page allows no workers");
    } catch (error) {
      failed(error.message);
    }

    // Begin again at step 0. While the worker is at work, only the last wish counts.
    function make() {
      clearTimeout(timer);
      owed = 0;
      stale = busy;
      if (busy) return;
      busy = true;
      worker?.postMessage({ type: "make", id: ++id, settings, problem });
    }
    function ask(count, ms) {
      if (busy || !made) return;
      busy = true;
      worker.postMessage({ type: "run", id, steps: count, ms, weights: !inPage && (!playing || performance.now() - told > 1000) });
    }
    function receive(answer) {
      busy = false;
      if (stale) return make();
      if (answer.type === "failed") {
        pause();
        say(`This experiment is not possible: ${answer.message}. The first one is back.`);
        if (!differ(settings, first)) return undefined;
        settings = { ...first };
        show();
        return make();
      }
      if (answer.type === "made") {
        made = answer;
        scene = sceneOf(made, model.get("colours"));
        history = { steps: [], errors: [[[], []], [[], []]], every: 1 };
        show();
      }
      snapshot = answer.snapshot;
      record(history, snapshot);
      announce();
      if (playing && snapshot.stopped.every((one) => one !== null)) pause();
      next();
      pay();
      redraw();
      if (answer.weights) tell(answer.weights);
      else if (!playing && !inPage) ask(0, 0); // Python is to know where it stands still
      if (!playing) spoken.textContent = sentence(snapshot, settings);
    }
    function pay() {
      if (!owed || busy || !made) return;
      ask(owed, Infinity);
      owed = 0;
    }
    function next() {
      if (!playing || document.hidden || !inSight) return;
      if (settings.speed === 0) return ask(1e9, CALM.matches ? 400 : 30);
      const apart = Math.max(1000 / settings.speed, CALM.matches ? 400 : 50);
      clearTimeout(timer);
      timer = setTimeout(() => ask(Math.max(1, Math.round(settings.speed * apart / 1000)), Infinity), apart);
    }
    function start() {
      playing = true;
      share();
      next();
    }
    function pause() {
      clearTimeout(timer);
      if (!playing) return;
      playing = false;
      share();
      if (!inPage) ask(0, 0); // the last weights; while the worker is at work, its answer asks for them
      if (snapshot) spoken.textContent = sentence(snapshot, settings);
    }
    function share() {
      play.textContent = playing ? "❚❚ Pause" : "▶ Play";
      model.set("running", playing);
      model.save_changes();
    }
    function tell(weights) {
      told = performance.now();
      const errorsOf = ({ errors: [value_mse, gradient_mse] }) => Object.fromEntries(Object.entries({ value_mse, gradient_mse })
        .map(([name, error]) => [name, Number.isFinite(error) ? error : null])); // JSON has no NaN
      const [regular, sobolev] = snapshot.networks.map(errorsOf);
      const { data } = made, list = (numbers) => Array.from(numbers, (one) => (Number.isNaN(one) ? null : one));
      model.set("trained_on", { n: data.n, x: list(data.x), values: list(data.values), gradients: list(data.gradients) });
      model.set("weights", { settings, regular: weights[0].map(toBase64), sobolev: weights[1].map(toBase64) });
      const { steps, errors } = structuredClone(history); // of an object that it already has, the model sends nothing
      model.set("history", { steps, errors });
      model.set("metrics", { step: snapshot.step, stopped: snapshot.stopped, regular, sobolev });
      model.save_changes();
    }

    // --- showing ----------------------------------------------------------------------------------------------
    let frame = 0;
    function redraw(all = false) {
      cancelAnimationFrame(frame);
      frame = requestAnimationFrame(() => draw(all));
    }
    function draw(all) {
      if (snapshot) display.draw({ id, scene, snapshot, history, view, editable: !isTable(), all });
    }
    function announce() { // at once: a page may be slow to draw, or hidden
      root.dataset.step = snapshot.step;
      [root.dataset.regularError, root.dataset.sobolevError] = snapshot.networks.map((network) => String(network.errors[0]));
      steps.textContent = `step ${snapshot.step.toLocaleString("en")}`;
      said.textContent = sentence(snapshot, settings);
    }
    function say(text) { message.textContent = text; }
    function showCode() {
      if (!code.hidden && scene) code.value = pythonOf(settings, scene.domain, scene.data, snapshot.step);
    }
    async function copy(text) {
      try {
        await navigator.clipboard.writeText(text);
        say("Link copied.");
      } catch {
        say(`The link: ${text}`);
      }
    }

    // --- the world around -------------------------------------------------------------------------------------
    handle({
      canvases: display.canvases,
      view,
      scene: () => scene,
      editable: () => !isTable(),
      points: (at) => (at.length > 500 * scene.domain.length ? say("500 points are the most.") : change({ at })),
      heights: (drawing) => change({ drawing }),
      turned: () => change({ turn: view.turn, tilt: view.tilt }),
      held: () => redraw(),
    });
    const sizes = new ResizeObserver(() => redraw(true));
    const sight = new IntersectionObserver(([entry]) => { inSight = entry.isIntersecting; next(); });
    const forget = onThemeChange(() => redraw(true));
    const woken = () => next(), moved = () => { if (readAddress()) make(); };
    const follow = () => { // Python changed the settings
      const wanted = { ...settings, ...model.get("settings") };
      const again = differ(settings, wanted);
      settings = wanted;
      show();
      if (again) make(); else redraw();
    };
    const obey = () => { if (Boolean(model.get("running")) !== playing) (playing ? pause : start)(); };
    sizes.observe(display.pictures);
    sight.observe(root);
    document.addEventListener("visibilitychange", woken);
    window.addEventListener("hashchange", moved);
    model.on("change:settings", follow);
    model.on("change:running", obey);
    show();
    readAddress();
    make();
    obey(); // Python may have pressed play before there was anything to see
    return () => {
      clearTimeout(timer);
      clearTimeout(remembering);
      worker?.terminate();
      URL.revokeObjectURL(address);
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

// Adds a snapshot to the curves; of a long training, every other point is dropped now and then.
function record(history, { step, networks }) {
  const { steps, errors } = history;
  if (steps.length && step - steps.at(-1) < history.every) return;
  steps.push(step);
  networks.forEach((network, k) => network.errors.forEach((error, i) => errors[k][i].push(error)));
  if (steps.length <= MOST) return;
  const thin = (list) => list.filter((_, i) => i % 2 === 0);
  history.steps = thin(steps);
  history.errors = errors.map((lists) => lists.map(thin));
  history.every = Math.ceil(step / MOST * 2);
}
