// The field of FieldBall: two landscapes, their slopes turned by an angle, a ball that follows them, and loops.

export const REACH = 2; // the picture shows -REACH to REACH in both directions
export const STEP = 0.01; // of the ball's time

// Height, slopes, second derivatives [along x, mixed, along y]; no ball is dropped higher than `top`, so none leaves the picture.
export const LANDSCAPES = {
  bowl: { name: "One bowl", height: ([x, y]) => (x * x + y * y) / 2, slope: ([x, y]) => [x, y], bend: () => [1, 0, 1], top: 1.8,
    lines: [0.1, 0.4, 0.9, 1.6] },
  valleys: { name: "Two valleys", height: ([x, y]) => (x * x - 1) ** 2 / 4 + y * y / 2, slope: ([x, y]) => [x * (x * x - 1), y],
    bend: ([x]) => [3 * x * x - 1, 0, 1], top: 1.9, lines: [0.06, 0.25, 0.8, 1.6] },
};

// The arrow at a place: downhill, turned by `angle`.
export function arrowAt(landscape, angle, at) {
  const [a, b] = LANDSCAPES[landscape].slope(at), turn = (angle * Math.PI) / 180;
  const [cos, sin] = angle === 90 ? [0, 1] : [Math.cos(turn), Math.sin(turn)];
  return [-cos * a - sin * b, -cos * b + sin * a];
}

// |J - J^T| / (2 |J|) of the field's Jacobian J, 0 where it vanishes: as jacobian_asymmetry in Python.
export function asymmetryAt(landscape, angle, at) {
  const [a, b, c] = LANDSCAPES[landscape].bend(at), size = Math.hypot(a, b, b, c);
  return size ? Math.abs(Math.sin((angle * Math.PI) / 180) * (a + c)) / Math.SQRT2 / size : 0;
}

// Once around the circle about the middle that passes through `start`: [sum of the arrows along the way, length of the way].
export function aroundLoop(landscape, angle, start, pieces = 360) {
  const r = Math.hypot(...start), piece = (2 * Math.PI) / pieces;
  let sum = 0;
  for (let k = 0; k < pieces; k++) {
    const along = [-Math.sin(k * piece), Math.cos(k * piece)];
    const [a, b] = arrowAt(landscape, angle, [r * along[1], -r * along[0]]);
    sum += (a * along[0] + b * along[1]) * r * piece;
  }
  return [sum, 2 * Math.PI * r];
}

// A step of Runge and Kutta's.
export function rolled(landscape, angle, at, step = STEP) {
  const from = (v, share) => arrowAt(landscape, angle, [at[0] + share * step * v[0], at[1] + share * step * v[1]]);
  const a = from([0, 0], 0), b = from(a, 0.5), c = from(b, 0.5), d = from(c, 1);
  return [0, 1].map((k) => at[k] + (step / 6) * (a[k] + 2 * b[k] + 2 * c[k] + d[k]));
}

// The nearest place on the way to the middle from which a ball stays in the picture, whatever the angle.
export function placeFor(landscape, [x, y]) {
  const { height, top } = LANDSCAPES[landscape];
  let at = [Math.min(Math.max(x, -REACH), REACH), Math.min(Math.max(y, -REACH), REACH)];
  while (height(at) > top) at = at.map((one) => one * 0.99);
  return at.map((one) => Math.round(1000 * one) / 1000);
}

export function sentence({ angle, rest, turns, over }) {
  const times = turns === 1 ? "once" : turns === 2 ? "twice" : `${turns} times`;
  if (angle === 90 && !rest) {
    return turns ? `It has gone round ${times} and is no lower than at the start. It never will be.`
      : "It rolls along a height line: neither up nor down.";
  }
  if (rest && angle === 0) return "Straight downhill, and at rest where no arrow is left.";
  if (rest) return turns ? `At rest at last, after going round ${times}.` : "At rest: a detour, but downhill all the way.";
  if (over) return `Still on its way, after going round ${times}.`;
  return angle === 0 ? "It rolls straight downhill." : "It rolls downhill, but never straight.";
}

// Height lines: in each small square of a grid, straight pieces between the sides that a line crosses.
export function heightLines({ height, lines }, n = 80) {
  const at = (i) => -REACH + (2 * REACH * i) / n;
  const rows = Array.from({ length: n + 1 }, (_, j) => Array.from({ length: n + 1 }, (_, i) => height([at(i), at(j)])));
  const pieces = [];
  for (const level of lines) {
    for (let j = 0; j < n; j++) {
      for (let i = 0; i < n; i++) {
        const corners = [[i, j], [i + 1, j], [i + 1, j + 1], [i, j + 1]];
        const crossed = corners.flatMap(([a, b], k) => {
          const [c, d] = corners[(k + 1) % 4], [from, to] = [rows[b][a] - level, rows[d][c] - level];
          const share = from / (from - to);
          return from < 0 === to < 0 ? [] : [[at(a + share * (c - a)), at(b + share * (d - b))]];
        });
        for (let k = 0; k + 1 < crossed.length; k += 2) pieces.push([crossed[k], crossed[k + 1]]);
      }
    }
  }
  return pieces;
}
