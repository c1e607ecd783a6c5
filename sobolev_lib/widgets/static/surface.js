// A surface panel: the graph of a function above its gradient field (3-D), or both from above (map).
import { unpack8 } from "./base64.js";
import { arrow, colour, disc, format, isDark, prepare, ticks, unpack16 } from "./common.js";

export const GAP = 0.45;    // floor to the surface's lowest possible point, in units of the floor's side
export const HEIGHT = 0.52; // lowest to highest possible point
const LIGHT = [-0.45, -0.55, 0.7];

// Packed panel -> heights as numbers, arrows and points in units of the floor (0..1).
export function decodeSurface(panel, blobs) {
  const [low, high] = panel.zrange;
  const z = Float32Array.from(unpack8(blobs[panel.z]), (code) => low + (code / 255) * (high - low));
  const arrows = [];
  if (panel.arrows !== undefined) {
    const codes = unpack8(blobs[panel.arrows]);
    for (let i = 0; i < panel.k * panel.k; i++) {
      const [a, b] = [codes[2 * i], codes[2 * i + 1]].map((code) => (code / 255) * 2 - 1);
      arrows.push({ u: ((i % panel.k) + 0.5) / panel.k, v: (Math.floor(i / panel.k) + 0.5) / panel.k, a, b });
    }
  }
  const flat = panel.points === undefined ? [] : unpack16(blobs[panel.points], 0, 1);
  const points = Array.from({ length: flat.length / 2 }, (_, i) => [flat[2 * i], flat[2 * i + 1]]);
  return { ...panel, z, arrows, points };
}

// Arrow i in units of the floor. Its length is the square root of the norm relative to the longest in the frame, and
// the longest fills its cell: in proportion, all but a few arrows would be dots.
function scaled(panel, longest, { a, b }) {
  const scale = (0.95 / panel.k) * Math.sqrt(panel.longest / (longest || 1));
  const [width, depth] = panel.domain.map(([low, high]) => high - low);
  // directions live in the domain's units, the floor is a square
  const [x, y] = [a / width, b / depth];
  const stretch = (Math.hypot(a, b) * scale) / (Math.hypot(x, y) || 1);
  return [x * stretch, y * stretch];
}

// The camera: orthographic, `turn` around the vertical axis, `tilt` above the horizon (both in radians). `unproject` finds
// the place on the floor under a point of the screen.
export function camera(width, height, turn, tilt) {
  const [sin, cos] = [Math.sin(turn), Math.cos(turn)];
  const tall = 1.6 * Math.sin(tilt) + (GAP + HEIGHT) * Math.cos(tilt) + 0.05; // the floor's diagonal with its labels
  const scale = Math.min(width / 1.64, height / tall);
  const middle = ((GAP + HEIGHT) / 2) * Math.cos(tilt) - 0.04; // a little room for the labels below
  const project = (u, v, h) => {
    const right = (u - 0.5) * cos - (v - 0.5) * sin;
    const away = (u - 0.5) * sin + (v - 0.5) * cos;
    return [width / 2 + scale * right, height / 2 - scale * (h * Math.cos(tilt) + away * Math.sin(tilt) - middle)];
  };
  const unproject = (x, y) => {
    const right = (x - width / 2) / scale, away = ((height / 2 - y) / scale + middle) / Math.sin(tilt);
    return [0.5 + right * cos + away * sin, 0.5 - right * sin + away * cos];
  };
  return { project, unproject, scale, sin, cos };
}

export function draw3d(canvas, panel, view, shared) {
  const { ctx, width, height, ink } = prepare(canvas);
  const { project, sin, cos } = camera(width, height, view.turn, view.tilt);
  drawFloor(ctx, panel, project, ink, shared, sin, cos);
  const n = panel.n, span = shared.high - shared.low || 1;
  const paint = shared.colour ?? colour; // from 0 to 1, the lowest to the highest
  const level = (i, j) => GAP + (HEIGHT * (panel.z[i * n + j] - shared.low)) / span;
  const at = [];
  for (let i = 0; i < n; i++) for (let j = 0; j < n; j++) at.push(project(j / (n - 1), i / (n - 1), level(i, j)));
  // Painter's algorithm: the farthest quads first, so that nearer ones cover them. On a grid no sorting is needed.
  const order = (backwards) => Array.from({ length: n - 1 }, (_, i) => (backwards ? n - 2 - i : i));
  const rows = order(cos > 0), columns = order(sin > 0);
  ctx.lineJoin = "round";
  ctx.lineWidth = 0.8;
  for (const i of rows) {
    for (const j of columns) {
      const mean = (level(i, j) + level(i + 1, j) + level(i, j + 1) + level(i + 1, j + 1)) / 4;
      const slopeU = (level(i, j + 1) - level(i, j)) * (n - 1), slopeV = (level(i + 1, j) - level(i, j)) * (n - 1);
      const facing = (-slopeU * LIGHT[0] - slopeV * LIGHT[1] + LIGHT[2]) / Math.hypot(slopeU, slopeV, 1);
      const shade = 0.78 + 0.22 * Math.max(facing, -0.6);
      const [r, g, b] = paint((mean - GAP) / HEIGHT).map((c) => Math.round(c * shade));
      ctx.beginPath();
      ctx.moveTo(...at[i * n + j]);
      ctx.lineTo(...at[i * n + j + 1]);
      ctx.lineTo(...at[(i + 1) * n + j + 1]);
      ctx.lineTo(...at[(i + 1) * n + j]);
      ctx.closePath();
      ctx.fillStyle = ctx.strokeStyle = `rgb(${r},${g},${b})`;
      ctx.fill();
      ctx.stroke(); // hides the seams between quads
    }
  }
}

function drawFloor(ctx, panel, project, ink, shared, sin, cos) {
  const line = (points) => points.forEach(([u, v], i) => ctx[i ? "lineTo" : "moveTo"](...project(u, v, 0)));
  ctx.beginPath();
  line([[0, 0], [1, 0], [1, 1], [0, 1], [0, 0]]);
  ctx.fillStyle = isDark(ink) ? "rgba(255,255,255,.06)" : "rgba(0,0,0,.035)";
  ctx.fill();
  ctx.strokeStyle = ink;
  ctx.globalAlpha = 0.55;
  ctx.lineWidth = 1;
  ctx.stroke();
  ctx.globalAlpha = 0.85;
  ctx.beginPath();
  for (const one of panel.arrows) {
    const [du, dv] = scaled(panel, shared.longest, one);
    const [x, y] = project(one.u, one.v, 0), [x0, y0] = project(one.u - du / 2, one.v - dv / 2, 0);
    arrow(ctx, x, y, 2 * (x - x0), 2 * (y - y0));
  }
  ctx.stroke();
  ctx.globalAlpha = 1;
  for (const [u, v] of panel.points) disc(ctx, ...project(u, v, 0), panel.radius ?? 2.6, panel.mark, isDark(ink) ? "#000" : "#fff");
  // Tick labels along the two edges that face the reader.
  ctx.fillStyle = ink;
  ctx.textAlign = "center";
  ctx.textBaseline = "middle";
  const near = cos > 0 ? 0 : 1, side = sin > 0 ? 0 : 1;
  label(ctx, project, panel.domain[0], "x₁", side, (t, out) => [t, near + (near ? out : -out)]);
  label(ctx, project, panel.domain[1], "x₂", near, (t, out) => [side + (side ? out : -out), t]);
}

// `corner` is the end, 0 or 1, at which the two edges meet; labels there move apart.
function label(ctx, project, [low, high], name, corner, place) {
  for (const value of ticks(low, high, 3)) {
    const t = (value - low) / (high - low);
    if (Math.abs(t - 0.5) < 0.09) continue; // the axis's name stands in the middle
    ctx.fillText(format(value), ...project(...place(Math.abs(t - corner) < 0.05 ? t + 0.22 * (0.5 - corner) : t, 0.11), 0));
  }
  ctx.fillText(name, ...project(...place(0.5, 0.16), 0));
}

// Where the map lies on its canvas: its upper left corner and its side.
export function mapFrame(width, height) {
  const left = 34, bottom = 30, margin = 8;
  const size = Math.min(width - left - margin, height - bottom - margin);
  return { x0: left + (width - left - margin - size) / 2, y0: margin + (height - bottom - margin - size) / 2, size };
}

export function drawMap(canvas, panel, shared) {
  const { ctx, width, height, ink } = prepare(canvas);
  const { x0, y0, size } = mapFrame(width, height);
  const place = (u, v) => [x0 + u * size, y0 + (1 - v) * size];
  // One pixel per value, enlarged with smoothing; only the inner halves of the outermost pixels belong to the domain.
  const n = panel.n, span = shared.high - shared.low || 1;
  const small = document.createElement("canvas");
  small.width = small.height = n;
  const image = new ImageData(n, n);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < n; j++) {
      image.data.set([...(shared.colour ?? colour)((panel.z[i * n + j] - shared.low) / span), 255], 4 * ((n - 1 - i) * n + j));
    }
  }
  small.getContext("2d").putImageData(image, 0, 0);
  ctx.imageSmoothingQuality = "high";
  ctx.drawImage(small, 0.5, 0.5, n - 1, n - 1, x0, y0, size, size);
  for (const [stroke, thick] of [["rgba(0,0,0,.75)", 2.4], ["#fff", 1.1]]) { // white on black: readable on every colour
    ctx.beginPath();
    for (const one of panel.arrows) {
      const [du, dv] = scaled(panel, shared.longest, one);
      arrow(ctx, ...place(one.u, one.v), du * size, -dv * size);
    }
    ctx.strokeStyle = stroke;
    ctx.lineWidth = thick;
    ctx.stroke();
  }
  for (const [u, v] of panel.points) disc(ctx, ...place(u, v), panel.radius ?? 3, panel.mark, "#fff");
  ctx.strokeStyle = ctx.fillStyle = ink;
  ctx.lineWidth = 1;
  ctx.strokeRect(x0, y0, size, size);
  const [a, b] = panel.domain;
  ctx.textAlign = "center";
  ctx.textBaseline = "top";
  for (const value of ticks(...a, 4)) ctx.fillText(format(value), place((value - a[0]) / (a[1] - a[0]), 0)[0], y0 + size + 4);
  ctx.fillText("x₁", x0 + size / 2, y0 + size + 16);
  ctx.textAlign = "right";
  ctx.textBaseline = "middle";
  for (const value of ticks(...b, 4)) ctx.fillText(format(value), x0 - 4, place(0, (value - b[0]) / (b[1] - b[0]))[1]);
  ctx.fillText("x₂", x0 - 20, y0 + size / 2);
}
