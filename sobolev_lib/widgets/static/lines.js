// A line panel: curves over a common x, with axes and tick labels; either axis may be logarithmic.
import { disc, format, isDark, prepare, ticks, unpack16 } from "./common.js";

const TANGENT = 16; // pixels of half a tangent

export function decodeLines(panel, blobs) {
  const [xlow, xhigh] = panel.xrange, [ylow, yhigh] = panel.yrange;
  const flat = panel.points === undefined ? [] : unpack16(blobs[panel.points], 0, 1);
  return {
    ...panel,
    x: unpack16(blobs[panel.x], xlow, xhigh),
    curves: panel.curves.map((curve) => ({ ...curve, y: unpack16(blobs[curve.y], ylow, yhigh),
      band: curve.band === undefined ? undefined : unpack16(blobs[curve.band], ylow, yhigh) })), // low ends, then high ones
    points: Array.from({ length: flat.length / 2 }, (_, i) =>
      [xlow + flat[2 * i] * (xhigh - xlow), ylow + flat[2 * i + 1] * (yhigh - ylow)]),
  };
}

// Each curve has a colour and a dash; `mark` and `slopeMark` are the colours of points and tangents.
// `shared` holds the y limits, the same for all panels with the same y axis; logarithms where it is logarithmic.
export function drawLines(canvas, panel, shared) {
  const { ctx, width, height, ink } = prepare(canvas);
  const [xlow, xhigh] = panel.xrange;
  const pad = (shared.high - shared.low || 1) * 0.04; // keeps curves off the frame
  const low = shared.low - pad, high = shared.high + pad;
  const rows = marks(panel.logy, low, high, 5);
  // the axis's name stands left of its widest label
  const left = 27 + Math.max(12, ...rows.map((mark) => ctx.measureText(mark.text).width)), right = 10, top = 8, bottom = 36;
  const px = (x) => left + ((x - xlow) / (xhigh - xlow || 1)) * (width - left - right);
  const py = (y) => height - bottom - ((y - low) / (high - low)) * (height - top - bottom);

  ctx.fillStyle = ctx.strokeStyle = ink;
  ctx.lineWidth = 1;
  ctx.textAlign = "right";
  ctx.textBaseline = "middle";
  for (const mark of rows) {
    ctx.globalAlpha = 0.18;
    ctx.beginPath();
    ctx.moveTo(left, py(mark.at));
    ctx.lineTo(width - right, py(mark.at));
    ctx.stroke();
    ctx.globalAlpha = 1;
    ctx.fillText(mark.text, left - 5, py(mark.at));
  }
  ctx.textAlign = "center";
  ctx.textBaseline = "top";
  let end = -Infinity; // of the last label: one that would touch it is left out
  for (const mark of marks(panel.logx, xlow, xhigh, width < 300 ? 3 : 5)) {
    const half = ctx.measureText(mark.text).width / 2;
    const middle = Math.min(px(mark.at), width - half); // the last one must not be cut
    if (middle - half < end + 4) continue;
    ctx.fillText(mark.text, middle, height - bottom + 5);
    end = middle + half;
  }
  ctx.fillText(panel.xlabel, left + (width - left - right) / 2, height - 14);
  ctx.save();
  ctx.translate(9, top + (height - top - bottom) / 2);
  ctx.rotate(-Math.PI / 2);
  ctx.textBaseline = "middle";
  ctx.fillText(panel.ylabel, 0, 0);
  ctx.restore();
  ctx.globalAlpha = 0.55;
  ctx.strokeRect(left, top, width - left - right, height - top - bottom);
  ctx.globalAlpha = 1;

  ctx.save();
  ctx.beginPath();
  ctx.rect(left, top, width - left - right, height - top - bottom);
  ctx.clip();
  ctx.globalAlpha = 0.2;
  for (const { band, colour } of panel.curves.filter((curve) => curve.band)) {
    const count = panel.x.length; // along the low ends, and back along the high ones
    ctx.beginPath();
    for (let i = 0; i < count; i++) ctx.lineTo(px(panel.x[i]), py(band[i]));
    for (let i = count - 1; i >= 0; i--) ctx.lineTo(px(panel.x[i]), py(band[count + i]));
    ctx.fillStyle = colour;
    ctx.fill();
  }
  ctx.globalAlpha = 1;
  ctx.lineWidth = 2;
  ctx.lineJoin = "round";
  for (const curve of panel.curves) {
    ctx.beginPath();
    let pen = false;
    panel.x.forEach((x, i) => {
      const y = curve.y[i];
      if (!Number.isNaN(y)) ctx[pen ? "lineTo" : "moveTo"](px(x), py(y));
      pen = !Number.isNaN(y);
    });
    ctx.strokeStyle = curve.colour;
    ctx.setLineDash(curve.dash);
    ctx.stroke();
  }
  ctx.setLineDash([]);
  ctx.strokeStyle = panel.slopeMark;
  ctx.lineWidth = 3;
  panel.slopes?.forEach((slope, i) => {
    const [x, y] = [px(panel.points[i][0]), py(panel.points[i][1])];
    const [dx, dy] = [px(xlow + 1) - px(xlow), py(low + slope) - py(low)], scale = TANGENT / Math.hypot(dx, dy);
    ctx.beginPath();
    ctx.moveTo(x - dx * scale, y - dy * scale);
    ctx.lineTo(x + dx * scale, y + dy * scale);
    ctx.stroke();
  });
  ctx.restore();
  panel.points.forEach(([x, y], i) => {
    const pale = panel.chosen !== undefined && panel.chosen !== i; // all but the chosen one
    ctx.globalAlpha = pale ? 0.45 : 1;
    disc(ctx, px(x), py(y), panel.chosen === i ? 6 : 3.8, panel.mark, isDark(ink) ? "#000" : "#fff");
  });
  ctx.globalAlpha = 1;
}

// Tick marks { at, text } of an axis; on a logarithmic one `at` is the logarithm and the text the number.
function marks(logarithmic, low, high, count) {
  if (!logarithmic) return ticks(low, high, count).map((at) => ({ at, text: format(at) }));
  const powers = ticks(low, high, count).filter(Number.isInteger);
  if (powers.length > 1) return powers.map((at) => ({ at, text: format(10 ** at) }));
  // less than two powers of ten in sight: 1, 2, 5, 10, 20, ... and where these are too few, numbers at equal distances
  const first = Math.floor(low), decades = Array.from({ length: Math.ceil(high) - first }, (_, i) => 10 ** (first + i));
  const round = decades.flatMap((ten) => [ten, 2 * ten, 5 * ten]).filter((v) => Math.log10(v) >= low && Math.log10(v) <= high);
  const values = round.length > 2 ? round : ticks(10 ** low, 10 ** high, 4).filter((v) => v > 0);
  return values.map((v) => ({ at: Math.log10(v), text: format(v) }));
}

// A legend entry's stroke, so that colour is not the only cue.
export function swatch({ colour, dash }) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("width", 26);
  svg.setAttribute("height", 8);
  svg.setAttribute("aria-hidden", "true");
  svg.innerHTML = `<line x1="0" y1="4" x2="26" y2="4" stroke-width="2.5" stroke="${colour}"
    stroke-dasharray="${dash.join(" ")}"/>`;
  return svg;
}
