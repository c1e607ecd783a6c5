// The functions to learn: values and gradients at any point, for one input or two.
//
// A target is { domain, at } with a (low, high) pair for each input; at(x, y) returns [f, df/dx, df/dy].
import { compiled, derivativeOf, parseFormula, uses } from "./formula.js";

const { abs, cos, exp, sign, sin, sqrt, PI } = Math;

const square = (low, high) => [[low, high], [low, high]];
const term = (p) => p * p * p * p - 16 * p * p + 5 * p;          // of Styblinski-Tang
const steep = (p) => 4 * p * p * p - 32 * p + 5;

// The seven of section 4.1, as in sobolev_lib.functions; where a derivative does not exist, the mean of both sides.
export const FORMULAS = {
  ackley: { domain: square(-5, 5), at(x, y) {
    const distance = sqrt((x * x + y * y) / 2), hill = 20 * exp(-0.2 * distance);
    const waves = exp((cos(2 * PI * x) + cos(2 * PI * y)) / 2), pull = distance ? 0.1 * hill / distance : 0;
    return [-hill - waves + Math.E + 20, pull * x + waves * PI * sin(2 * PI * x), pull * y + waves * PI * sin(2 * PI * y)];
  } },
  beale: { domain: square(-4.5, 4.5), at(x, y) {
    const a = 1.5 - x + x * y, b = 2.25 - x + x * y * y, c = 2.625 - x + x * y * y * y;
    return [a * a + b * b + c * c, 2 * (a * (y - 1) + b * (y * y - 1) + c * (y * y * y - 1)),
      2 * x * (a + 2 * b * y + 3 * c * y * y)];
  } },
  booth: { domain: square(-10, 10), at(x, y) {
    const a = x + 2 * y - 7, b = 2 * x + y - 5;
    return [a * a + b * b, 2 * a + 4 * b, 4 * a + 2 * b];
  } },
  bukin: { domain: [[-15, -5], [-3, 3]], at(x, y) {
    const height = y - 0.01 * x * x, root = sqrt(abs(height)), slope = root > 1e-7 ? 50 * sign(height) / root : 0;
    return [100 * root + 0.01 * abs(x + 10), -0.02 * x * slope + 0.01 * sign(x + 10), slope];
  } },
  mccormick: { domain: [[-1.5, 4], [-3, 4]], at(x, y) {
    const c = cos(x + y), d = 2 * (x - y);
    return [sin(x + y) + d * d / 4 - 1.5 * x + 2.5 * y + 1, c + d - 1.5, c - d + 2.5];
  } },
  rosenbrock: { domain: square(-2, 2), at(x, y) {
    const a = y - x * x;
    return [100 * a * a + (1 - x) * (1 - x), -400 * a * x - 2 * (1 - x), 200 * a];
  } },
  styblinski_tang: { domain: square(-5, 5), at: (x, y) => [(term(x) + term(y)) / 2, steep(x) / 2, steep(y) / 2] },
  ridge: { domain: square(-2, 2), at: (x, y) => [sin(2 * x + y), 2 * cos(2 * x + y), cos(2 * x + y)] },
  wave: { domain: [[-3, 3]], at: (x) => [sin(2 * x) + x / 2, 2 * cos(2 * x) + 0.5] },
};

// Drawn functions: heights at equal steps, on a line or on a square, between -1 and 1.
const DRAWINGS = { curve: { domain: [[0, 1]], side: 7 }, surface: { domain: square(0, 1), side: 5 } };
const DRAWN = {
  curve: [-0.2, 0.5, 0.3, -0.6, -0.3, 0.7, 0.4],
  surface: [-0.4, -0.2, 0, -0.3, -0.6, -0.1, 0.5, 0.3, -0.2, -0.4, 0.2, 0.8, 0.1, -0.5, 0, 0.1, 0.3, -0.4, -0.7, 0.2, -0.3,
    0, -0.2, 0.1, 0.6],
};

// Heights of the drawn function, or null if another one is chosen.
export function heightsOf({ function: name, drawing }) {
  if (!DRAWINGS[name]) return null;
  const { length } = DRAWN[name];
  if (drawing && drawing.length !== length) throw new Error(`drawing has ${drawing.length} heights, expected ${length}`);
  return drawing ?? DRAWN[name];
}

// `problem` is what Python passed for the function "custom": { kind: "lattice", ... }.
export function targetOf(settings, problem) {
  const name = settings.function;
  if (name === "custom") return lattice(problem);
  if (name === "formula") return typed(settings.formula, settings.range);
  if (FORMULAS[name]) return FORMULAS[name];
  const { domain, side } = DRAWINGS[name], values = heightsOf(settings);
  return lattice({ domain, side, values, ...smoothSlopes(values, side, domain.length) });
}

// A formula in x, or in x and y, between the limits of `range`: low and high of each input, -2 to 2 where there are none.
function typed(text, range) {
  const node = parseFormula(text), names = uses(node, "y") ? ["x", "y"] : ["x"];
  const domain = names.map((_, j) => range?.slice(2 * j, 2 * j + 2) ?? []).map((pair) => (pair.length ? pair : [-2, 2]));
  domain.forEach(([low, high], j) => {
    if (!(low < high)) throw new Error(`${names[j]} runs from ${low} to ${high}: expected a lower number first`);
  });
  const parts = [node, ...names.map((name) => derivativeOf(node, name))].map(compiled);
  return { domain, at: (x, y) => parts.map((part) => part(x, y)) };
}

// Values and gradients at points { n, x }, one column an input. Throws Error where one of them is not finite.
export function labelled({ domain, at }, { n, x }) {
  const d = domain.length, values = new Float64Array(n), gradients = new Float64Array(n * d);
  for (let p = 0; p < n; p++) {
    const [value, ...slopes] = at(x[p], x[n + p]);
    values[p] = value;
    slopes.forEach((slope, j) => { gradients[j * n + p] = slope; });
    if (Number.isFinite(value) && slopes.every(Number.isFinite)) continue;
    const place = domain.map((_, j) => `${["x", "y"][j]} = ${Number(x[j * n + p].toPrecision(4))}`).join(", ");
    throw new Error(`${Number.isFinite(value) ? "a slope" : "the function"} is not finite at ${place}`);
  }
  return { n, x, values, gradients };
}

// The grid on which errors are measured and pictures drawn.
export const SIDE = { 1: 201, 2: 33 }; // nodes along each input
export function gridOf(domain) {
  const side = SIDE[domain.length], n = side ** domain.length, x = new Float64Array(n * domain.length);
  for (let p = 0; p < n; p++) {
    domain.forEach(([low, high], j) => {
      const i = j ? Math.floor(p / side) : p % side;
      x[j * n + p] = low + (high - low) * i / (side - 1);
    });
  }
  return { n, x };
}

// Slopes of a smooth function through values one unit apart: differences of the two neighbours (Catmull-Rom).
function smoothSlopes(values, side, inputs) {
  const along = (table, stride) => table.map((_, k) => {
    const i = Math.floor(k / stride) % side;
    const before = i > 0 ? k - stride : k, after = i < side - 1 ? k + stride : k;
    return (table[after] - table[before]) * (side - 1) / ((after - before) / stride);
  });
  const dx = along(values, 1);
  if (inputs === 1) return { dx };
  return { dx, dy: along(values, side), dxy: along(dx, side) };
}

// Cubic pieces that agree with values and slopes on a lattice with `side` nodes for each input, rows along the first.
function lattice({ domain, side, values, dx, dy, dxy }) {
  const width = domain.map(([low, high]) => (high - low) / (side - 1));
  const place = (p, axis) => {
    const s = (p - domain[axis][0]) / width[axis], i = Math.min(Math.max(Math.floor(s), 0), side - 2), t = s - i;
    const h = width[axis]; // weights of value and slope at both ends, and their derivatives
    return { i, w: [(1 + 2 * t) * (1 - t) ** 2, t * (1 - t) ** 2 * h, t * t * (3 - 2 * t), t * t * (t - 1) * h],
      v: [6 * t * (t - 1) / h, (1 - t) * (1 - 3 * t), 6 * t * (1 - t) / h, t * (3 * t - 2)] };
  };
  if (domain.length === 1) {
    return { domain, at(x) {
      const { i, w, v } = place(x, 0), known = [values[i], dx[i], values[i + 1], dx[i + 1]];
      return [w, v].map((weights) => weights.reduce((sum, one, k) => sum + one * known[k], 0));
    } };
  }
  return { domain, at(x, y) {
    const a = place(x, 0), b = place(y, 1);
    const out = [0, 0, 0];
    for (let p = 0; p < 4; p++) {
      for (let q = 0; q < 4; q++) {
        const k = (b.i + (q >> 1)) * side + a.i + (p >> 1);
        const known = (p % 2 ? (q % 2 ? dxy : dx) : (q % 2 ? dy : values))[k];
        out[0] += known * a.w[p] * b.w[q];
        out[1] += known * a.v[p] * b.w[q];
        out[2] += known * a.w[p] * b.v[q];
      }
    }
    return out;
  } };
}
