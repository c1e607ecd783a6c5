// Shared by the panels: colours, unpacking, tick marks, canvases, and the theme of the page.
import { unpack8 } from "./base64.js";
import { PALETTE } from "./palette.js";

// Viridis at equal steps: perceptually uniform, readable by colour-blind people.
const VIRIDIS = ["#440154", "#48186a", "#472d7b", "#424086", "#3b528b", "#33638d", "#2c728e", "#26828e", "#21918c",
  "#1fa088", "#28ae80", "#3fbc73", "#5ec962", "#84d44b", "#addc30", "#d8e219", "#fde725"];
const STOPS = VIRIDIS.map((hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16)));

// t in [0, 1] -> [r, g, b]
export function colour(t) {
  const at = Math.min(Math.max(t, 0), 1) * (STOPS.length - 1);
  const i = Math.min(Math.floor(at), STOPS.length - 2);
  return STOPS[i].map((c, k) => c + (at - i) * (STOPS[i + 1][k] - c));
}

export function colourGradient() {
  return `linear-gradient(90deg, ${VIRIDIS.join(", ")})`;
}

// base64 -> numbers between low and high; the code 65535 is a gap
export function unpack16(text, low, high) {
  const bytes = unpack8(text);
  return Float32Array.from({ length: bytes.length / 2 }, (_, i) => {
    const code = bytes[2 * i] + 256 * bytes[2 * i + 1];
    return code === 65535 ? NaN : low + (code / 65534) * (high - low);
  });
}

// Round numbers between low and high, about `count` of them.
export function ticks(low, high, count) {
  if (!(high > low)) return [low];
  const rough = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const apart = (step) => Math.abs(Math.log(step / rough));
  const step = [1, 2, 5, 10].map((m) => m * power).reduce((best, one) => (apart(one) < apart(best) ? one : best));
  const first = Math.ceil(low / step - 1e-9);
  const marks = [];
  for (let i = first; i * step <= high + 1e-9 * step; i++) marks.push(i * step);
  return marks;
}

const SUPERSCRIPT = "⁰¹²³⁴⁵⁶⁷⁸⁹";
export function superscript(n) {
  return (n < 0 ? "⁻" : "") + [...String(Math.abs(n))].map((d) => SUPERSCRIPT[d]).join("");
}

export function format(value) {
  if (value === 0) return "0";
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "not a number" : "∞";
  const size = Math.abs(value);
  if (size >= 1e5 || size < 1e-3) {
    const power = Math.floor(Math.log10(size) + 1e-9);
    const front = Number((value / 10 ** power).toPrecision(2));
    return `${front === 1 ? "" : `${front}·`}10${superscript(power)}`.replace("-", "−");
  }
  return String(Number(value.toPrecision(3))).replace("-", "−");
}

// Give the canvas as many pixels as the screen has, and a context in CSS pixels, cleared.
export function prepare(canvas) {
  const width = canvas.clientWidth, height = canvas.clientHeight;
  const ratio = window.devicePixelRatio || 1;
  const w = Math.round(width * ratio), h = Math.round(height * ratio);
  if (canvas.width !== w || canvas.height !== h) { canvas.width = w; canvas.height = h; }
  const ctx = canvas.getContext("2d");
  ctx.setTransform(ratio, 0, 0, ratio, 0, 0);
  ctx.clearRect(0, 0, width, height);
  ctx.font = `11px ${getComputedStyle(canvas).fontFamily}`;
  return { ctx, width, height, ink: inkOf(canvas) };
}

// An arrow whose middle is at (x, y) and that reaches (dx, dy) from tail to head.
export function arrow(ctx, x, y, dx, dy) {
  const length = Math.hypot(dx, dy);
  if (length < 1) { ctx.moveTo(x - 0.4, y); ctx.lineTo(x + 0.4, y); return; }
  const hx = x + dx / 2, hy = y + dy / 2;
  const head = Math.min(0.4 * length, 4) / length;
  ctx.moveTo(x - dx / 2, y - dy / 2);
  ctx.lineTo(hx, hy);
  for (const side of [-0.5, 0.5]) {
    ctx.moveTo(hx, hy);
    ctx.lineTo(hx - head * (dx + side * dy), hy - head * (dy - side * dx));
  }
}

export function disc(ctx, x, y, radius, fill, line) {
  ctx.beginPath();
  ctx.arc(x, y, radius, 0, 2 * Math.PI);
  ctx.fillStyle = fill;
  ctx.fill();
  ctx.lineWidth = 1;
  ctx.strokeStyle = line;
  ctx.stroke();
}

// Call `f` when the page changes between light and dark: the book, JupyterLab and Colab each mark it their own way.
export function onThemeChange(f) {
  const observer = new MutationObserver(f);
  const options = { attributes: true, attributeFilter: ["data-theme", "data-mode", "data-jp-theme-light", "theme", "class"] };
  observer.observe(document.documentElement, options);
  observer.observe(document.body, options);
  const media = matchMedia("(prefers-color-scheme: dark)");
  media.addEventListener("change", f);
  return () => { observer.disconnect(); media.removeEventListener("change", f); };
}

// The colour of text where `node` stands. It may not stand on the page yet, and JupyterLab takes cells out of sight from it:
// then it is what a widget's text gets. (The page's own may differ: VS Code shows widgets on white, in the dark too.)
export function inkOf(node) {
  if (node.isConnected) return getComputedStyle(node).color;
  const text = document.body.appendChild(document.createElement("span"));
  text.style.color = "var(--pst-color-text-base, var(--jp-content-font-color1, var(--colab-primary-text-color, inherit)))";
  const { color } = getComputedStyle(text);
  text.remove();
  return color;
}

// The colour of a thing of the palette on the page whose text has the colour `ink`.
export function colourOf(name, ink) {
  return PALETTE[name][isDark(ink) ? "dark" : "light"];
}

// True when the text colour is light, that is, the page is dark.
export function isDark(ink) {
  const [r, g, b] = ink.match(/[\d.]+/g).map(Number);
  return 0.299 * r + 0.587 * g + 0.114 * b > 140;
}
