// A table that the reader drops or pastes: its cells, which column is what, and what is wrong with it, by line and column.
export const ROLES = ["x", "y", "f", "g", "h"]; // the inputs, the value, its slopes along x and along y; -1: no such column
export const MOST_ROWS = 10000;                 // more would make the page slow

const MISSING = ["", "nan", "na", "n/a", "null", "none"];
const SEPARATORS = [",", ";", "\t"];

// Text -> { names, rows } with rows of { line, cells }; the first line holds the names. Throws Error for a text without that
// form.
export function readCsv(text) {
  const plain = text.replace(/^\uFEFF/, ""), separator = separatorOf(plain), lines = cellsOf(plain, separator);
  if (!lines.length) throw new Error("there is no text yet");
  const [{ line, cells }, ...rows] = lines, names = cells.map((name) => name.trim());
  if (names.length === 1) throw new Error(`line ${line} has one column only: columns are separated by commas, semicolons or tabs`);
  if (names.every((name) => name !== "" && Number.isFinite(Number(name)))) {
    const such = ["x", "y", "f", "dx", "dy"].slice(0, names.length).join();
    throw new Error(`line ${line}: expected the names of the columns, such as ${such}, got numbers`);
  }
  names.forEach((name, j) => {
    const before = names.indexOf(name);
    if (name === "") throw new Error(`line ${line}: column ${j + 1} has no name`);
    if (before < j) throw new Error(`line ${line}: columns ${before + 1} and ${j + 1} have the same name, "${name}"`);
  });
  const short = rows.find((row) => row.cells.length !== names.length);
  if (short) throw new Error(`line ${short.line}: expected ${names.length} cells as in the first line, got ${short.cells.length}`);
  const count = (number) => number.toLocaleString("en");
  if (rows.length < 2) throw new Error(`expected at least two rows, to hold one out for testing, got ${rows.length || "none"}`);
  if (rows.length > MOST_ROWS) throw new Error(`expected at most ${count(MOST_ROWS)} rows, got ${count(rows.length)}`);
  return { names, rows, separator };
}

// The one that parts the first line into the most cells, quoted cells aside.
function separatorOf(text) {
  const head = text.split(/[\r\n]/, 1)[0].replace(/"[^"]*"/g, "");
  return SEPARATORS.reduce((best, one) => (head.split(one).length > head.split(best).length ? one : best));
}

// Lines of cells; quoted cells may hold separators, line ends and doubled quotes. Empty lines are left out.
function cellsOf(text, separator) {
  const lines = [];
  let line = 1, began = 1, cells = [], cell = "", quoted = false, opened = 0;
  const endLine = () => {
    cells.push(cell);
    if (cells.some((one) => one.trim() !== "") || cells.length > 1) lines.push({ line: began, cells });
    [cells, cell, began] = [[], "", line];
  };
  for (let i = 0; i < text.length; i++) {
    const one = text[i], isEnd = one === "\n" || (one === "\r" && text[i + 1] !== "\n");
    if (isEnd) line += 1;
    if (quoted) {
      if (one !== '"') cell += one;
      else if (text[i + 1] === '"') { cell += one; i += 1; }
      else quoted = false;
    } else if (one === '"' && cell.trim() === "") { quoted = true; opened = line; cell = ""; }
    else if (one === separator) { cells.push(cell); cell = ""; }
    else if (isEnd) endLine();
    else if (one !== "\r") cell += one;
  }
  if (quoted) throw new Error(`line ${opened}: a quotation mark opens a cell and none closes it`);
  endLine();
  return lines;
}

// --- which column is what ---------------------------------------------------------------------------------------------

// f(x) is f, f'(x) is df, and ∂f/∂x is dfdx.
const plainName = (name) => name.toLowerCase().replace(/[∂δ]/g, "d")
  .replace(/^(\w+)('?)\s*\([^()]*\)$/, (_, f, prime) => (prime ? `d${f}` : f))
  .replace(/[^a-z0-9]/g, "");
const INPUTS_OF = [["x", "x1", "t", "time", "input", "in", "in1"], ["y", "x2", "in2"]];
const VALUES = ["f", "z", "value", "values", "v", "target", "output", "out", "u", "energy", "price", "label"];

// Names -> column of each role, -1 where none was found.
export function guessRoles(names) {
  const plain = names.map(plainName), fromZero = plain.includes("x0") && plain.includes("x1");
  const named = (list) => list.map((one) => plain.indexOf(one)).find((j) => j >= 0) ?? -1;
  const roles = { x: fromZero ? plain.indexOf("x0") : named(["x0", ...INPUTS_OF[0]]), y: -1, f: -1, g: -1, h: -1 };
  const slopes = (ends) => plain.findIndex((name, j) => j !== roles.x && j !== roles.y && j !== roles.f
    && ends.some((end) => new RegExp(`^(d|d?(f|z|y|v|u|value|target|output|out)d?|grad|gradient|slope)${end}$`).test(name)));
  roles.y = fromZero ? plain.indexOf("x1") : named(INPUTS_OF[1].slice(1));
  roles.f = named(VALUES);
  if (roles.f < 0) roles.f = plain.indexOf("y");
  else if (roles.y < 0) roles.y = plain.indexOf("y");
  roles.g = slopes(fromZero ? ["x0"] : ["x", "x1", "x0", "t"]);
  if (roles.y >= 0) roles.h = slopes(fromZero ? ["x1"] : ["y", "x2"]);
  else if (roles.g < 0) roles.g = named(["dy", "df", "dz", "slope", "derivative", "gradient", "grad"]);
  return roles;
}

// The numbers of the chosen columns, { x, y, f, g, h } (null where there is no column), NaN for a missing slope; and what
// was left out. Throws Error.
export function columnsOf({ names, rows }, roles) {
  const asked = { x: "the first input", f: "the value" };
  for (const role of ["x", "f"]) if (!(roles[role] >= 0)) throw new Error(`choose the column of ${asked[role]}`);
  if (roles.h >= 0 && !(roles.y >= 0)) throw new Error("a slope along the second input needs a second input: choose its column");
  if (!(roles.g >= 0) && !(roles.h >= 0)) throw new Error("choose a column of slopes: without them both networks learn the same");
  const used = ROLES.filter((role) => roles[role] >= 0);
  used.forEach((role, k) => {
    const other = used.slice(0, k).find((one) => roles[one] === roles[role]);
    if (other) throw new Error(`column "${names[roles[role]]}" is chosen twice`);
  });
  const complete = rows.filter(({ cells }) => !isMissing(cells[roles.f]));
  const left = rows.length - complete.length;
  if (complete.length < 2) {
    throw new Error(`expected at least two rows with a value in column "${names[roles.f]}", got ${complete.length || "none"}`);
  }
  const column = (role, j) => Float32Array.from(complete, ({ line, cells }) => numberIn(cells[j], line, names[j], role));
  const columns = Object.fromEntries(ROLES.map((role) => [role, roles[role] >= 0 ? column(role, roles[role]) : null]));
  for (const role of ["g", "h"]) if (columns[role]?.every(Number.isNaN)) columns[role] = null;
  if (!columns.g && !columns.h) throw new Error("all slopes are missing: there is nothing for Sobolev training to learn from");
  const those = left === 1 ? "1 row has no value and is" : `${left} rows have no value and are`;
  return { columns, note: left ? `${those} left out. ` : "" };
}

const isMissing = (cell) => MISSING.includes(cell.trim().toLowerCase());

function numberIn(cell, line, name, role) {
  const text = cell.trim(), where = `line ${line}, column "${name}"`;
  if (isMissing(cell)) {
    if (role === "g" || role === "h") return NaN;
    throw new Error(`${where}: expected a number, got an empty cell; only slopes and values may be missing`);
  }
  if (/^[-+]?\d*,\d+$/.test(text)) throw new Error(`${where}: "${text}" has a decimal comma; write ${text.replace(",", ".")}`);
  const number = /^[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$/i.test(text) ? Math.fround(Number(text)) : NaN;
  const shown = text.length > 30 ? `${text.slice(0, 30)}...` : text;
  if (!Number.isFinite(number)) throw new Error(`${where}: expected a number, got "${shown}"`);
  return number;
}
