"use strict";

// The fonts stand in a style sheet (fonts.css): read now, they are there when the first line is set.
for (const style of ["", "italic "]) document.fonts.load(`${style}1em "Source Serif 4"`);

// The theme decides between light and dark only when the whole page is there; until then it would be light.
if (document.documentElement.dataset.theme === "auto") {
  document.documentElement.dataset.theme = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
}

// Until the formulas are set, what stands below the first one is not shown. Without MathJax it is.
document.documentElement.classList.add("sl-typesetting");
document.addEventListener("DOMContentLoaded", async () => {
  await window.MathJax?.startup?.promise?.catch(() => {});
  document.documentElement.classList.remove("sl-typesetting");
});

// A page opened from disk may not fetch other files, so the search there lists titles without excerpts.
if (location.protocol === "file:") {
  DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;
}

// --- What scrolls sideways: it fades at the edge behind which there is more, and the arrow keys reach it ---

const SCROLLERS = { "div.math": "Formula", ".sl-table": "Table", "pre": "Code", ".output.text_html": "Output", ".sl-picture": "Figure",
  "figure:not(.sl-figure)": "Diagram" };

// Measures all before it changes one: else the page would be laid out anew for each.
function showEdges(elements) {
  const measured = elements.map((el) => [el, el.scrollWidth - el.clientWidth, el.scrollLeft]);
  for (const [el, more, left] of measured) {
    el.classList.toggle("sl-more-left", more > 1 && left > 1);
    el.classList.toggle("sl-more-right", more > 1 && left < more - 1);
    el.classList.toggle("sl-scrolls", more > 1);
    if (more > 1) {
      el.tabIndex = 0;
      el.setAttribute("role", "region");
      el.setAttribute("aria-label", el.dataset.scrollLabel);
    } else if (el.getAttribute("role") === "region") {
      for (const name of ["tabindex", "role", "aria-label"]) el.removeAttribute(name);
    }
    if (el.matches("div.math, .sl-table")) showHint(el, more > 1);
  }
}

// Formulas and tables that scroll say so in words, in the space that is below them anyway; figures have brought their own hint.
function showHint(el, needed) {
  const next = el.nextElementSibling, there = Boolean(next?.matches(".sl-hint"));
  if (there && !needed) next.remove();
  if (there || !needed) return;
  const hint = document.createElement("p");
  hint.className = "sl-hint";
  hint.ariaHidden = "true"; // the label says it
  hint.textContent = "Swipe to see the rest →";
  el.after(hint);
}

function watchScrollers() {
  const resized = new ResizeObserver((entries) => showEdges(entries.map((entry) => entry.target)));
  for (const [selector, name] of Object.entries(SCROLLERS)) {
    document.querySelectorAll(`.bd-article ${selector}`).forEach((el, index) => {
      if (el.querySelector(".sobolev-widget")) return;
      el.dataset.scrollLabel = `${name} ${index + 1}, scrolls sideways`;
      el.addEventListener("scroll", () => showEdges([el]), { passive: true });
      resized.observe(el);
    });
  }
}

// --- What is told about values and about slopes has the colours in code that it has in formulas and pictures ---

const TOLD = { y: "points", value: "points", values: "points", dy: "slopes", slope: "slopes", slopes: "slopes",
  gradient: "slopes", gradients: "slopes", jacobian: "slopes" };

function colourCode() {
  for (const token of document.querySelectorAll(".bd-article .highlight .n")) {
    if (Object.hasOwn(TOLD, token.textContent)) token.style.color = `var(--sl-${TOLD[token.textContent]})`;
  }
}

// --- Chapters already read: kept in this browser only ---

const READ = "sobolev-read";

// Private windows and pages opened from disk may forbid to keep anything: then nothing is marked.
function pagesRead() {
  try {
    const pages = JSON.parse(localStorage.getItem(READ));
    return Array.isArray(pages) ? pages : [];
  } catch {
    return [];
  }
}

function markRead() {
  const pages = pagesRead();
  for (const link of document.querySelectorAll(".sl-contents a[data-page]")) {
    if (!pages.includes(link.dataset.page) || link.classList.contains("sl-read")) continue;
    link.classList.add("sl-read");
    const word = document.createElement("span");
    word.className = "visually-hidden";
    word.textContent = "(read)";
    link.append(word);
  }
}

// A chapter is read when its end has come into sight.
function watchEnd() {
  const end = document.querySelector(".sl-onward");
  const page = document.querySelector(".sl-contents a[aria-current]")?.dataset.page;
  if (!end || !page) return;
  new IntersectionObserver((entries, observer) => {
    if (!entries.some((entry) => entry.isIntersecting)) return;
    observer.disconnect();
    try {
      localStorage.setItem(READ, JSON.stringify([...new Set([...pagesRead(), page])]));
    } catch {
      return;
    }
    markRead();
  }).observe(end);
}

document.addEventListener("DOMContentLoaded", () => {
  watchScrollers();
  colourCode();
  markRead();
  watchEnd();
});
window.addEventListener("load", () => {
  // A formula keeps its box when MathJax sets it, and may still become wider than that.
  window.MathJax?.startup?.promise?.then(() => showEdges([...document.querySelectorAll(".bd-article div.math")]));
});
