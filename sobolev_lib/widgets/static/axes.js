// The control of one axis of choices: a slider through numbers, a list of anything else.
import { element } from "./elements.js";

// { node, show(position) }; chosen(position) is called when the reader chooses.
export function axisInput(axis, chosen) {
  return axis.numeric ? slider(axis, chosen) : list(axis, chosen);
}

function list({ label, text }, chosen) {
  const select = element("select", {}, ...text.map((name, i) => element("option", { value: i, textContent: name })));
  select.addEventListener("change", () => chosen(select.selectedIndex));
  return { node: element("label", {}, element("span", { textContent: label }), select), show: (i) => { select.selectedIndex = i; } };
}

function slider({ label, text, options }, chosen) {
  const last = options.length - 1;
  const range = element("input", { type: "range", min: 0, max: last, step: 1, disabled: last === 0 });
  const output = element("output", {});
  range.setAttribute("aria-label", label);
  range.addEventListener("input", () => chosen(Number(range.value)));
  output.style.minWidth = `${Math.max(...text.map((one) => one.length))}ch`; // a longer number must not move its neighbours
  output.style.textAlign = "right";
  return { node: element("label", {}, element("span", {}, label, output), range), show: (i) => {
    range.value = i;
    output.textContent = text[i];
    range.setAttribute("aria-valuetext", text[i]);
  } };
}
