// The panel for the reader's own data: a formula, or a table dropped, opened or pasted. Nothing leaves the page; what is
// wrong stays in its field, with a message, and the experiment goes on as it was.
import { columnsOf, guessRoles, readCsv, ROLES } from "./csv.js";
import { button, element } from "./elements.js";
import { derivativeOf, parseFormula, uses, written } from "./formula.js";
import { packTable } from "./tables.js";
import { gridOf, labelled, targetOf } from "./targets.js";

const LARGEST_FILE = 5e6; // bytes
const PATIENCE = 500;     // milliseconds without a key before a text is read
const NAMES = { x: "input x", y: "input y", f: "value f", g: "slope df/dx", h: "slope df/dy" };

// { node, show(settings), open(File), file() }. `change(settings)` is called with what the reader has given.
export function ownData(change) {
  let csv = null, file = null;
  const status = () => {
    const node = element("p", { className: "spg-note" });
    node.setAttribute("role", "status");
    return node;
  };

  // --- a formula
  const formula = element("input", { type: "text", className: "spg-formula", spellcheck: false, autocomplete: "off", maxLength: 300 });
  formula.setAttribute("aria-label", "formula in x and y");
  const limits = ["x from", "x to", "y from", "y to"].map((label) => {
    const input = element("input", { type: "number", step: "any" });
    input.setAttribute("aria-label", label);
    return input;
  });
  const formulaNote = status();
  function readFormula() {
    try {
      const node = parseFormula(formula.value), two = uses(node, "y");
      const numbers = limits.slice(0, two ? 4 : 2).map((input) => input.valueAsNumber);
      if (!numbers.every(Number.isFinite)) throw new Error("the limits: expected numbers");
      if (numbers.some((one) => Math.abs(one) > 1e6)) throw new Error("the limits: expected numbers of at most a million");
      const usual = numbers.every((one, j) => one === (j % 2 ? 2 : -2));
      const settings = { function: "formula", formula: formula.value.trim(), range: usual ? null : numbers };
      const target = targetOf(settings), grid = gridOf(target.domain);
      labelled(target, grid);
      formulaNote.textContent = (two ? ["x", "y"] : ["x"])
        .map((name) => `df/d${name} = ${written(derivativeOf(node, name))}`).join("; ");
      formulaNote.dataset.wrong = "no";
      for (const input of limits.slice(2)) input.disabled = !two;
      change(settings);
    } catch (error) {
      formulaNote.textContent = `Not learned: ${error.message}.`;
      formulaNote.dataset.wrong = "yes";
    }
  }
  for (const input of [formula, ...limits]) {
    const soon = patiently(readFormula);
    input.addEventListener("input", soon.later);
    input.addEventListener("keydown", (event) => { if (event.key === "Enter") soon.now(); event.stopPropagation(); });
  }

  // --- a table
  const text = element("textarea", { className: "spg-csv", rows: 5, spellcheck: false,
    placeholder: "x,y,f,dx,dy\n0.1,2.5,0.7,-1,0.3\n..." });
  text.setAttribute("aria-label", "table as CSV");
  const chooser = element("input", { type: "file", accept: ".csv,.tsv,.txt,text/csv", hidden: true });
  const selects = Object.fromEntries(ROLES.map((role) => [role, element("select", { disabled: true, ariaLabel: NAMES[role] })]));
  const tableNote = status();
  const choices = element("div", { className: "spg-roles" }, ...ROLES.map((role) =>
    element("label", {}, element("span", { textContent: NAMES[role] }), selects[role])));
  const say = (words, wrong) => { tableNote.textContent = words; tableNote.dataset.wrong = wrong ? "yes" : "no"; };

  function readTable() {
    if (!text.value.trim()) return say("", false);
    try {
      const read = readCsv(text.value), again = csv?.names.join() !== read.names.join();
      csv = read;
      if (again) offer(guessRoles(csv.names));
    } catch (error) {
      return say(`Not learned: ${error.message}.`, true);
    }
    return learn();
  }
  function offer(roles) {
    for (const role of ROLES) {
      selects[role].replaceChildren(element("option", { value: -1, textContent: "none" }),
        ...csv.names.map((textContent, value) => element("option", { value, textContent })));
      selects[role].value = roles[role];
      selects[role].disabled = false;
    }
  }
  function learn() {
    const roles = Object.fromEntries(ROLES.map((role) => [role, Number(selects[role].value)]));
    try {
      const { columns, note } = columnsOf(csv, roles), slopes = [columns.g, columns.h].filter(Boolean);
      const missing = slopes.reduce((sum, column) => sum + column.filter(Number.isNaN).length, 0);
      file = { ...file, separator: csv.separator, columns: roles };
      const known = missing ? `${missing.toLocaleString("en")} slopes missing` : "all slopes known";
      say(`${columns.x.length.toLocaleString("en")} rows, ${known}. ${note}`
        + "A fifth of the rows is held out for the errors.", false);
      change({ function: "table", table: packTable(columns), at: null });
    } catch (error) {
      say(`Not learned: ${error.message}.`, true);
    }
  }
  async function open(given) {
    if (given.size > LARGEST_FILE) {
      return say(`Not read: ${given.name} has ${(given.size / 1e6).toFixed(1)} MB, at most 5 MB are read.`, true);
    }
    file = { name: given.name };
    text.value = await given.text();
    csv = null;
    return readTable();
  }
  for (const role of ROLES) selects[role].addEventListener("change", learn);
  text.addEventListener("input", patiently(() => { file = null; readTable(); }).later);
  text.addEventListener("keydown", (event) => event.stopPropagation()); // Jupyter would take single letters for commands
  chooser.addEventListener("change", () => { if (chooser.files[0]) open(chooser.files[0]); chooser.value = ""; });
  const example = button("Example", () => { text.value = exampleTable(); csv = file = null; readTable(); });

  const node = element("div", { className: "spg-own" },
    element("fieldset", {}, element("legend", { textContent: "A formula" }),
      element("label", {}, element("span", { textContent: "f(x, y) =" }), formula),
      element("div", { className: "spg-limits" }, ...limits.map((input, j) =>
        element("label", {}, element("span", { textContent: ["x from", "to", "y from", "to"][j] }), input))),
      formulaNote),
    element("fieldset", {}, element("legend", { textContent: "A table (CSV): drop a file here, or paste it" }), text,
      element("div", { className: "spg-row" }, button("Open a file", () => chooser.click()), chooser, example),
      choices, tableNote,
      element("p", { className: "spg-help",
        textContent: "One or two inputs, one value, and its slopes; empty cells are missing labels. It stays in this page." })));
  return {
    node,
    open,
    file: () => (file && { name: "data.csv", ...file }),
    ask: (what) => { say("Drop, open or paste a table here.", false); (what === "table" ? text : formula).focus(); },
    show(settings) {
      if ([formula, ...limits].includes(document.activeElement) || formulaNote.dataset.wrong === "yes") return; // at work on it
      formula.value = settings.formula;
      limits.forEach((input, j) => { input.value = settings.range?.[j] ?? (j % 2 ? 2 : -2); });
    },
  };
}

function patiently(act) {
  let timer = 0;
  return { now() { clearTimeout(timer); act(); }, later() { clearTimeout(timer); timer = setTimeout(act, PATIENCE); } };
}

// Points on a lattice a little out of line, as measured: values and slopes of sin(2x) cos(y), some slopes missing.
function exampleTable() {
  const rows = ["x,y,f,dx,dy"];
  for (let i = 0; i < 7; i++) {
    for (let j = 0; j < 7; j++) {
      const x = -1.8 + 0.6 * i + 0.1 * Math.sin(5 * i + 3 * j), y = -1.8 + 0.6 * j + 0.1 * Math.cos(4 * i + 7 * j);
      const slopes = [2 * Math.cos(2 * x) * Math.cos(y), -Math.sin(2 * x) * Math.sin(y)]
        .map((one) => ((i * 7 + j) % 11 ? one.toFixed(4) : ""));
      rows.push([x.toFixed(3), y.toFixed(3), (Math.sin(2 * x) * Math.cos(y)).toFixed(4), ...slopes].join(","));
    }
  }
  return rows.join("\n");
}
