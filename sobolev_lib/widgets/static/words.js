// What the playground says: the sentence below the curves, and how to handle it.
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
  if (settings.function === "tangents") {
    return `Sobolev: ${compare("gradient", 1, networks)} at the points, ${steps}. There is no other truth.`;
  }
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
  + "arrow keys turn it; N takes the next point, handle or square, then the arrow keys move it and Delete removes it; "
  + "A adds a point; Escape lets go. With points and tangents, the dot at a tangent's end sets the slope.";
