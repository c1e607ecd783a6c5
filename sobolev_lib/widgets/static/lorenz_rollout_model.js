// The system of LorenzRollout, the networks that learned its step, and how far they get with it.

export const STEP = 0.01; // of the simulator's time
const FIRST = [1, 1, 20]; // the starts lie on the way from here

// A state moved on by `time`, by the classical Runge-Kutta method: as `simulator` in Python.
export function simulated(state, time) {
  let at = state;
  for (let k = Math.round(time / STEP); k > 0; k--) {
    const from = (v, share) => slope(at.map((one, i) => one + share * STEP * v[i]));
    const a = slope(at), b = from(a, 0.5), c = from(b, 0.5), d = from(c, 1);
    at = at.map((one, i) => one + (STEP / 6) * (a[i] + 2 * b[i] + 2 * c[i] + d[i]));
  }
  return at;
}
const slope = ([x, y, z]) => [10 * (y - x), x * (28 - z) - y, x * y - (8 / 3) * z];

export const startOf = (k) => simulated(FIRST, 10 + 1.3 * k);

// What a network makes of a state: z-scores in, layers with SiLU between them, z-scores out.
export function answer(network, state) {
  let h = state.map((one, i) => (one - network.input_mean[i]) / network.input_std[i]);
  network.layers.forEach(({ weight, bias }, l) => {
    h = bias.map((b, j) => weight[j].reduce((sum, w, i) => sum + w * h[i], b));
    if (l < network.layers.length - 1) h = h.map((z) => z / (1 + Math.exp(-z)));
  });
  return h.map((z, i) => network.output_mean[i] + network.output_std[i] * z);
}

// A way of `steps` answers, each fed back: [steps + 1][3]. Where it leaves all bounds it stays.
export function rolled(act, start, steps) {
  const way = [start];
  for (let k = 0; k < steps; k++) {
    const next = act(way[k]);
    way.push(next.every((one) => Math.abs(one) < 1e3) ? next : way[k]);
  }
  return way;
}

export const distances = (way, truth) => way.map((at, k) => Math.hypot(...at.map((one, i) => one - truth[k][i])));

// The number of answers until one is further off than `limit`; all of them if none is.
export function stays(away, limit) {
  const first = away.findIndex((one) => one > limit);
  return first < 0 ? away.length - 1 : first;
}
