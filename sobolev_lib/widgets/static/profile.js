// A function of one input: its values above, its derivative below, over a common x.
import { disc, format, isDark, prepare, ticks } from "./common.js";

const LEFT = 40, RIGHT = 8, TOP = 17, BOTTOM = 30, BETWEEN = 19;
const SHORT = 14; // pixels of half a tangent; longer ones, to be held by a hand, all have the same length

// Where the two plots lie. `limits` holds the (low, high) of x, of the values and of the derivatives.
export function profileFrame(width, height, limits) {
  const upper = (height - TOP - BOTTOM - BETWEEN) * 0.62;
  const boxes = [[TOP, TOP + upper], [TOP + upper + BETWEEN, height - BOTTOM]];
  const [[xlow, xhigh], ...ys] = limits;
  return {
    boxes,
    px: (x) => LEFT + (x - xlow) / (xhigh - xlow) * (width - LEFT - RIGHT),
    x: (px) => xlow + (px - LEFT) / (width - LEFT - RIGHT) * (xhigh - xlow),
    py: (k, y) => boxes[k][1] - (y - ys[k][0]) / (ys[k][1] - ys[k][0] || 1) * (boxes[k][1] - boxes[k][0]),
    y: (py) => ys[0][0] + (boxes[0][1] - py) / (boxes[0][1] - boxes[0][0]) * (ys[0][1] - ys[0][0]),
  };
}

// Half a tangent on the screen, `reach` pixels long at most: from (x, y) to (x + dx, y + dy).
export function tangent({ px, py }, { x, y, slope }, reach, run) {
  const [dx, dy] = [px(x + run) - px(x), py(0, y + slope * run) - py(0, y)], long = Math.hypot(dx, dy);
  const scale = reach > SHORT ? reach / long : Math.min(1, reach / long);
  return [dx * scale, dy * scale];
}

// `curves`: { x, values, slopes, colour, dash }; `points`: { x, y, slope or NaN }, slopes as tangents.
export function drawProfile(canvas, { limits, curves, points, mark, slopeMark = mark, radius, names, reach = SHORT }) {
  const { ctx, width, height, ink } = prepare(canvas);
  const frame = profileFrame(width, height, limits), { boxes, px, py } = frame;
  ctx.textBaseline = "middle";
  boxes.forEach(([top, bottom], k) => {
    ctx.strokeStyle = ctx.fillStyle = ink;
    ctx.lineWidth = 1;
    ctx.textAlign = "right";
    for (const value of ticks(...limits[k + 1], k ? 2 : 4)) {
      ctx.globalAlpha = 0.15;
      ctx.beginPath();
      ctx.moveTo(LEFT, py(k, value));
      ctx.lineTo(width - RIGHT, py(k, value));
      ctx.stroke();
      ctx.globalAlpha = 1;
      ctx.fillText(format(value), LEFT - 4, py(k, value));
    }
    ctx.globalAlpha = 0.55;
    ctx.strokeRect(LEFT, top, width - LEFT - RIGHT, bottom - top);
    ctx.globalAlpha = 1;
    ctx.save();
    ctx.beginPath();
    ctx.rect(LEFT, top, width - LEFT - RIGHT, bottom - top);
    ctx.clip();
    for (const curve of curves) {
      ctx.beginPath();
      (k ? curve.slopes : curve.values).forEach((y, i) => ctx[i ? "lineTo" : "moveTo"](px(curve.x[i]), py(k, y)));
      ctx.strokeStyle = curve.colour;
      ctx.lineWidth = 2;
      ctx.setLineDash(curve.dash);
      ctx.stroke();
    }
    ctx.restore();
    ctx.textAlign = "left";
    ctx.fillText(names[k], LEFT, top - 8);
  });
  ctx.textAlign = "center";
  ctx.fillStyle = ink;
  for (const value of ticks(...limits[0], 4)) ctx.fillText(format(value), px(value), height - BOTTOM + 9);
  ctx.fillText("x", LEFT + (width - LEFT - RIGHT) / 2, height - 6);
  const run = (limits[0][1] - limits[0][0]) / 30; // half a tangent
  for (const { x, y, slope } of points) {
    if (!Number.isNaN(slope)) {
      const [dx, dy] = tangent(frame, { x, y, slope }, reach, run);
      ctx.strokeStyle = slopeMark;
      ctx.lineWidth = 2;
      ctx.beginPath();
      ctx.moveTo(px(x) - dx, py(0, y) - dy);
      ctx.lineTo(px(x) + dx, py(0, y) + dy);
      ctx.stroke();
    }
    const rim = isDark(ink) ? "#000" : "#fff";
    disc(ctx, px(x), py(0, y), radius, mark, rim);
    if (slope >= limits[2][0] && slope <= limits[2][1]) disc(ctx, px(x), py(1, slope), radius, slopeMark, rim);
  }
  return frame;
}
