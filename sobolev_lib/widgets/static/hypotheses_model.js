// What the figure of hypotheses computes: functions of three straight pieces that agree with one of them at three points.
//
// A function is a list of four vertices [x, y]: continuous, and of three pieces at most. All samples are deterministic.

export const PIECES = ["first", "middle", "last"];
export const STEP = 0.01; // of the width: between two places of a point, and a press of an arrow key
export const TRIES = 300; // members of the sequence looked at for one picture
const DRAWN = { values: 16, slopes: 12 };

export function valueAt(vertices, x) {
  const i = (x > vertices[1][0]) + (x > vertices[2][0]);
  const [[x0, y0], [x1, y1]] = [vertices[i], vertices[i + 1]];
  return y0 + ((x - x0) / (x1 - x0)) * (y1 - y0);
}

export function pieceOf(knots, x) {
  return (x > knots[1][0]) + (x > knots[2][0]);
}

// Where a point may lie: not on a hinge, which has no slope, and not on another point.
export function places(knots, others) {
  const [low, high] = [knots[0][0], knots[3][0]];
  const step = STEP * (high - low);
  return Array.from({ length: Math.round(1 / STEP) - 3 }, (_, i) => low + (i + 2) * step).filter((x) =>
    [knots[1][0], knots[2][0]].every((hinge) => Math.abs(x - hinge) > 0.6 * step)
    && others.every((other) => Math.abs(x - other) > 1.5 * step));
}

// Two numbers in (0, 1) that fill the square evenly as k grows: the plastic number's sequence.
function pair(k) {
  return [0.7548776662466927, 0.5698402909980532].map((a) => (0.5 + k * a) % 1);
}

function isInside(vertices, [low, high]) {
  return vertices.every(([, y]) => y >= low && y <= high);
}

function determinant(m) {
  if (m.length === 1) return m[0][0];
  return m[0].reduce((sum, first, j) =>
    sum + (j % 2 ? -1 : 1) * first * determinant(m.slice(1).map((row) => row.filter((_, c) => c !== j))), 0);
}

// Cramer's rule; the systems have four unknowns.
function solve(matrix, right) {
  const whole = determinant(matrix);
  return right.map((_, j) => determinant(matrix.map((row, i) => row.map((a, c) => (c === j ? right[i] : a)))) / whole);
}

// Functions with the three values. For fixed hinges their heights at the four corners solve three linear equations: a
// line of solutions, of which one within the picture is taken.
export function withValues(knots, points, heights, count = DRAWN.values, from = 0) {
  const [low, high] = [knots[0][0], knots[3][0]];
  const found = [];
  for (let k = from + 1; k <= from + TRIES && found.length < count; k++) {
    const [a, b] = pair(k).sort((u, v) => u - v).map((u) => low + (0.04 + 0.92 * u) * (high - low));
    if (b - a < 0.06 * (high - low)) continue;
    const corners = [low, a, b, high];
    const rows = points.map((x) => corners.map((_, j) => valueAt(corners.map((at, i) => [at, i === j ? 1 : 0]), x)));
    const free = corners.map((_, j) => (j % 2 ? -1 : 1) * determinant(rows.map((row) => row.filter((_, c) => c !== j))));
    if (Math.hypot(...free) < 1e-3) continue; // all points in one piece
    const one = solve([...rows, free], [...points.map((x) => valueAt(knots, x)), 0]);
    let least = -Infinity, most = Infinity;
    one.forEach((y, j) => {
      if (Math.abs(free[j]) < 1e-12) { if (y < heights[0] || y > heights[1]) most = -Infinity; return; }
      const ends = heights.map((edge) => (edge - y) / free[j]).sort((u, v) => u - v);
      least = Math.max(least, ends[0]);
      most = Math.min(most, ends[1]);
    });
    if (!(least < most)) continue;
    const share = 0.05 + 0.9 * ((k * 0.6180339887498949) % 1);
    found.push(corners.map((x, j) => [x, one[j] + (least + share * (most - least)) * free[j]]));
  }
  // few, if the points lie on one line; what has the slopes, too, has the values
  return [...found, ...withSlopes(knots, points, heights, count - found.length, from)].slice(0, count);
}

// Functions with the three values and slopes. Points of one piece show one line; a function of three pieces can't leave
// a line between two of its points and come back. So what is free lies before, after, and between the lines seen.
export function withSlopes(knots, points, heights, count = DRAWN.slopes, from = 0) {
  const [low, high] = [knots[0][0], knots[3][0]];
  const lines = [];
  for (const x of [...points].sort((a, b) => a - b)) {
    const piece = pieceOf(knots, x);
    if (lines.at(-1)?.piece === piece) { lines.at(-1).last = x; continue; }
    const slope = (knots[piece + 1][1] - knots[piece][1]) / (knots[piece + 1][0] - knots[piece][0]);
    const value = valueAt(knots, x);
    lines.push({ piece, slope, first: x, last: x, start: value - slope * x });
  }
  const on = (line, x) => [x, line.start + line.slope * x];
  const crossing = (l, r) => (r.start - l.start) / (l.slope - r.slope);
  const [left, right] = [lines[0], lines.at(-1)];
  if (lines.length === 3) {
    const hinges = [crossing(lines[0], lines[1]), crossing(lines[1], lines[2])];
    return [[on(left, low), on(left, hinges[0]), on(right, hinges[1]), on(right, high)]];
  }
  const height = (share) => heights[0] + (0.04 + 0.92 * share) * (heights[1] - heights[0]);
  const leaves = (line) => heights.map((y) => (y - line.start) / line.slope).sort((a, b) => a - b); // the picture, at these x
  const [start, end] = [Math.max(low, leaves(left)[0]), Math.min(high, leaves(right)[1])];
  const before = (share) => start + (0.1 + 0.8 * share) * (left.first - start);
  const after = (share) => right.last + (0.1 + 0.8 * share) * (end - right.last);
  const families = [];
  if (lines.length === 2) {
    families.push((u, v) => { // leave the left line, take a short cut to the right one
      const [a, b] = [Math.min(u, v), Math.max(u, v)].map((share) => left.last + share * (right.first - left.last));
      return b - a < 0.1 * (right.first - left.last) ? null : [on(left, low), on(left, a), on(right, b), on(right, high)];
    });
    const hinge = crossing(left, right);
    if (hinge > left.last && hinge < right.first) {
      families.push((u, v) => [on(left, low), on(left, hinge), on(right, after(u)), [high, height(v)]]);
      families.push((u, v) => [[low, height(v)], on(left, before(u)), on(left, hinge), on(right, high)]);
    }
  } else {
    families.push((u, v) => [[low, height(v)], on(left, before(u)), on(left, after(v)), [high, height(u)]]);
    families.push((u, v) => {
      const at = after(u / 2);
      return [on(left, low), on(left, at), [at + (0.3 + 0.4 * v) * (high - at), height(v)], [high, height(1 - u)]];
    });
    families.push((u, v) => {
      const at = before(0.5 + u / 2);
      return [[low, height(1 - u)], [low + (0.3 + 0.4 * v) * (at - low), height(v)], on(left, at), on(left, high)];
    });
  }
  const found = [];
  for (let k = from + 1; k <= from + TRIES && found.length < count; k++) {
    const one = families[k % families.length](...pair(k));
    if (one && isInside(one, heights)) found.push(one);
  }
  return found;
}

export function sentence(knots, points, drawn) {
  const shares = PIECES.map((_, piece) => points.filter((x) => pieceOf(knots, x) === piece).length);
  if (shares.every((n) => n === 1)) {
    return "One point in each piece. With slopes one function is left: the true one. "
      + `With values alone infinitely many are left; ${drawn[0]} are drawn.`;
  }
  const where = shares.includes(3) ? `All points lie in the ${PIECES[shares.indexOf(3)]} piece. `
    : `Two points share the ${PIECES[shares.indexOf(2)]} piece, the ${PIECES[shares.indexOf(0)]} one has none. `;
  return `${where}Infinitely many functions are left, with slopes, too; ${drawn[0]} and ${drawn[1]} are drawn.`;
}
