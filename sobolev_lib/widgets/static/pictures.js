// The three pictures side by side: the target, the regular network, the Sobolev network. In 3-D, from above, or, for one
// input, as curves. What can be taken by hand on the target is in grips.js.
import { disc, inkOf, isDark, prepare } from "./common.js";
import { differenceColour } from "./diverging.js";
import { gripsOf, REACH_OF_TANGENTS, unitPoints } from "./grips.js";
import { PALETTE } from "./palette.js";
import { drawProfile } from "./profile.js";
import { draw3d, drawMap } from "./surface.js";

const ARROWS = 8;         // a side; they stand on nodes of the grid
const ROOM = 0.15;        // a network may leave the target's range by this share before its picture is cut
const MOST_DRAWN = 400;   // of the training points: more would hide the picture

// What stays while two networks train: the grid, the target on it, the data, and the limits of the axes. `tangents`: points
// set by hand, whose axes stay where they are while a hand drags.
export function sceneOf({ domain, grid, truth, data, test, drawing, local }, colours) {
  const side = Math.round(grid.n ** (1 / domain.length));
  const known = truth ?? nearest(data, grid, domain);
  const [low, high] = local ? [-1, 1] : range(known.values), room = (high - low || 1) * ROOM;
  const steep = norms(known), longest = steep.reduce((most, one) => Math.max(most, one), 0);
  const slopes = range([...known.gradients.filter((one) => !Number.isNaN(one)), ...(local ? [-8, 8] : [])]);
  const more = (slopes[1] - slopes[0] || 1) * ROOM;
  return { domain, grid, truth, known, data, test, drawing, tangents: local, side, longest, colours,
    handleSide: drawing && Math.round(drawing.length ** (1 / domain.length)), radius: Math.max(1.2, 3.4 - 0.5 * Math.log10(data.n)),
    limits: [low - room, high + room], slopes: [slopes[0] - more, slopes[1] + more], span: high - low || 1 };
}

// How far above the target a network's picture hangs as a whole, when it lies outside the frame for the most part; else 0.
// It is drawn that much lower: its shape is what there is to see.
export function liftOf({ truth, known, limits: [low, high], domain }, values) {
  if (!truth || !values || domain.length === 1) return 0;
  const outside = values.reduce((count, value) => count + (value < low || value > high), 0);
  if (outside < values.length / 2) return 0;
  return values.reduce((sum, value, p) => sum + value - known.values[p], 0) / values.length;
}

function range(list) {
  return list.reduce(([low, high], one) => [Math.min(low, one), Math.max(high, one)], [Infinity, -Infinity]);
}

function norms({ n, gradients }) {
  return Array.from({ length: n }, (_, p) => Math.hypot(gradients[p] || 0, gradients[n + p] || 0));
}

// A table says nothing between its points; its picture repeats the nearest one.
function nearest(data, grid, domain) {
  const size = domain.map(([low, high]) => high - low), d = domain.length;
  const values = new Float64Array(grid.n), gradients = new Float64Array(grid.n * d);
  for (let p = 0; p < grid.n; p++) {
    let best = 0, closest = Infinity;
    for (let k = 0; k < data.n; k++) {
      let distance = 0;
      for (let j = 0; j < d; j++) distance += ((grid.x[j * grid.n + p] - data.x[j * data.n + k]) / size[j]) ** 2;
      if (distance < closest) { closest = distance; best = k; }
    }
    values[p] = data.values[best];
    for (let j = 0; j < d; j++) gradients[j * grid.n + p] = data.gradients[j * data.n + best];
  }
  return { n: grid.n, values, gradients };
}

// Draw picture k (0 the target, 1 and 2 the networks). `shown` is null for the target, or a network's
// { values, gradients }, which are null once its training has failed. `limit` is the end of the difference's scale.
export function drawPicture(canvas, scene, k, shown, view, limit) {
  if (shown && !shown.values) return drawNothing(canvas);
  if (scene.domain.length === 1) return drawLine(canvas, scene, k, shown, view, limit);
  const picture = shown ?? scene.known;
  const difference = view.errors && shown !== null, lift = difference ? 0 : liftOf(scene, shown?.values);
  const [low, high] = difference ? [-limit, limit] : scene.limits;
  const z = Float32Array.from(picture.values, (value, p) =>
    Math.min(Math.max(value - (difference ? scene.known.values[p] : lift), low), high));
  const panel = { n: scene.side, k: ARROWS, z, domain: scene.domain, longest: scene.longest,
    arrows: arrowsOf(scene, picture, difference), points: thinned(unitPoints(scene)),
    mark: scene.colours.points, radius: scene.radius };
  const shared = { low, high, longest: scene.longest, colour: difference ? differenceColour : undefined };
  if (view.map) drawMap(canvas, panel, shared);
  else draw3d(canvas, panel, view, shared);
  if (k === 0) drawHandles(canvas, scene, view);
}

function thinned(points) {
  const every = Math.ceil(points.length / MOST_DRAWN);
  return points.filter((_, p) => p % every === 0);
}

function arrowsOf(scene, { gradients }, errors) {
  const { side, longest, grid: { n } } = scene, step = (side - 1) / ARROWS, arrows = [];
  for (let i = 0; i < ARROWS; i++) {
    for (let j = 0; j < ARROWS; j++) {
      const p = (step / 2 + i * step) * side + step / 2 + j * step;
      const truth = errors ? scene.known.gradients : null;
      const [x, y] = [0, n].map((offset) => (gradients[offset + p] - (truth ? truth[offset + p] : 0)) || 0);
      const size = Math.hypot(x, y), length = Math.sqrt(Math.min(size / (longest || 1), 1.5)); // beyond, arrows would overlap
      arrows.push({ u: (j + 0.5) / ARROWS, v: (i + 0.5) / ARROWS, a: size ? x / size * length : 0, b: size ? y / size * length : 0 });
    }
  }
  return arrows;
}

function drawLine(canvas, scene, k, shown, view, limit) {
  const { grid: { x }, known, truth, data, colours, tangents } = scene, difference = view.errors && shown !== null;
  const minus = (a, b) => Float64Array.from(a, (one, p) => one - b[p]);
  const curves = truth && !difference
    ? [{ x, values: known.values, slopes: known.gradients, colour: colours.truth, dash: PALETTE.truth.dash }] : [];
  if (shown) {
    const { colour, dash } = colours.lines[k - 1];
    curves.push({ x, colour, dash, values: difference ? minus(shown.values, known.values) : shown.values,
      slopes: difference ? minus(shown.gradients, known.gradients) : shown.gradients });
  }
  const steep = (scene.slopes[1] - scene.slopes[0]) / 2;
  const limits = difference ? [scene.domain[0], [-limit, limit], [-steep, steep]] : [scene.domain[0], scene.limits, scene.slopes];
  const points = difference ? [] : thinned(Array.from({ length: data.n }, (_, p) =>
    ({ x: data.x[p], y: data.values[p], slope: data.gradients[p] })));
  drawProfile(canvas, { limits, curves, points, mark: colours.points, slopeMark: colours.slopes, radius: scene.radius,
    names: difference ? ["value: learned − true", "derivative: learned − true"] : ["value", "derivative"],
    reach: tangents && k === 0 ? REACH_OF_TANGENTS : undefined });
  if (k === 0) drawHandles(canvas, scene, view);
}

function drawNothing(canvas) {
  const { ctx, width, height, ink } = prepare(canvas);
  ctx.fillStyle = ink;
  ctx.textAlign = "center";
  ctx.fillText("no longer finite", width / 2, height / 2);
}

function drawHandles(canvas, scene, view) {
  const ctx = canvas.getContext("2d"), ink = inkOf(canvas);
  for (const { kind, index, x, y } of gripsOf(canvas, scene, view)) {
    const held = view.held?.kind === kind && view.held.index === index;
    if (kind === "height") {
      ctx.fillStyle = held ? "#e69f00" : "#fff";
      ctx.strokeStyle = isDark(ink) ? "#fff" : "#000";
      ctx.lineWidth = 1;
      ctx.fillRect(x - 4, y - 4, 8, 8);
      ctx.strokeRect(x - 4.5, y - 4.5, 9, 9);
    } else if (kind === "slope") {
      disc(ctx, x, y, held ? 6.5 : 4.5, held ? "#e69f00" : scene.colours.slopes, isDark(ink) ? "#fff" : "#000");
    } else if (held) {
      disc(ctx, x, y, 6, "#e69f00", ink);
    }
  }
}
