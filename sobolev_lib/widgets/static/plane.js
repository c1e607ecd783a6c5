// A plane panel: arrows from the origin, the paths on which they end, and marked points; both axes have the same scale.
import { disc, isDark, prepare, unpack16 } from "./common.js";

const HEAD = 11; // pixels of an arrow's head

export function decodePlane(panel, blobs) {
  const pairs = (name) => {
    const flat = unpack16(blobs[name], -panel.limit, panel.limit);
    return Array.from({ length: flat.length / 2 }, (_, i) => [flat[2 * i], flat[2 * i + 1]]);
  };
  return {
    ...panel,
    curves: panel.curves.map((curve) => (curve.to ? { ...curve } : { ...curve, path: pairs(curve.y) })),
    points: panel.points === undefined ? [] : pairs(panel.points),
  };
}

// Each arrow and path has a colour and a dash; points take that of the first arrow.
export function drawPlane(canvas, panel) {
  const { ctx, width, height, ink } = prepare(canvas);
  const half = Math.min(width, height) / 2 - 8, px = (x) => width / 2 + (x / panel.limit) * half,
    py = (y) => height / 2 - (y / panel.limit) * half;
  ctx.strokeStyle = ink;
  ctx.lineWidth = 1;
  ctx.globalAlpha = 0.3;
  ctx.beginPath();
  ctx.moveTo(px(-panel.limit), py(0));
  ctx.lineTo(px(panel.limit), py(0));
  ctx.moveTo(px(0), py(-panel.limit));
  ctx.lineTo(px(0), py(panel.limit));
  ctx.stroke();
  ctx.globalAlpha = 1;
  for (const curve of panel.curves.filter((one) => one.path)) {
    ctx.beginPath();
    curve.path.forEach(([x, y], i) => ctx[i ? "lineTo" : "moveTo"](px(x), py(y)));
    ctx.strokeStyle = curve.colour;
    ctx.lineWidth = 1.5;
    ctx.setLineDash(curve.dash);
    ctx.stroke();
  }
  ctx.setLineDash([]);
  ctx.globalAlpha = 0.55; // what was, behind what is
  const first = panel.curves.find((one) => one.to).colour;
  for (const [x, y] of panel.points) disc(ctx, px(x), py(y), 3, first, isDark(ink) ? "#000" : "#fff");
  ctx.globalAlpha = 1;
  for (const curve of panel.curves.filter((one) => one.to)) {
    const [x, y] = [px(curve.to[0]), py(curve.to[1])], dx = x - px(0), dy = y - py(0), length = Math.hypot(dx, dy);
    ctx.strokeStyle = ctx.fillStyle = curve.colour;
    if (length < 2) { disc(ctx, x, y, 3.5, curve.colour, curve.colour); continue; }
    const head = Math.min(HEAD, length) / length, bx = x - head * dx, by = y - head * dy;
    ctx.lineWidth = 3.2;
    ctx.beginPath();
    ctx.moveTo(px(0), py(0));
    ctx.lineTo(bx, by);
    ctx.stroke();
    ctx.beginPath();
    ctx.moveTo(x, y);
    for (const side of [-0.5, 0.5]) ctx.lineTo(bx + side * head * dy, by - side * head * dx);
    ctx.closePath();
    ctx.fill();
  }
}
