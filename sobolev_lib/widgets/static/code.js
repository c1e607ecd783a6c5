// The experiment as Python, step for step.
import { parseFormula, written } from "./formula.js";
import { SIDE } from "./targets.js";

const LAMBDAS = {
  ridge: () => "f = lambda x: torch.sin(2 * x[:, 0] + x[:, 1])",
  wave: () => "f = lambda x: torch.sin(2 * x[:, 0]) + x[:, 0] / 2",
  formula: (settings) => `f = lambda x: ${written(parseFormula(settings.formula), true)}`,
};
const OPTIMISERS_IN_PYTHON = { sgd: "torch.optim.SGD(p, lr={lr})", momentum: "torch.optim.SGD(p, lr={lr}, momentum=0.9)" };
const MOST_WRITTEN = 400; // rows of a table that stand in the code; longer ones are read from the reader's file

// `made`: what the worker made of the settings, { domain, data, test }. `file`: the table that the reader gave,
// { name, separator, columns (of the roles x, y, f, g, h; -1 for none) }, or null.
export function pythonOf(settings, { domain, data, test }, step, file = null) {
  const s = settings, d = domain.length, own = ["table", "custom", "tangents"].includes(s.function);
  const lines = ["import torch", "import sobolev_lib as sl", ""];
  if (s.function === "table" && file && data.n > MOST_WRITTEN) lines.push(...fromFile(file, d));
  else if (own && data.n > MOST_WRITTEN) {
    lines.push("# data and test: the SobolevData that you passed to Playground(data=..., test=...)");
  }
  else if (own || s.function === "curve" || s.function === "surface") {
    lines.push(...literal("data", data, d));
    lines.push(...(own ? literal("test", test, d) : ["test = data    # the page measures errors on a grid"]));
  } else lines.push(...fromFunction(s, domain, data));
  const sizes = [d, ...Array(s.depth).fill(s.width), 1].join(", ");
  const maker = OPTIMISERS_IN_PYTHON[s.optimizer]?.replace("{lr}", s.lr);
  const loss = s.order === 1 ? `sl.SobolevLoss(order=1, weights=(1.0, ${s.derivative_weight}))` : "sl.SobolevLoss(order=0)";
  lines.push("", "history = {}", `for name, loss in {"regular": sl.SobolevLoss(order=0), "sobolev": ${loss}}.items():`,
    `    start = torch.Generator().manual_seed(${s.seed})`,
    `    network = sl.models.MLP(${sizes}, activation="${s.activation}", generator=start)`,
    "    model = sl.Standardized(network, data)",
    `    history[name] = sl.fit(model, data, loss=loss, steps=${Math.max(step, 1)}, `
      + `batch_size=${s.batch_size || null}, seed=${s.seed},`.replace("null", "None"),
    `                           ${maker ? `optimizer=lambda p: ${maker}` : `lr=${s.lr}`}, validation=test, progress=False)`,
    '    print(name, history[name].validation["value_mse"][-1])');
  return lines.join("\n");
}

function fromFunction(s, domain, data) {
  const d = domain.length, axes = JSON.stringify(domain), lines = [];
  lines.push(LAMBDAS[s.function]?.(s) ?? `f = sl.functions.${s.function}`,
    `low, high = torch.tensor(${axes}, dtype=torch.float32).T`,
    `random = torch.Generator().manual_seed(${s.sample})`,
    s.at ? `x = torch.tensor(${rowsOf(data.n, d, data.x)})`
      : `x = low + (high - low) * torch.rand(${s.points}, ${d}, generator=random)`,
    "data = sl.label(f, x)", "",
    `lines = [torch.linspace(a, b, ${SIDE[d]}) for a, b in ${axes}]`,
    'test = sl.label(f, torch.stack(torch.meshgrid(*lines, indexing="xy"), -1).reshape(-1, ' + `${d}))`);
  if (s.value_noise || s.derivative_noise || s.derivative_share < 1) {
    lines.push("values, jacobian = data.values.clone(), data.jacobian.clone()");
    if (s.value_noise) lines.push(
      `values += ${s.value_noise} * test.values.std(correction=0) * torch.randn(${data.n}, generator=random)`);
    if (s.derivative_noise) lines.push(`size = test.jacobian.square().mean(0).sqrt()`,
      `jacobian += ${s.derivative_noise} * size * torch.randn(${data.n * d}, generator=random).reshape(-1, ${d})`);
    const carriers = Math.round(s.derivative_share * data.n);
    if (s.derivative_share < 1) lines.push(`jacobian[${carriers}:] = torch.nan    # no derivatives here`);
    lines.push("data = sl.SobolevData(x, values, jacobian)");
  }
  return lines;
}

// n rows of d numbers, listed column by column, as a Python list of lists.
function rowsOf(n, d, list) {
  const text = (one) => (one === null || Number.isNaN(one) ? "torch.nan" : Number(Math.fround(one).toPrecision(8)));
  const row = (p) => Array.from({ length: d }, (_, j) => text(list[j * n + p])).join(", ");
  return `[${Array.from({ length: n }, (_, p) => `[${row(p)}]`).join(", ")}]`;
}

function literal(name, { n, x, values, gradients }, d) {
  return [`${name} = sl.SobolevData(`, `    torch.tensor(${rowsOf(n, d, x)}, dtype=torch.float32),`,
    `    torch.tensor(${rowsOf(n, 1, values)}, dtype=torch.float32).squeeze(1),`,
    `    torch.tensor(${rowsOf(n, d, gradients)}, dtype=torch.float32))`];
}

// The rows without a value are left out, and a fifth is held out, as the page does it.
function fromFile({ name, separator, columns }, d) {
  const chosen = (roles) => roles.slice(0, d).map((role) => columns[role]);
  const inputs = chosen(["x", "y"]), slopes = chosen(["g", "h"]);
  const slope = (column) => (column < 0 ? "torch.full((len(rows),), torch.nan)" : `rows[:, ${column}]`);
  return ["import numpy as np",
    `rows = np.genfromtxt(${JSON.stringify(name)}, delimiter=${JSON.stringify(separator)}, skip_header=1,`,
    '                     encoding="utf-8-sig")',
    "rows = torch.tensor(rows, dtype=torch.float32)", `rows = rows[~rows[:, ${columns.f}].isnan()]`,
    `everything = sl.SobolevData(rows[:, [${inputs.join(", ")}]], rows[:, ${columns.f}],`,
    `                            torch.stack([${slopes.map(slope).join(", ")}], dim=1))`,
    "order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(0))",
    "held = max(1, len(rows) // 5)", "data, test = everything[order[held:]], everything[order[:held]]"];
}
