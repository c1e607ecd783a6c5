// Everything on the target's canvas that a hand can take, and where a place on the screen lies in the domain.
import { profileFrame, tangent } from "./profile.js";
import { camera, GAP, HEIGHT, mapFrame } from "./surface.js";

export const REACH_OF_TANGENTS = 28; // pixels from a point to the handle of its slope

// The training points, each input between 0 and 1.
export function unitPoints({ data, domain }) {
  return Array.from({ length: data.n }, (_, p) =>
    domain.map(([low, high], j) => (data.x[j * data.n + p] - low) / (high - low)));
}

// Training points, the handles of their slopes where these are set by hand, and the handles of a drawn function.
export function gripsOf(canvas, scene, view) {
  const width = canvas.clientWidth, height = canvas.clientHeight, { domain, data, drawing, handleSide, tangents } = scene;
  const grips = [];
  if (domain.length === 1) {
    const { px, py } = profileFrame(width, height, [domain[0], scene.limits, scene.slopes]);
    const run = (domain[0][1] - domain[0][0]) / 30;
    for (let p = 0; p < data.n; p++) {
      const [x, y] = [px(data.x[p]), py(0, data.values[p])];
      grips.push({ kind: "point", index: p, x, y });
      if (!tangents || Number.isNaN(data.gradients[p])) continue;
      const [dx, dy] = tangent({ px, py }, { x: data.x[p], y: data.values[p], slope: data.gradients[p] }, REACH_OF_TANGENTS, run);
      const end = x + dx < px(domain[0][1]) ? 1 : -1; // the one that lies in the frame
      grips.push({ kind: "slope", index: p, x: x + end * dx, y: y + end * dy });
    }
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

// The value at a height of the screen, for one input.
export function valueAt(canvas, scene, y) {
  return lineFrame(canvas, scene).y(y);
}

// The slope of the line from point p to a place on the screen; a line has two ends, and a slope straight up would have no
// size.
export function slopeTowards(canvas, scene, p, x, y) {
  const { px, py } = lineFrame(canvas, scene), { data } = scene;
  const right = x - px(data.x[p]), up = py(0, data.values[p]) - y;
  return up / (Math.sign(right || 1) * Math.max(Math.abs(right), 1)) * steepness(canvas, scene);
}

// A slope whose line on the screen is turned by an angle, short of straight up.
export function turnedSlope(canvas, scene, slope, angle) {
  const unit = steepness(canvas, scene), now = Math.atan(slope / unit), most = Math.PI / 2 - 0.05;
  return Math.tan(Math.min(Math.max(now + angle, -most), most)) * unit;
}

// The slope of a line that rises by a pixel for each pixel to the right.
function steepness(canvas, scene) {
  const { px, py } = lineFrame(canvas, scene);
  return (px(1) - px(0)) / (py(0, 0) - py(0, 1));
}

function lineFrame(canvas, scene) {
  return profileFrame(canvas.clientWidth, canvas.clientHeight, [scene.domain[0], scene.limits, scene.slopes]);
}
