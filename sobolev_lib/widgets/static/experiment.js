// One experiment: a target, its training data, and two networks that start alike. The regular one learns from values, the
// Sobolev one from values and derivatives. All that is random follows PyTorch's generators, so sl.fit makes the same steps.
import { lossGradients, Network } from "./network.js";
import { OPTIMISERS } from "./optimisers.js";
import { Generator } from "./random.js";
import { tableOf } from "./tables.js";
import { gridOf, heightsOf, labelled, targetOf } from "./targets.js";

export const METHODS = ["regular", "sobolev"];

export class Experiment {
  // `weights` replaces the initial weights of both networks, for tests: a list of { weight, bias }
  constructor(settings, problem, weights = null) {
    this.settings = settings;
    this.table = tableOf(settings, problem);
    this.target = this.table ? { domain: this.table.domain, at: null } : targetOf(settings, problem);
    this.drawing = heightsOf(settings);
    this.domain = this.target.domain;
    this.inputs = this.domain.length;
    this.grid = gridOf(this.domain);
    this.truth = this.table ? null : labelled(this.target, this.grid);
    this.test = this.table ? copied(this.table.test) : this.truth;
    this.data = this.table ? copied(this.table.train) : this.sampled();
    this.disturb();
    this.scale = scaleOf(this.data);
    const { width, depth, activation, lr, optimizer, seed } = settings;
    const sizes = [this.inputs, ...Array(depth).fill(width), 1];
    this.networks = METHODS.map(() => new Network(sizes, activation, weights ?? initialLayers(sizes, seed)));
    this.steppers = this.networks.map((network) => OPTIMISERS[optimizer](network.parameters(), lr));
    this.stopped = METHODS.map(() => null); // the step at which a network's loss was no longer a number
    this.step = 0;
    this.batches = batchesOf(this.data.n, settings.batch_size, seed);
    this.scaled = this.scale.apply(this.data);
  }

  // Training points: those that the reader has placed, or a uniform sample; in the order in which torch would draw them.
  sampled() {
    const { points, sample, at } = this.settings;
    this.random = new Generator(sample);
    const d = this.inputs;
    if (at && at.length % d) throw new Error(`at has ${at.length} numbers, expected ${d} for each point`);
    const n = at ? at.length / d : points;
    const unit = at ? Float64Array.from(at) : this.random.uniform(n * d);
    const x = new Float64Array(n * d);
    for (let p = 0; p < n; p++) {
      for (let j = 0; j < d; j++) {
        const [low, high] = this.domain[j];
        x[j * n + p] = low + (high - low) * unit[p * d + j];
      }
    }
    return labelled(this.target, { n, x });
  }

  // Noise, in shares of the target's own spread, and derivatives taken away from all but the first points.
  disturb() {
    const { value_noise, derivative_noise, derivative_share, sample } = this.settings;
    const { n, values, gradients } = this.data, d = this.inputs, random = this.random ?? new Generator(sample);
    const size = spread(this.truth ?? this.data, d);
    if (value_noise > 0) random.normal(n).forEach((e, p) => { values[p] += value_noise * size.values * e; });
    if (derivative_noise > 0) {
      const noise = random.normal(n * d);
      for (let p = 0; p < n; p++) for (let j = 0; j < d; j++) {
        gradients[j * n + p] += derivative_noise * size.gradients[j] * noise[p * d + j];
      }
    }
    const carriers = Math.round(derivative_share * n);
    for (let j = 0; j < d; j++) gradients.fill(NaN, j * n + carriers, (j + 1) * n);
  }

  advance() {
    const batch = take(this.scaled, this.batches(), this.inputs), { n } = batch;
    const { order, derivative_weight } = this.settings;
    this.networks.forEach((network, k) => {
      if (this.stopped[k] !== null) return;
      const weight = METHODS[k] === "sobolev" && order === 1 ? derivative_weight : null;
      const y = network.values(batch.x, n), g = weight === null ? null : network.slopes(n);
      const r = new Float64Array(n), q = weight === null ? null : new Float64Array(n * this.inputs);
      const terms = lossGradients(y, g, batch.values, batch.gradients, weight, n, r, q);
      if (!terms.every((one) => one === null || Number.isFinite(one))) { this.stopped[k] = this.step + 1; return; }
      network.backward(r, q, n);
      this.steppers[k](network.slopesOfParameters());
    });
    this.step += 1;
  }

  // Values and gradients of network k at points { n, x }, in original units.
  predict(k, { n, x }) {
    const network = this.networks[k], { mean, std, valueMean, valueStd } = this.scale;
    const z = new Float64Array(x.length);
    for (let j = 0, t = 0; j < this.inputs; j++) for (let p = 0; p < n; p++, t++) z[t] = (x[t] - mean[j]) / std[j];
    const values = network.values(z, n).map((y) => valueMean + valueStd * y);
    const gradients = network.slopes(n).map((g, t) => g * valueStd / std[Math.floor(t / n)]);
    return { n, x, values, gradients };
  }

  // What to show: for each network its errors on the test points and its picture on the grid.
  snapshot() {
    const networks = METHODS.map((_, k) => {
      if (this.stopped[k] !== null) return { errors: [NaN, NaN], values: null, gradients: null };
      const picture = this.predict(k, this.grid);
      const errors = errorsOf(this.table ? this.predict(k, this.test) : picture, this.test);
      if (!errors.every(Number.isFinite)) {
        this.stopped[k] = this.step;
        return { errors: [NaN, NaN], values: null, gradients: null };
      }
      return { errors, values: picture.values, gradients: picture.gradients };
    });
    return { step: this.step, stopped: [...this.stopped], networks };
  }
}

// Mean squared errors: of the values, and of the gradients (summed over entries, missing ones left out).
export function errorsOf(prediction, truth) {
  const { n } = truth;
  let value = 0, gradient = 0;
  for (let p = 0; p < n; p++) value += (prediction.values[p] - truth.values[p]) ** 2 / n;
  truth.gradients.forEach((known, t) => {
    if (!Number.isNaN(known)) gradient += (prediction.gradients[t] - known) ** 2 / n;
  });
  return [value, gradient];
}

// A table's rows: lists, missing derivatives as null, as JSON has them.
function copied({ n, x, values, gradients }) {
  const numbers = (list) => Float64Array.from(list, (one) => one ?? NaN);
  return { n, x: numbers(x), values: numbers(values), gradients: numbers(gradients) };
}

// Standard deviation of the values, root mean square of the known gradient entries of each input.
function spread({ n, values, gradients }, d) {
  const mean = values.reduce((sum, one) => sum + one, 0) / n;
  const rms = (list) => Math.sqrt(list.reduce((sum, one) => sum + one * one, 0) / Math.max(1, list.length));
  return { values: rms(values.map((one) => one - mean)),
    gradients: Array.from({ length: d }, (_, j) => rms(gradients.slice(j * n, (j + 1) * n).filter((one) => !Number.isNaN(one)))) };
}

// Z-scores, as sl.Standardized makes them.
function scaleOf({ n, x, values, gradients }) {
  const moments = (list) => {
    const mean = list.reduce((sum, one) => sum + one, 0) / n;
    const std = Math.sqrt(list.reduce((sum, one) => sum + (one - mean) ** 2, 0) / n);
    const noise = 2 ** -23 * list.reduce((most, one) => Math.max(most, Math.abs(one)), 0);
    return [mean, std > 10 * noise ? std : 0];
  };
  const inputs = Array.from({ length: x.length / n }, (_, j) => moments(x.subarray(j * n, (j + 1) * n)));
  const [valueMean, valueSpread] = moments(values);
  const mean = inputs.map((one) => one[0]), spreads = inputs.map((one) => one[1]);
  // What does not vary has the scale that its slopes tell, else 1.
  const steep = mean.map((_, j) => {
    const known = Array.from(gradients.slice(j * n, (j + 1) * n)).filter((one) => !Number.isNaN(one));
    return Math.sqrt(known.reduce((sum, one) => sum + one * one, 0) / Math.max(1, known.length));
  });
  const valueStd = valueSpread || Math.hypot(...steep.map((one, j) => one * spreads[j])) || 1;
  const std = spreads.map((one, j) => one || (steep[j] > 0 ? valueStd / steep[j] : 1));
  return { mean, std, valueMean, valueStd, apply: (data) => ({
    n,
    x: data.x.map((one, t) => (one - mean[Math.floor(t / n)]) / std[Math.floor(t / n)]),
    values: data.values.map((one) => (one - valueMean) / valueStd),
    gradients: data.gradients.map((one, t) => one * std[Math.floor(t / n)] / valueStd),
  }) };
}

// The initial weights of sl.models.MLP: He normal, hinges of the first layer spread as widely as z-scored inputs.
function initialLayers(sizes, seed) {
  const random = new Generator(seed), last = sizes.length - 2;
  return sizes.slice(1).map((size, l) => {
    const fan = sizes[l], std = Math.sqrt((l === last ? 1 : 2) / fan);
    const weight = random.normal(size * fan).map((one) => one * std), bias = new Float64Array(size);
    if (l === 0) random.uniform(size).forEach((one, i) => {
      bias[i] = Math.sqrt(3) * (2 * one - 1) * Math.hypot(...weight.subarray(i * fan, (i + 1) * fan));
    });
    return { weight, bias };
  });
}

// Rows of one batch after another, in shuffled epochs as in sl.fit; null stands for all points.
function batchesOf(n, size, seed) {
  if (!size || size >= n) return () => null;
  const random = new Generator(seed);
  let order = null, position = n;
  return () => {
    if (position >= n) { order = random.permutation(n); position = 0; }
    position += size;
    return order.subarray(position - size, Math.min(position, n));
  };
}

function take(data, rows, d) {
  if (rows === null) return data;
  const n = rows.length, pick = (list, count) =>
    Float64Array.from({ length: n * count }, (_, t) => list[Math.floor(t / n) * data.n + rows[t % n]]);
  return { n, x: pick(data.x, d), values: pick(data.values, 1), gradients: pick(data.gradients, d) };
}
