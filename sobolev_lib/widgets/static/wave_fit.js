// Two networks that start alike and follow the points: the first from values, the second from values and slopes.
import { lossGradients, Network } from "./network.js";
import { OPTIMISERS } from "./optimisers.js";
import { GRID } from "./wave_truth.js";

export const STEPS = 300;     // of a run: from a change of the points until the networks rest
const RATE = 0.02;            // Adam's learning rate at a run's start; it falls to zero along a straight line
const SIZES = [1, 32, 32, 1];

const moments = (list) => {
  const mean = list.reduce((sum, one) => sum + one, 0) / list.length;
  return [mean, Math.sqrt(list.reduce((sum, one) => sum + (one - mean) ** 2, 0) / list.length)];
};

export class WaveFit {
  // `start`: the points whose z-scores the networks see, for good: a scale that followed a dragged point would move the
  // curves by itself. `layers`: the initial weights of both networks.
  constructor(start, layers) {
    this.layers = layers;
    [this.xMean, this.xStd] = moments(start.map(([x]) => x));
    [this.mean, this.std] = moments(start.map(([, value]) => value));
    const slopes = start.map(([, , slope]) => slope * this.xStd / this.std);
    this.weight = start.length / slopes.reduce((sum, one) => sum + one * one, 0); // slopes and values count alike
    this.grid = GRID.map((x) => (x - this.xMean) / this.xStd);
    this.restart(start, true);
  }

  // Both networks as they were at first; `told`: the second one is told the slopes.
  restart(points, told) {
    this.networks = [0, 1].map(() => new Network(SIZES, "tanh", this.layers));
    this.optimisers = this.networks.map((network) => OPTIMISERS.adam(network.parameters(), RATE));
    this.told = told;
    this.data = { x: [], values: [], gradients: [] }; // what a network that starts has been told
    this.steps = [STEPS, STEPS];
    this.follow(points);
  }

  // Other points, the same networks: a new run from where they are. A network that is told nothing new stays as it is.
  follow(points) {
    const before = this.data;
    this.data = { x: Float64Array.from(points, ([x]) => (x - this.xMean) / this.xStd),
      values: Float64Array.from(points, ([, value]) => (value - this.mean) / this.std),
      gradients: Float64Array.from(points, ([, , slope]) => slope * this.xStd / this.std) };
    const differs = (name) => this.data[name].some((one, p) => one !== before[name][p]);
    const moved = ["x", "values"].some(differs), turned = this.told && differs("gradients");
    this.steps = this.steps.map((left, k) => (moved || (k === 1 && turned) ? STEPS : left));
  }

  // Steps until both networks rest.
  get left() {
    return Math.max(...this.steps);
  }

  step() {
    const { x, values, gradients } = this.data, n = x.length;
    this.networks.forEach((network, k) => {
      if (this.steps[k] === 0) return;
      const weight = k === 1 && this.told ? this.weight : null;
      const y = network.values(x, n), g = weight === null ? null : network.slopes(n);
      const r = new Float64Array(n), q = weight === null ? null : new Float64Array(n);
      lossGradients(y, g, values, gradients, weight, n, r, q);
      network.backward(r, q, n);
      this.optimisers[k](network.slopesOfParameters(), this.steps[k] / STEPS);
      this.steps[k] -= 1;
    });
  }

  // Values of network k on the grid.
  curve(k) {
    return Array.from(this.networks[k].values(this.grid, this.grid.length), (y) => this.mean + this.std * y);
  }
}

// Root of the mean squared distance of a curve from the truth, both on the grid.
export function miss(curve, truth) {
  return Math.sqrt(curve.reduce((sum, y, i) => sum + (y - truth[i]) ** 2, 0) / curve.length);
}
