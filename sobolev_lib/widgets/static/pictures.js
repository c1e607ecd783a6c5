// The three pictures side by side: the target, the regular network, the Sobolev network. In 3-D, from above, or, for one
// input, as curves; and where the training points and the handles of a drawn function lie on the screen.
import { disc, isDark, prepare } from "./common.js";
import { drawProfile, profileFrame } from "./profile.js";
import { camera, draw3d, drawMap, GAP, HEIGHT, mapFrame } from "./surface.js";

const ARROWS = 8; // a side; they stand on nodes of the grid
const ROOM = 0.15; // a network may leave the target's range by this share before its picture is cut

// What stays while two networks train: the grid, the target on it, the data, and the limits of the axes.
export function sceneOf({ domain, grid, truth, data, drawing }, colours) {
  const side = Math.round(grid.n ** (1 / domain.length));
  const known = truth ?? nearest(data, grid, domain);
  const [low, high] = range(known.values), room = (high - low || 1) * ROOM;
  const steep = norms(known), longest = steep.reduce((most, one) => Math.max(most, one), 0);
  const slopes = range(known.gradients.filter((one) => !Number.isNaN(one)));
  const more = (slopes[1] - slopes[0] || 1) * ROOM;
  return { domain, grid, truth, known, data, drawing, side, longest, colours,
    handleSide: drawing && Math.round(drawing.length ** (1 / domain.length)), radius: Math.max(1.2, 3.4 - 0.5 * Math.log10(data.n)),
    limits: [low - room, high + room], slopes: [slopes[0] - more, slopes[1] + more], span: high - low || 1 };
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
// { values, gradients }, which are null once its training has failed.
export function drawPicture(canvas, scene, k, shown, view, errorLimit) {
  if (scene.domain.length === 1) return drawLine(canvas, scene, k, shown, view, errorLimit);
  if (shown && !shown.values) return drawNothing(canvas);
  const picture = shown ?? scene.known;
  const errors = view.errors && shown !== null;
  const [low, high] = errors ? [0, errorLimit] : scene.limits;
  const z = Float32Array.from(picture.values, (value, p) =>
    Math.min(Math.max(errors ? Math.abs(value - scene.known.values[p]) : value, low), high));
  const panel = { n: scene.side, k: ARROWS, z, domain: scene.domain, longest: scene.longest, arrows: arrowsOf(scene, picture, errors),
    points: unitPoints(scene), mark: scene.colours.points, radius: scene.radius };
  const shared = { low, high, longest: scene.longest };
  if (view.map) drawMap(canvas, panel, shared);
  else draw3d(canvas, panel, view, shared);
  if (k === 0) drawHandles(canvas, scene, view);
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

export function unitPoints({ data, domain }) {
  return Array.from({ length: data.n }, (_, p) =>
    domain.map(([low, high], j) => (data.x[j * data.n + p] - low) / (high - low)));
}

function drawLine(canvas, scene, k, shown, view, errorLimit) {
  const { grid: { n, x }, known, truth, data, colours } = scene;
  const target = { x, values: known.values, slopes: known.gradients, colour: null, dash: shown ? [5, 4] : [] };
  const names = ["value", "derivative"];
  let curves = truth ? [target] : [], limits = [scene.domain[0], scene.limits, scene.slopes];
  if (shown?.values) {
    const curve = { x, values: shown.values, slopes: shown.gradients, colour: colours[k === 1 ? "regular" : "sobolev"], dash: [] };
    if (view.errors) {
      const away = (a, b) => Array.from({ length: n }, (_, p) => Math.abs(a[p] - b[p]));
      curve.values = away(curve.values, known.values);
      curve.slopes = away(curve.slopes, known.gradients);
      curves = [curve];
      limits = [scene.domain[0], [0, errorLimit], [0, scene.slopes[1] - scene.slopes[0]]];
      names.forEach((name, i) => { names[i] = `${name} error`; });
    } else curves.push(curve);
  }
  const points = view.errors && shown ? [] : Array.from({ length: data.n }, (_, p) =>
    ({ x: data.x[p], y: data.values[p], slope: data.gradients[p] }));
  drawProfile(canvas, { limits, curves, points, mark: colours.points, radius: scene.radius, names });
  if (k === 0) drawHandles(canvas, scene, view);
}

function drawNothing(canvas) {
  const { ctx, width, height, ink } = prepare(canvas);
  ctx.fillStyle = ink;
  ctx.textAlign = "center";
  ctx.fillText("no longer finite", width / 2, height / 2);
}

function drawHandles(canvas, scene, view) {
  const ctx = canvas.getContext("2d"), ink = getComputedStyle(canvas).color;
  for (const { kind, index, x, y } of gripsOf(canvas, scene, view)) {
    const held = view.held?.kind === kind && view.held.index === index;
    if (kind === "height") {
      ctx.fillStyle = held ? "#e69f00" : "#fff";
      ctx.strokeStyle = isDark(ink) ? "#fff" : "#000";
      ctx.lineWidth = 1;
      ctx.fillRect(x - 4, y - 4, 8, 8);
      ctx.strokeRect(x - 4.5, y - 4.5, 9, 9);
    } else if (held) {
      disc(ctx, x, y, 6, "#e69f00", ink);
    }
  }
}

// Everything on the target's canvas that can be taken: training points, and the handles of a drawn function.
export function gripsOf(canvas, scene, view) {
  const width = canvas.clientWidth, height = canvas.clientHeight, { domain, data, drawing, handleSide } = scene;
  const grips = [];
  if (domain.length === 1) {
    const { px, py } = profileFrame(width, height, [domain[0], scene.limits, scene.slopes]);
    for (let p = 0; p < data.n; p++) grips.push({ kind: "point", index: p, x: px(data.x[p]), y: py(0, data.values[p]) });
    drawing?.forEach((value, index) => {
      const at = domain[0][0] + (domain[0][1] - domain[0][0]) * index / (handleSide - 1);
      grips.push({ kind: "height", index, x: px(at), y: py(0, value) });
    });
    return grips;
  }
  const place = placer(width, height, scene, view);
  unitPoints(scene).forEach(([u, v], index) => {
    const [x, y] = place(u, v, null);
    grips.push({ kind: "point", index, x, y });
  });
  drawing?.forEach((value, index) => {
    const [x, y] = place(index % handleSide / (handleSide - 1), Math.floor(index / handleSide) / (handleSide - 1), value);
    grips.push({ kind: "height", index, x, y });
  });
  return grips;
}

// (u, v) on the floor, or at a height above it, to the screen.
function placer(width, height, { limits: [low, high] }, view) {
  if (view.map) {
    const { x0, y0, size } = mapFrame(width, height);
    return (u, v) => [x0 + u * size, y0 + (1 - v) * size];
  }
  const { project } = camera(width, height, view.turn, view.tilt);
  return (u, v, value) => project(u, v, value === null ? 0 : GAP + HEIGHT * (value - low) / (high - low));
}

// The screen's (x, y) as a place in the domain, each input between 0 and 1; null outside.
export function unitPlace(canvas, scene, view, x, y) {
  const width = canvas.clientWidth, height = canvas.clientHeight;
  let place;
  if (scene.domain.length === 1) {
    const [low, high] = scene.domain[0];
    place = [(profileFrame(width, height, [scene.domain[0], scene.limits, scene.slopes]).x(x) - low) / (high - low)];
  } else if (view.map) {
    const { x0, y0, size } = mapFrame(width, height);
    place = [(x - x0) / size, 1 - (y - y0) / size];
  } else {
    place = camera(width, height, view.turn, view.tilt).unproject(x, y);
  }
  return place.every((one) => one >= 0 && one <= 1) ? place : null;
}

// How much a handle's value changes when it is moved one pixel up.
export function valuePerPixel(canvas, scene, view) {
  const width = canvas.clientWidth, height = canvas.clientHeight, [low, high] = scene.limits;
  if (scene.domain.length === 1) {
    const { y } = profileFrame(width, height, [scene.domain[0], scene.limits, scene.slopes]);
    return y(0) - y(1);
  }
  if (view.map) return (high - low) / mapFrame(width, height).size;
  return (high - low) / (HEIGHT * camera(width, height, view.turn, view.tilt).scale * Math.max(Math.cos(view.tilt), 0.2));
}
