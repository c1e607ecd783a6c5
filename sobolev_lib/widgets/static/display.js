// What the playground shows: three pictures, a colour bar, the curves of both errors, and their texts.
import { colourGradient, format } from "./common.js";
import { element } from "./form.js";
import { drawLines, swatch } from "./lines.js";
import { drawPicture } from "./pictures.js";

const TITLES = ["Target", "Regular training", "Sobolev training"];
const CHARTS = ["test value error", "test gradient error"];

export class Display {
  constructor(colours) {
    this.lines = [{ colour: colours.regular, dash: [] }, { colour: colours.sobolev, dash: [6, 3] }];
    this.canvases = TITLES.map(() => element("canvas", {}));
    this.captions = TITLES.map(() => element("figcaption", { className: "spg-caption" }));
    this.pictures = element("div", { className: "spg-pictures" }, ...TITLES.map((textContent, k) =>
      element("figure", {}, element("div", { className: "spg-title", textContent }), this.canvases[k], this.captions[k])));
    const strip = element("i", {});
    strip.style.background = colourGradient();
    this.scale = element("div", {});
    this.bar = element("div", { className: "spg-bar", ariaHidden: "true" }, strip, this.scale);
    const legend = element("div", { className: "spg-legend", ariaHidden: "true" },
      ...this.lines.map((line, k) => element("span", {}, swatch(line), ["Regular", "Sobolev"][k])));
    this.charts = CHARTS.map(() => element("canvas", {}));
    const charts = element("div", { className: "spg-charts" }, ...this.charts.map((canvas) => element("figure", {}, canvas)));
    this.canvases[0].tabIndex = 0;
    this.canvases[0].setAttribute("role", "application");
    for (const canvas of [...this.canvases.slice(1), ...this.charts]) canvas.setAttribute("role", "img");
    this.nodes = [this.pictures, this.bar, legend, charts];
    this.drawn = "";
  }

  // `all`: the target's picture too, although nothing about it has changed (the page has: its theme or its width).
  draw({ id, scene, snapshot, history, view, editable, all }) {
    if (!this.canvases[0].clientWidth) return;
    this.pictures.dataset.turns = !view.map && scene.domain.length === 2 ? "yes" : "no";
    const limit = errorLimit(scene, snapshot.networks);
    const mark = JSON.stringify([id, view]);
    if (all || this.drawn !== mark) drawPicture(this.canvases[0], scene, 0, null, view, limit);
    this.drawn = mark;
    snapshot.networks.forEach((network, k) => drawPicture(this.canvases[k + 1], scene, k + 1, network, view, limit));
    this.charts.forEach((canvas, i) => this.drawChart(canvas, i, history));
    const [low, high] = view.errors ? [0, limit] : scene.limits;
    this.scale.replaceChildren(format(low), element("span", { textContent: view.errors ? "error of the value" : "value" }), format(high));
    this.bar.style.visibility = scene.domain.length === 1 ? "hidden" : "visible"; // hidden, it keeps its place
    this.write(scene, snapshot, view, editable);
  }

  drawChart(canvas, i, history) {
    const curves = this.lines.map((line, k) =>
      ({ ...line, y: history.errors[k][i].map((error) => (error > 0 && Number.isFinite(error) ? Math.log10(error) : NaN)) }));
    let low = Infinity, high = -Infinity;
    for (const { y } of curves) for (const value of y) if (!Number.isNaN(value)) [low, high] = [Math.min(low, value), Math.max(high, value)];
    if (!(high >= low)) [low, high] = [-1, 0];
    const wide = Math.max(0, 1 - (high - low)) / 2; // a decade at least: else a flat curve would look wild
    drawLines(canvas, { x: history.steps, xrange: [0, Math.max(history.steps.at(-1), 20)], curves, logy: true, points: [],
      xlabel: "step", ylabel: CHARTS[i] }, { low: low - wide, high: high + wide });
  }

  write(scene, { networks, stopped }, view, editable) {
    const { n, gradients } = scene.data, points = `${n} ${n === 1 ? "point" : "points"}`;
    const carriers = gradients.subarray(0, n).reduce((count, slope) => count + !Number.isNaN(slope), 0);
    this.captions[0].textContent = carriers === n ? `${points}, all with derivatives` : `${points}, ${carriers} with derivatives`;
    this.canvases[0].setAttribute("aria-label", `Target with ${points}, ${carriers} of them with derivatives. `
      + (scene.domain.length === 2 ? "Arrow keys turn the view. " : "")
      + (editable ? "N takes the next point, then arrow keys move it and Delete removes it. A adds a point." : ""));
    networks.forEach(({ errors }, k) => {
      const texts = CHARTS.map((name, i) => `${name.replace("test ", "")} ${format(errors[i])}`);
      const out = stopped[k] === null && !view.errors ? outside(scene, networks[k].values) : "";
      this.captions[k + 1].replaceChildren(...(stopped[k] === null ? [...texts, ...(out ? [out] : [])] : [`diverged at step ${stopped[k]}`])
        .map((textContent) => element("div", { textContent })));
      this.canvases[k + 1].setAttribute("aria-label", `${TITLES[k + 1]}, ${view.errors ? "its error" : "what it has learned"}: `
        + (stopped[k] === null ? texts.join(", ") : "diverged"));
    });
    this.charts.forEach((canvas, i) => canvas.setAttribute("aria-label", `${CHARTS[i]} against steps, on a logarithmic scale: `
      + `regular ${format(networks[0].errors[i])}, Sobolev ${format(networks[1].errors[i])}`));
  }
}

// A surface far from the target's range is cut flat; say so.
function outside({ limits: [low, high] }, values) {
  const share = values.reduce((count, value) => count + (value < low || value > high), 0) / values.length;
  return share > 0.9 ? "beyond the frame" : share > 0.1 ? "partly beyond the frame" : "";
}

function errorLimit({ truth, known, span }, networks) {
  let most = 0;
  if (truth) for (const { values } of networks) values?.forEach((value, p) => { most = Math.max(most, Math.abs(value - known.values[p])); });
  return Math.min(most, span) || span;
}
