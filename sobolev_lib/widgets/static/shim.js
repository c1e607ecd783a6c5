// The built book's stand-in for Jupyter: finds the page's widgets, loads each front end once it is in sight, and gives
// it the part of anywidget's model that it needs. A classic script, so that it works in a page opened from disk.
(() => {
  "use strict";
  if (window.sobolevShim) return; // one <script> per figure, one shim per page
  const base = document.currentScript.src.replace(/[^/]*$/, "");
  const loading = new Map();

  // Load a script by its address relative to this one, once a page.
  function load(path) {
    if (!loading.has(path)) {
      loading.set(path, new Promise((resolve, reject) => {
        const script = document.createElement("script");
        script.src = base + path;
        script.onload = () => resolve();
        script.onerror = () => reject(new Error(`could not load ${path}`));
        document.head.append(script);
      }));
    }
    return loading.get(path);
  }

  // The state of one widget. There is no kernel: `kernel` tells a front end not to wait for answers.
  class Model {
    constructor(state) { this.state = state; this.listeners = new Map(); this.kernel = false; }
    get(key) { return this.state[key]; }
    set(key, value) {
      if (this.state[key] === value) return;
      this.state[key] = value;
      for (const event of [`change:${key}`, "change"]) for (const f of [...(this.listeners.get(event) ?? [])]) f();
    }
    on(event, f) { this.listeners.set(event, [...(this.listeners.get(event) ?? []), f]); }
    off(event, f) { this.listeners.set(event, (this.listeners.get(event) ?? []).filter((g) => f && g !== f)); }
    save_changes() {}
    send() {}
  }

  async function start(el) {
    if (el.dataset.started) return;
    el.dataset.started = "yes";
    const name = el.dataset.widget;
    try {
      if (!window.sobolevWidgets?.[name]) await load(`${name}.js`);
      const model = new Model(JSON.parse(el.querySelector('script[type="application/json"]').textContent));
      const stage = document.createElement("div");
      el.querySelector(".sobolev-placeholder")?.remove();
      el.append(stage);
      await window.sobolevWidgets[name].render({ model, el: stage });
      el.dataset.ready = "yes";
    } catch (error) {
      el.append(`This figure could not be shown: ${error.message}`);
      console.error(error);
    }
  }

  function all() { return document.querySelectorAll(".sobolev-widget"); }
  function watch() {
    const observer = new IntersectionObserver((entries) => {
      for (const entry of entries) if (entry.isIntersecting) { observer.unobserve(entry.target); start(entry.target); }
    }, { rootMargin: "400px 0px" });
    for (const el of all()) observer.observe(el);
    const named = location.hash.match(/^#([\w-]+)\?/); // a link to a widget with its settings: see hash.js
    if (named) document.querySelector(`.sobolev-widget[data-widget="${named[1]}"]`)?.scrollIntoView();
  }

  window.sobolevWidgets = window.sobolevWidgets || {};
  window.sobolevShim = { load };
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", watch); else watch();
  window.addEventListener("beforeprint", () => all().forEach(start)); // paper has no scrolling
})();
