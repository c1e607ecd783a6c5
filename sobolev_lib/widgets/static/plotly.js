// A Plotly figure in the built book. plotly.js is several megabytes: it is loaded when the first figure is in sight.
export default {
  async render({ model, el }) {
    if (!window.Plotly) await window.sobolevShim.load("../vendor/plotly.min.js");
    el.classList.add("plotly-graph-div");
    el.style.width = "100%";
    const { data, layout } = model.get("figure");
    // Several 3-D scenes side by side need room: on a phone they scroll inside their own box.
    const scenes = Object.keys(layout).filter((key) => /^scene\d*$/.test(key)).length;
    if (scenes > 1) {
      el.style.minWidth = `${220 * scenes}px`;
      el.parentElement.style.overflowX = "auto";
    }
    await window.Plotly.newPlot(el, data, layout, { responsive: true, displaylogo: false });
  },
};
