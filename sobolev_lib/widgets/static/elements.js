// What the widgets build their parts with: elements of the page and shapes of a drawing.
const SVG = "http://www.w3.org/2000/svg";

export function element(tag, properties = {}, ...children) {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children);
  return node;
}

export function button(text, act, properties = {}) {
  const node = element("button", { type: "button", textContent: text, ...properties });
  node.addEventListener("click", act);
  return node;
}

export function draw(tag, attributes = {}, ...children) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}
