// A Plotly figure in the built book, in the colours of the page. plotly.js is several megabytes: it is loaded when the first
// figure is in sight.
import { colourOf, inkOf, onThemeChange } from "./common.js";
import { PALETTE } from "./palette.js";

// The figure as Python made it, for a white ground: its ink, ground, rules and things of the palette become the page's.
function themed(figure, ink) {
  const colours = { "#222222": ink, "#ffffff": "rgba(0,0,0,0)", "#d8dbdf": "rgba(128,128,128,.45)" };
  for (const [name, { light }] of Object.entries(PALETTE)) colours[light] = colourOf(name, ink);
  return JSON.parse(JSON.stringify(figure), (_, value) => (typeof value === "string" && colours[value]) || value);
}

export default {
  async render({ model, el }) {
    if (!window.Plotly) await window.sobolevShim.load("../vendor/plotly.min.js");
    el.classList.add("plotly-graph-div");
    el.style.width = "100%";
    const figure = model.get("figure");
    // After a change of colours plotly.js follows the box's height, so the box has one of its own: without it, the first
    // change of width after that leaves nothing of the figure.
    el.style.height = `${figure.layout.height ?? 450}px`;
    // Several 3-D scenes side by side need room: on a phone they scroll inside their own box.
    const scenes = Object.keys(figure.layout).filter((key) => /^scene\d*$/.test(key)).length;
    if (scenes > 1) {
      el.style.minWidth = `${220 * scenes}px`;
      el.parentElement.style.overflowX = "auto";
    }
    const show = () => {
      const { data, layout } = themed(figure, inkOf(el));
      layout.uirevision = "kept"; // the reader's own view stays when the theme changes
      // Without its button that sends the reader's figure to another host.
      return window.Plotly.react(el, data, layout, { responsive: true, displaylogo: false, showSendToCloud: false });
    };
    await show();
    return onThemeChange(() => requestAnimationFrame(show));
  },
};
