// What the playground shows: three pictures, their colour bars, the curves of both errors, and their texts.
import { colourGradient, format } from "./common.js";
import { differenceGradient, roundedUp } from "./diverging.js";
import { element } from "./elements.js";
import { drawLines, swatch } from "./lines.js";
import { drawPicture, liftOf } from "./pictures.js";

const TITLES = ["Target", "Regular training", "Sobolev training"];
const CHARTS = ["value error", "gradient error"];

export class Display {
  // `lines` of the two methods: { colour, dash }, the colour as the page's theme has it
  constructor({ lines }) {
    this.lines = lines;
    this.canvases = TITLES.map(() => element("canvas", {}));
    this.captions = TITLES.map(() => element("figcaption", { className: "spg-caption" }));
    this.pictures = element("div", { className: "spg-pictures" }, ...TITLES.map((textContent, k) =>
      element("figure", {}, element("div", { className: "spg-title", textContent }), this.canvases[k], this.captions[k])));
    this.bars = [0, 1].map(() => ({ strip: element("i", {}), scale: element("div", {}) }));
    this.barRow = element("div", { className: "spg-bars", ariaHidden: "true" },
      ...this.bars.map(({ strip, scale }) => element("div", { className: "spg-bar" }, strip, scale)));
    this.charts = CHARTS.map(() => element("canvas", {}));
    this.chartTitles = CHARTS.map(() => element("div", { className: "spg-title" }));
    this.swatches = [0, 1].map(() => element("span", {}));
    const legend = element("div", { className: "spg-legend", ariaHidden: "true" },
      ...this.swatches.map((node, k) => element("span", {}, node, ["Regular", "Sobolev"][k])));
    this.curves = element("div", { className: "spg-curves" }, legend, element("div", { className: "spg-charts" },
      ...this.charts.map((canvas, i) => element("figure", {}, this.chartTitles[i], canvas))));
    this.canvases[0].tabIndex = 0;
    this.canvases[0].setAttribute("role", "application");
    for (const canvas of [...this.canvases.slice(1), ...this.charts]) canvas.setAttribute("role", "img");
    this.drawn = "";
  }

  // `all`: the target's picture too, although nothing about it has changed (the page has: its theme or its width).
  draw({ id, scene, snapshot, history, view, editable, all }) {
    if (!this.canvases[0].clientWidth) return;
    this.pictures.dataset.turns = !view.map && scene.domain.length === 2 ? "yes" : "no";
    const limit = differenceLimit(scene, snapshot.networks), mark = JSON.stringify([id, view]);
    if (all || !this.drawn) this.swatches.forEach((node, k) => node.replaceChildren(swatch(this.lines[k])));
    if (all || this.drawn !== mark) drawPicture(this.canvases[0], scene, 0, null, view, limit);
    this.drawn = mark;
    snapshot.networks.forEach((network, k) => drawPicture(this.canvases[k + 1], scene, k + 1, network, view, limit));
    this.where = scene.tangents ? "at the points" : "on the test points";
    this.charts.forEach((canvas, i) => this.drawChart(canvas, i, history));
    this.drawBars(scene, view, limit);
    this.write(scene, snapshot, view, editable);
  }

  // The target keeps the colours of values; the networks have a bar of their own.
  drawBars(scene, view, limit) {
    const value = [colourGradient(), ...scene.limits, "value"];
    const difference = [differenceGradient(), -limit, limit, "learned − true"];
    [value, view.errors ? difference : value].forEach(([ground, low, high, name], k) => {
      const [least, most] = view.errors && k ? ["≤ ", "≥ "] : ["", ""];
      this.bars[k].strip.style.background = ground;
      this.bars[k].scale.replaceChildren(least + format(low), element("span", { textContent: name }), most + format(high));
    });
    this.barRow.style.visibility = scene.domain.length === 1 ? "hidden" : "visible"; // hidden, it keeps its place
  }

  drawChart(canvas, i, history) {
    this.chartTitles[i].replaceChildren(CHARTS[i], element("span", { textContent: ` ${this.where}` }));
    const curves = this.lines.map((line, k) =>
      ({ ...line, y: history.errors[k][i].map((error) => (error > 0 && Number.isFinite(error) ? Math.log10(error) : NaN)) }));
    let low = Infinity, high = -Infinity;
    for (const { y } of curves) for (const value of y) if (!Number.isNaN(value)) [low, high] = [Math.min(low, value), Math.max(high, value)];
    if (!(high >= low)) [low, high] = [-1, 0];
    const wide = Math.max(0, 1 - (high - low)) / 2; // a decade at least: else a flat curve would look wild
    drawLines(canvas, { x: history.steps, xrange: [0, Math.max(history.steps.at(-1), 20)], curves, logy: true, points: [],
      xlabel: "step", ylabel: "" }, { low: low - wide, high: high + wide });
  }

  write(scene, { networks, stopped }, view, editable) {
    const { n, gradients } = scene.data, points = `${n} ${n === 1 ? "point" : "points"}`;
    const carriers = gradients.subarray(0, n).reduce((count, slope) => count + !Number.isNaN(slope), 0);
    const ofTable = !scene.truth && !scene.tangents;
    this.captions[0].textContent = `${points}, ${carriers === n ? "all" : carriers} with derivatives`
      + (ofTable ? `; ${scene.test.n} more to test. Between them: the nearest.` : "");
    this.canvases[0].setAttribute("aria-label", `Target with ${points}, ${carriers} of them with derivatives. `
      + (scene.domain.length === 2 ? "Arrow keys turn the view. " : "")
      + (editable ? "N takes the next point, then arrow keys move it and Delete removes it. A adds a point." : ""));
    networks.forEach(({ errors }, k) => {
      const texts = CHARTS.map((name, i) => `${name} ${format(errors[i])}`);
      const note = stopped[k] === null && !view.errors ? whereDrawn(scene, networks[k].values) : "";
      const parts = stopped[k] === null ? [...texts, note] : [`diverged at step ${stopped[k]}`];
      this.captions[k + 1].replaceChildren(...parts.filter(Boolean).map((textContent) => element("span", { textContent })));
      const shown = view.errors ? "learned minus true" : "what it has learned";
      this.canvases[k + 1].setAttribute("aria-label", `${TITLES[k + 1]}, ${shown}: ` + (stopped[k] === null ? texts.join(", ") : "diverged"));
    });
    this.charts.forEach((canvas, i) => canvas.setAttribute("aria-label",
      `${CHARTS[i]} ${this.where} against steps, on a logarithmic scale: `
      + `regular ${format(networks[0].errors[i])}, Sobolev ${format(networks[1].errors[i])}`));
  }
}

// A surface far from the target is drawn lower or higher than it is, and what is beyond the frame is cut flat; say so.
function whereDrawn(scene, values) {
  const lift = liftOf(scene, values), { limits: [low, high] } = scene;
  if (lift) return `drawn ${format(Math.abs(lift))} ${lift > 0 ? "lower" : "higher"} than it is`;
  const share = values.reduce((count, value) => count + (value < low || value > high), 0) / values.length;
  return share > 0.9 ? "beyond the frame" : share > 0.1 ? "partly beyond the frame" : "";
}

// The end of the difference's scale: of the worse network, nineteen in twenty places lie within it. The corners alone would
// leave the rest white.
function differenceLimit({ truth, known, span }, networks) {
  if (!truth) return roundedUp(span);
  const away = (values) => values.map((value, p) => Math.abs(value - known.values[p])).sort();
  const within = networks.filter(({ values }) => values).map(({ values }) => away(values).at(Math.floor(0.95 * values.length)));
  return roundedUp(Math.max(0, ...within) || span);
}
