// A multilayer perceptron with one output, and the gradient of the Sobolev loss in closed form.
//
// Arrays hold one row a unit and one column a point, so that every loop runs along the points. With z = W a + b in each
// layer and a' = phi(z) for the next one, y the output and x the input:
//   values     forward    z, a, and the slopes phi'(z)
//   slopes     backward   D = dy/da and d = dy/dz, down to g = dy/dx
//   backward   from r = dL/dy and q = dL/dg at every point: forward again for the tangents of z and a along q, then
//              back for u, the gradient of the loss with respect to z. A weight's gradient is u a^T + d (tangent of a)^T.
import { multiply, outer } from "./matrices.js";

// Each activation fills a = phi(z) and the slopes phi'(z), at zero and far out as PyTorch has them. `curvature` is phi'' from the
// value and the slope; piecewise linear ones have none. Loops over whole arrays: a call for each number costs more than it does.
function piecewise(below) {
  return { fill(z, a, slope) {
    for (let t = 0; t < z.length; t++) {
      const one = z[t] > 0 ? 1 : below;
      a[t] = one * z[t];
      slope[t] = one;
    }
  } };
}
export const ACTIVATIONS = {
  relu: piecewise(0),
  leaky_relu: piecewise(0.01),
  tanh: {
    fill(z, a, slope) {
      for (let t = 0; t < z.length; t++) {
        const one = 1 - 2 / (Math.exp(2 * z[t]) + 1); // several times faster than Math.tanh
        a[t] = one;
        slope[t] = 1 - one * one;
      }
    },
    curvature: (a, slope) => -2 * a * slope,
  },
  softplus: {
    fill(z, a, slope) {
      for (let t = 0; t < z.length; t++) {
        const one = z[t], small = Math.exp(-Math.abs(one)); // never overflows
        a[t] = one > 20 ? one : (one > 0 ? one : 0) + (small < 1e-5 ? small : Math.log(1 + small)); // Math.log1p is slow
        slope[t] = one > 20 ? 1 : (one > 0 ? 1 : small) / (1 + small);
      }
    },
    curvature: (a, slope) => slope * (1 - slope),
  },
};

export class Network {
  // `sizes` as in MLP(2, 64, 64, 1); `layers` holds { weight, bias } for each, weights row by row as PyTorch has them.
  constructor(sizes, activation, layers) {
    this.sizes = sizes;
    this.phi = ACTIVATIONS[activation];
    this.layers = layers.map(({ weight, bias }) => ({ weight: Float32Array.from(weight), bias: Float32Array.from(bias) }));
    this.gradients = layers.map(({ weight, bias }) =>
      ({ weight: new Float32Array(weight.length), bias: new Float32Array(bias.length), more: new Float32Array(weight.length) }));
    this.spaces = new Map();
  }

  // Working memory for n points, kept: a batch is followed by another of the same size.
  space(n) {
    if (!this.spaces.has(n)) {
      if (this.spaces.size === 4) this.spaces.clear();
      const rows = () => this.sizes.map((size) => new Float32Array(size * n));
      this.spaces.set(n, { z: rows(), a: rows(), slope: rows(), D: rows(), d: rows(), u: rows(), zTangent: rows(),
        aTangent: rows(), ones: new Float32Array(n).fill(1) });
    }
    return this.spaces.get(n);
  }

  // Values y (n) at x (inputs, n). What the other sweeps need stays in the working memory.
  values(x, n) {
    const { z, a, slope } = this.space(n), last = this.layers.length, { phi } = this;
    a[0].set(x);
    for (let l = 1; l <= last; l++) {
      const { weight, bias } = this.layers[l - 1];
      multiply(z[l], weight, a[l - 1], this.sizes[l], this.sizes[l - 1], n);
      addRows(z[l], bias, n);
      if (l < last) phi.fill(z[l], a[l], slope[l]);
    }
    return z[last];
  }

  // Input gradient g (inputs, n), after `values` at the same n points.
  slopes(n) {
    const { D, d, slope } = this.space(n), last = this.layers.length;
    d[last].fill(1);
    for (let l = last - 1; l >= 0; l--) {
      multiply(D[l], this.layers[l].weight, d[l + 1], this.sizes[l], this.sizes[l + 1], n, true);
      if (l > 0) times(d[l], D[l], slope[l]);
    }
    return D[0];
  }

  // Fill `gradients`, after `values` (and, unless q is null, `slopes`), for dL/dy = r (n) and dL/dg = q (inputs, n).
  backward(r, q, n) {
    const { a, slope, D, d, u, zTangent, aTangent, ones } = this.space(n), last = this.layers.length, { sizes, phi } = this;
    if (q) {
      aTangent[0].set(q);
      for (let l = 1; l < last; l++) {
        multiply(zTangent[l], this.layers[l - 1].weight, aTangent[l - 1], sizes[l], sizes[l - 1], n);
        times(aTangent[l], slope[l], zTangent[l]);
      }
    }
    u[last].set(r);
    for (let l = last; l > 0; l--) {
      const gradient = this.gradients[l - 1], [m, k] = [sizes[l], sizes[l - 1]];
      if (q && !phi.curvature) { // u is r d, and both terms are one product: d (r a + tangent of a)^T
        const both = u[l - 1];   // not needed otherwise on this way
        stretchedPlus(both, r, a[l - 1], aTangent[l - 1]);
        outer(gradient.weight, d[l], both, m, k, n);
        rowSums(gradient.bias, d[l], r, n);
        continue;
      }
      outer(gradient.weight, u[l], a[l - 1], m, k, n);
      if (q) {
        outer(gradient.more, d[l], aTangent[l - 1], m, k, n);
        gradient.more.forEach((one, i) => { gradient.weight[i] += one; });
      }
      rowSums(gradient.bias, u[l], ones, n);
      if (l === 1) break;
      multiply(u[l - 1], this.layers[l - 1].weight, u[l], k, m, n, true);
      times(u[l - 1], u[l - 1], slope[l - 1]);
      if (q) addBend(u[l - 1], phi.curvature, a[l - 1], slope[l - 1], zTangent[l - 1], D[l - 1]);
    }
  }

  parameters() {
    return this.layers.flatMap(({ weight, bias }) => [weight, bias]);
  }

  slopesOfParameters() {
    return this.gradients.flatMap(({ weight, bias }) => [weight, bias]);
  }
}

function times(out, a, b) {
  for (let t = 0; t < out.length; t++) out[t] = a[t] * b[t];
}

// To every row i of out (rows, n) its bias i.
function addRows(out, bias, n) {
  for (let i = 0, t = 0; i < bias.length; i++) {
    const one = bias[i];
    for (const end = t + n; t < end; t++) out[t] += one;
  }
}

// out = r a + b, r (n) stretching each column of a (rows, n).
function stretchedPlus(out, r, a, b) {
  const n = r.length;
  for (let t = 0; t < out.length; t += n) for (let p = 0; p < n; p++) out[t + p] = r[p] * a[t + p] + b[t + p];
}

// out (rows): sums of the rows of a (rows, n), each column times r (n).
function rowSums(out, a, r, n) {
  for (let i = 0, t = 0; i < out.length; i++) {
    let sum = 0;
    for (let p = 0; p < n; p++, t++) sum += r[p] * a[t];
    out[i] = sum;
  }
}

function addBend(u, curvature, a, slope, tangent, D) {
  for (let t = 0; t < u.length; t++) u[t] += curvature(a[t], slope[t]) * tangent[t] * D[t];
}

// r = dL/dy and q = dL/dg of L = mean over points of (y - values)^2 + weight * |g - gradients|^2, missing (NaN) entries of
// the gradients left out of the sum, as in SobolevLoss. Returns L's two terms. `weight` null: plain regression.
export function lossGradients(y, g, values, gradients, weight, n, r, q) {
  let valueTerm = 0, gradientTerm = 0;
  for (let p = 0; p < n; p++) {
    const miss = y[p] - values[p];
    valueTerm += miss * miss / n;
    r[p] = 2 * miss / n;
  }
  if (weight === null) return [valueTerm, null];
  for (let t = 0; t < q.length; t++) {
    const miss = g[t] - gradients[t];
    const known = !Number.isNaN(gradients[t]);
    gradientTerm += known ? miss * miss / n : 0;
    q[t] = known ? 2 * weight * miss / n : 0;
  }
  return [valueTerm, gradientTerm];
}
