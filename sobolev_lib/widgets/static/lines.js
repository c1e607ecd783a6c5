// A line panel: curves over a common x, with axes, tick labels and, if asked for, a logarithmic y axis.
import { disc, format, isDark, prepare, superscript, ticks, unpack16 } from "./common.js";

export function decodeLines(panel, blobs) {
  const [xlow, xhigh] = panel.xrange, [ylow, yhigh] = panel.yrange;
  const flat = panel.points === undefined ? [] : unpack16(blobs[panel.points], 0, 1);
  return {
    ...panel,
    x: unpack16(blobs[panel.x], xlow, xhigh),
    curves: panel.curves.map((curve) => ({ ...curve, y: unpack16(blobs[curve.y], ylow, yhigh) })),
    points: Array.from({ length: flat.length / 2 }, (_, i) =>
      [xlow + flat[2 * i] * (xhigh - xlow), ylow + flat[2 * i + 1] * (yhigh - ylow)]),
  };
}

// `shared` holds the y limits, the same for all panels with the same y axis; logarithms where it is logarithmic.
export function drawLines(canvas, panel, shared) {
  const { ctx, width, height, ink } = prepare(canvas);
  const left = 52, right = 10, top = 8, bottom = 34;
  const [xlow, xhigh] = panel.xrange;
  const pad = (shared.high - shared.low || 1) * 0.04; // keeps curves off the frame
  const low = shared.low - pad, high = shared.high + pad;
  const px = (x) => left + ((x - xlow) / (xhigh - xlow || 1)) * (width - left - right);
  const py = (y) => height - bottom - ((y - low) / (high - low)) * (height - top - bottom);

  ctx.fillStyle = ctx.strokeStyle = ink;
  ctx.lineWidth = 1;
  ctx.textAlign = "right";
  ctx.textBaseline = "middle";
  for (const mark of yMarks(panel.logy, low, high)) {
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
  for (const value of ticks(xlow, xhigh, width < 300 ? 3 : 5)) {
    const text = format(value), half = ctx.measureText(text).width / 2;
    ctx.fillText(text, Math.min(px(value), width - half), height - bottom + 5); // the last one must not be cut
  }
  ctx.fillText(panel.xlabel, left + (width - left - right) / 2, height - 14);
  ctx.save();
  ctx.translate(10, top + (height - top - bottom) / 2);
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
    ctx.strokeStyle = curve.colour || ink;
    ctx.setLineDash(curve.dash);
    ctx.stroke();
  }
  ctx.restore();
  for (const [x, y] of panel.points) disc(ctx, px(x), py(y), 3.5, panel.mark, isDark(ink) ? "#000" : "#fff");
}

function yMarks(logy, low, high) {
  if (!logy) return ticks(low, high, 5).map((at) => ({ at, text: format(at) }));
  const powers = ticks(low, high, 5).filter(Number.isInteger);
  if (powers.length > 1) return powers.map((at) => ({ at, text: `10${superscript(at)}` }));
  // less than two powers of ten in sight: 1, 2, 5, 10, 20, ... and where these are too few, numbers at equal distances
  const first = Math.floor(low), decades = Array.from({ length: Math.ceil(high) - first }, (_, i) => 10 ** (first + i));
  const round = decades.flatMap((ten) => [ten, 2 * ten, 5 * ten]).filter((v) => Math.log10(v) >= low && Math.log10(v) <= high);
  const values = round.length > 2 ? round : ticks(10 ** low, 10 ** high, 4).filter((v) => v > 0);
  return values.map((v) => ({ at: Math.log10(v), text: format(v) }));
}

// A legend entry's stroke, so that colour is not the only cue.
export function swatch(curve) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("width", 26);
  svg.setAttribute("height", 8);
  svg.setAttribute("aria-hidden", "true");
  svg.innerHTML = `<line x1="0" y1="4" x2="26" y2="4" stroke-width="2.5" stroke="${curve.colour || "currentColor"}"
    stroke-dasharray="${curve.dash.join(" ")}"/>`;
  return svg;
}
