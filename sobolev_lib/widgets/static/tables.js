// Tables of the reader's own: packed into a setting, so that a link can bring them, and split for training and testing.
import { toBase64, unpack8 } from "./base64.js";
import { MOST_ROWS, ROLES } from "./csv.js";
import { Generator } from "./random.js";

export const MOST_IN_LINK = 16000; // characters; longer addresses are cut by some programs
const DRAWN_TANGENTS = [0.08, -0.4, -3.9, 0.25, 0.42, 3.4, 0.42, -0.41, -3.2,
  0.58, 0.41, 3.2, 0.75, -0.42, -3.4, 0.92, 0.4, 3.9];

// { x, y, f, g, h } -> "xfg:" and the columns, one behind the other, as float32 in the letters that an address may have.
export function packTable(columns) {
  const roles = ROLES.filter((role) => columns[role]), n = columns.x.length, numbers = new Float32Array(n * roles.length);
  roles.forEach((role, k) => numbers.set(columns[role], k * n));
  return `${roles.join("")}:${toBase64(numbers).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "")}`;
}

export function unpackTable(text) {
  const [, roles, body] = /^(xy?f(?:g|h|gh)):([A-Za-z0-9_-]+)$/.exec(text) ?? [];
  const damaged = new Error("the table in the link is damaged");
  if (!roles || (roles.includes("h") && !roles.includes("y")) || body.length % 4 === 1) throw damaged;
  const bytes = unpack8(body.replace(/-/g, "+").replace(/_/g, "/")), n = bytes.length / 4 / roles.length;
  if (!Number.isInteger(n) || n < 2 || n > MOST_ROWS) throw damaged;
  const numbers = new Float32Array(bytes.buffer);
  const columns = Object.fromEntries(ROLES.map((role) => [role, roles.includes(role)
    ? numbers.slice(roles.indexOf(role) * n, (roles.indexOf(role) + 1) * n) : null]));
  if (![columns.x, columns.y, columns.f].every((one) => one === null || one.every(Number.isFinite))) throw damaged;
  return columns;
}

// What the settings hold in place of a function, as Python's Playground(data=...) passes it: { kind, domain, train, test };
// null if they name a function. `local`: errors are measured at the training points, for there is no other truth.
export function tableOf(settings, problem) {
  if (settings.function === "custom") return problem.kind === "table" ? problem : null;
  if (settings.function === "tangents") return handDrawn(settings.tangents ?? DRAWN_TANGENTS);
  return settings.function === "table" ? split(unpackTable(settings.table ?? "")) : null;
}

// The triples of a place, a value and a slope.
export function tangentsOf(settings) {
  const list = settings.tangents ?? DRAWN_TANGENTS;
  return Array.from({ length: list.length / 3 }, (_, p) => list.slice(3 * p, 3 * p + 3));
}

function handDrawn(list) {
  if (list.length % 3) throw new Error(`tangents has ${list.length} numbers, expected three for each point`);
  const pick = (k) => Float64Array.from({ length: list.length / 3 }, (_, p) => list[3 * p + k]);
  const rows = { n: list.length / 3, x: pick(0), values: pick(1), gradients: pick(2) };
  return { kind: "table", local: true, domain: [[0, 1]], train: rows, test: rows };
}

// A fifth of the rows is held out, the same ones as in Python.
function split(columns) {
  const n = columns.x.length, order = new Generator(0).permutation(n), held = Math.max(1, Math.floor(n / 5));
  const missing = new Float32Array(n).fill(NaN), inputs = columns.y ? ["x", "y"] : ["x"];
  const slopes = [columns.g, columns.h].slice(0, inputs.length).map((one) => one ?? missing);
  const take = (rows) => {
    const pick = (list) => Array.from(rows, (row) => list[row]);
    const x = inputs.flatMap((name) => pick(columns[name]));
    return { n: rows.length, x, values: pick(columns.f), gradients: slopes.flatMap(pick) };
  };
  const domain = inputs.map((name) => {
    const [low, high] = columns[name].reduce(([a, b], one) => [Math.min(a, one), Math.max(b, one)], [Infinity, -Infinity]);
    const room = high > low ? 0.04 * (high - low) : 0.5;
    return [low - room, high + room];
  });
  return { kind: "table", domain, train: take(order.subarray(held)), test: take(order.subarray(0, held)) };
}
