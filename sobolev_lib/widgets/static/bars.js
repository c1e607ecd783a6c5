// What the colours of pictures mean: the parts of a bar below them.
import { colourGradient, format, ticks } from "./common.js";
import { element } from "./elements.js";
import { overlayGradient } from "./images.js";

// Of surfaces: values from low to high.
export function colourBar({ low, high }) {
  const marks = ticks(low, high, 4).map((value) => {
    const mark = element("span", { textContent: format(value) });
    mark.style.left = `${(100 * (value - low)) / (high - low || 1)}%`;
    return mark;
  });
  return [strip(colourGradient()), element("div", {}, ...marks), element("p", { textContent: "value" })];
}

// Of what lies over images: a word at either end.
export function overlayBar({ colours, labels }) {
  return [strip(overlayGradient(colours)), element("div", {}, ...labels.map((text) => element("span", { textContent: text })))];
}

function strip(gradient) {
  const node = element("i");
  node.style.background = gradient;
  return node;
}
