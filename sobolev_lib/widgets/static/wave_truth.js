// The truth that the reader bends: a wave, and a correction that makes it pass through the points with their slopes.
// A point is [x, value, slope]; lists of points run from left to right.

export const REACH = 2; // the wave is drawn and compared from -REACH to REACH
export const GRID = Float64Array.from({ length: 161 }, (_, i) => -REACH + 2 * REACH * i / 160);
export const LIMITS = { value: 2.4, slope: 8, gap: 0.2 }; // of what a point may tell, and between two points

const wave = (x) => Math.sin(3 * x) + x;
const waveSlope = (x) => 3 * Math.cos(3 * x) + 1;

// A function of x. Between two points the correction is the cubic with the right values and slopes at both; outside it is
// straight. Where all points lie on the wave with its slopes, the correction is zero and the truth is the wave.
export function truthThrough(points) {
  const knots = points.map(([x, value, slope]) => [x, value - wave(x), slope - waveSlope(x)]);
  return (x) => {
    let i = 0;
    while (i < knots.length && knots[i][0] < x) i++;
    const [[a, u, p], [b, v, q]] = [knots[Math.max(i - 1, 0)], knots[Math.min(i, knots.length - 1)]];
    if (a === b) return wave(x) + u + p * (x - a);
    const h = b - a, t = (x - a) / h, s = 1 - t;
    return wave(x) + (1 + 2 * t) * s * s * u + t * s * s * h * p + t * t * (3 - 2 * t) * v - t * t * s * h * q;
  };
}

// What a point may become: inside the picture, and between its neighbours. `points` holds the others as they are.
export function allowed(points, i, [x, value, slope]) {
  const clamp = (one, low, high) => Math.min(Math.max(one, low), high);
  const low = i > 0 ? points[i - 1][0] + LIMITS.gap : -REACH;
  const high = i < points.length - 1 ? points[i + 1][0] - LIMITS.gap : REACH;
  return [clamp(x, low, high), clamp(value, -LIMITS.value, LIMITS.value), clamp(slope, -LIMITS.slope, LIMITS.slope)];
}
