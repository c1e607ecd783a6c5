// What the playground says: the sentence below the curves, and the experiment as Python.
import { format } from "./common.js";

// `stopped` holds the step at which each network's loss was no longer a number, or null.
export function sentence({ step, stopped, networks }, settings) {
  const failed = ["Regular", "Sobolev"].filter((_, k) => stopped[k] !== null);
  if (failed.length) {
    const when = Math.min(...stopped.filter((one) => one !== null));
    const heavy = settings.derivative_weight > 10 && stopped[1] !== null;
    return `${failed.join(" and ")} training diverged at step ${when}: the loss is no longer finite. `
      + `Try a lower learning rate${heavy ? " or derivative weight" : ""}, then reset.`;
  }
  if (step === 0) return "Both networks start alike. Press play.";
  const steps = `after ${step.toLocaleString("en")} ${step === 1 ? "step" : "steps"}`;
  if (settings.order === 0) return `At order 0 both networks see only values and stay alike, ${steps} too.`;
  return `Sobolev: ${compare("value", 0, networks)} and ${compare("gradient", 1, networks)} ${steps}.`;
}

function compare(what, i, [regular, sobolev]) {
  const ratio = regular.errors[i] / sobolev.errors[i];
  if (!Number.isFinite(ratio) || ratio === 0) return `no comparison of the ${what} error`;
  if (ratio > 1 / 1.1 && ratio < 1.1) return `about the same ${what} error`;
  const times = ratio > 1 ? ratio : 1 / ratio;
  return `${times < 10 ? times.toFixed(1) : format(Math.round(times))}x ${ratio > 1 ? "lower" : "higher"} ${what} error`;
}

export const HELP = "Drag a picture to turn it. On the target: drag a point to move it, click an empty place to add one, "
  + "double-click a point to remove it; drag the squares of a drawn function up and down. With the keyboard, on the target: the "
  + "arrow keys turn it; N takes the next point or square, then the arrow keys move it and Delete removes it; A adds a point; "
  + "Escape lets go.";

const LAMBDAS = {
  ridge: "f = lambda x: torch.sin(2 * x[:, 0] + x[:, 1])",
  wave: "f = lambda x: torch.sin(2 * x[:, 0]) + x[:, 0] / 2",
};
const OPTIMISER_CODE = { sgd: "torch.optim.SGD(p, lr={lr})", momentum: "torch.optim.SGD(p, lr={lr}, momentum=0.9)" };

// The same experiment in Python, step for step.
export function pythonOf(settings, domain, data, step) {
  const s = settings, d = domain.length, formula = LAMBDAS[s.function];
  if (["custom", "curve", "surface"].includes(s.function)) return "# Python code is there for functions with a formula: choose one of those.";
  const axes = JSON.stringify(domain), lines = ["import torch", "import sobolev_lib as sl", ""];
  lines.push(formula ?? `f = sl.functions.${s.function}`, `low, high = torch.tensor(${axes}).T`,
    `random = torch.Generator().manual_seed(${s.sample})`);
  const rows = Array.from({ length: data.n }, (_, p) => `[${Array.from({ length: d }, (_, j) => data.x[j * data.n + p].toPrecision(8)).join(", ")}]`);
  lines.push(s.at ? `x = torch.tensor([${rows.join(", ")}])` : `x = low + (high - low) * torch.rand(${s.points}, ${d}, generator=random)`,
    "data = sl.label(f, x)", "");
  const side = d === 1 ? 201 : 33;
  lines.push(`lines = [torch.linspace(a, b, ${side}) for a, b in ${axes}]`,
    'test = sl.label(f, torch.stack(torch.meshgrid(*lines, indexing="xy"), -1).reshape(-1, ' + `${d}))`);
  if (s.value_noise || s.derivative_noise || s.derivative_share < 1) {
    lines.push("values, jacobian = data.values.clone(), data.jacobian.clone()");
    if (s.value_noise) lines.push(`values += ${s.value_noise} * test.values.std(correction=0) * torch.randn(${data.n}, generator=random)`);
    if (s.derivative_noise) lines.push(`size = test.jacobian.square().mean(0).sqrt()`,
      `jacobian += ${s.derivative_noise} * size * torch.randn(${data.n * d}, generator=random).reshape(-1, ${d})`);
    if (s.derivative_share < 1) lines.push(`jacobian[${Math.round(s.derivative_share * data.n)}:] = torch.nan    # no derivatives here`);
    lines.push("data = sl.SobolevData(x, values, jacobian)");
  }
  const sizes = [d, ...Array(s.depth).fill(s.width), 1].join(", ");
  const maker = OPTIMISER_CODE[s.optimizer]?.replace("{lr}", s.lr);
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
