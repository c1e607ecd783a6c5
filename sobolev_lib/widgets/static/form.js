// The controls, made from the schema: a slider for a number, a drop-down for a choice.
import { format } from "./common.js";
import { element } from "./elements.js";

// One control: { label, show(value), enable(yes) }; `change(value)` is called when the reader changes it.
export function control(entry, change) {
  return entry.kind === "choice" ? dropDown(entry, change) : slider(entry, change);
}

function dropDown(entry, change) {
  const select = element("select", {}, ...entry.text.map((textContent, i) => element("option", { value: i, textContent })));
  select.setAttribute("aria-label", entry.label);
  select.addEventListener("change", () => change(entry.options[select.selectedIndex]));
  return {
    label: element("label", {}, element("span", { textContent: entry.label }), select),
    show: (value) => { select.selectedIndex = entry.options.indexOf(value); },
    enable: (yes) => { select.disabled = !yes; },
  };
}

function slider(entry, change) {
  const { stops } = entry;
  const range = element("input", { type: "range", min: 0, max: stops.length - 1, step: 1 });
  const output = element("output", {});
  range.setAttribute("aria-label", entry.label);
  const text = (value) => entry.words?.[String(value)] ?? format(value);
  const show = (value) => { // a link may hold a value between two stops
    const at = stops.reduce((best, stop, i) => (Math.abs(stop - value) < Math.abs(stops[best] - value) ? i : best), 0);
    range.value = at;
    output.textContent = text(value);
    range.setAttribute("aria-valuetext", text(value));
  };
  range.addEventListener("input", () => { const value = stops[Number(range.value)]; show(value); change(value); });
  return {
    label: element("label", {}, element("span", {}, entry.label, output), range),
    show,
    enable: (yes) => { range.disabled = !yes; },
  };
}
