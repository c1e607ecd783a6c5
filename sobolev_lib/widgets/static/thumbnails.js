// Small pictures of the stories, trained by the same engine once the page is at rest: on the left what the Sobolev network
// has learned, on the right the value errors of both networks.
import { colour } from "./common.js";
import { PALETTE } from "./palette.js";
import { workerAddress } from "./runner.js";

const STEPS = 400, REPORTS = 16, SIDE_OF_THUMB = 48, WIDE = 60, SCALE = 2;

// Trains one story after another in a worker of its own; calls `done(index, address of a picture)`. Returns a function that
// ends it.
export function paintThumbnails(experiments, lines, done) {
  const address = workerAddress();
  let worker, at = 0, made = null, curves = null;
  const end = () => { worker?.terminate(); URL.revokeObjectURL(address); };
  const begin = () => {
    if (at === experiments.length) return end();
    curves = [[], []];
    return worker.postMessage({ type: "make", id: at, settings: experiments[at] });
  };
  try { worker = new Worker(address); } catch { return end; } // a page without workers has no training either
  worker.onmessage = ({ data }) => {
    if (data.type === "failed") return end();
    if (data.type === "made") made = data;
    data.snapshot.networks.forEach(({ errors }, k) => curves[k].push(Math.log10(errors[0])));
    if (data.snapshot.step < STEPS) return worker.postMessage({ type: "run", id: at, steps: STEPS / REPORTS, ms: Infinity });
    done(at, painted(made, data.snapshot.networks, curves, lines));
    at += 1;
    return begin();
  };
  begin();
  return end;
}

function painted({ domain, grid, truth }, networks, curves, lines) {
  const canvas = document.createElement("canvas");
  canvas.width = SCALE * (SIDE_OF_THUMB + WIDE + 4);
  canvas.height = SCALE * SIDE_OF_THUMB;
  const ctx = canvas.getContext("2d");
  ctx.scale(SCALE, SCALE);
  ctx.lineJoin = "round";
  if (domain.length === 1) {
    const [low, high] = limits([truth.values]), room = (high - low) * 0.2;
    const draw = (values, style) => stroke(ctx, values, low - room, high + room, 0, SIDE_OF_THUMB, style);
    draw(truth.values, { colour: PALETTE.truth.light, dash: PALETTE.truth.dash });
    networks.forEach(({ values }, k) => draw(values, lines[k]));
  } else paintMap(ctx, Math.round(Math.sqrt(grid.n)), truth.values, networks[1].values);
  const [low, high] = limits(curves), room = (high - low) * 0.1;
  curves.forEach((list, k) => stroke(ctx, list, low - room, high + room, SIDE_OF_THUMB + 4, WIDE, lines[k]));
  return canvas.toDataURL();
}

// As high as the target on average, as the large picture draws it where it hangs beyond the frame.
function paintMap(ctx, n, truth, values) {
  const [low, high] = limits([truth]), lift = values.reduce((sum, one, p) => sum + one - truth[p], 0) / values.length;
  const shift = Math.abs(lift) > (high - low) / 2 ? lift : 0, apart = SIDE_OF_THUMB / n;
  values.forEach((value, p) => {
    ctx.fillStyle = `rgb(${colour((value - shift - low) / (high - low)).map(Math.round)})`;
    ctx.fillRect(p % n * apart, (n - 1 - Math.floor(p / n)) * apart, apart + 0.5, apart + 0.5);
  });
}

function limits(lists) {
  const all = lists.flatMap((list) => Array.from(list)).filter(Number.isFinite);
  return [Math.min(...all), Math.max(...all)];
}

function stroke(ctx, list, low, high, left, width, { colour: ink, dash }) {
  ctx.save();
  ctx.beginPath();
  ctx.rect(left, 0, width, SIDE_OF_THUMB);
  ctx.clip();
  ctx.beginPath();
  Array.from(list).forEach((y, i) =>
    ctx[i ? "lineTo" : "moveTo"](left + i / (list.length - 1) * width, SIDE_OF_THUMB * (1 - (y - low) / (high - low || 1))));
  ctx.strokeStyle = ink;
  ctx.lineWidth = 1.8;
  ctx.setLineDash(dash.map((one) => one / 2));
  ctx.stroke();
  ctx.restore();
}
