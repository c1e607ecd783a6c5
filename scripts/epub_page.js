// Turns a page of the site, opened in a browser, into a chapter of the EPUB. scripts/build_epub.py runs this within the
// page: formulas become MathML, drawings files, figures that live pictures of themselves, questions text with an answer.
window.epub = (() => {
  "use strict";
  const article = document.querySelector("article.bd-article");
  const LIVE = ".sobolev-widget:not([data-widget=question])";
  const GONE = ".headerlink, .sl-byline, .sl-hint, .sl-swipe, .copybtn, script, noscript";
  const KEPT = ["id", "class", "href", "src", "alt", "colspan", "rowspan", "scope", "start", "open"];
  // What a style sheet may say of a drawing; a file of its own has none.
  const INHERITED = { "fill": "rgb(0, 0, 0)", "stroke": "none", "stroke-width": "1px", "stroke-dasharray": "none",
    "stroke-linecap": "butt", "stroke-linejoin": "miter", "fill-opacity": "1", "stroke-opacity": "1", "font-family": "",
    "font-size": "", "font-weight": "400", "font-style": "normal", "text-anchor": "start", "dominant-baseline": "auto",
    "visibility": "visible" };
  const OWN = { "opacity": "1", "display": "inline", "stop-color": "rgb(0, 0, 0)", "paint-order": "normal" };

  const made = (name, attributes, ...children) => {
    const element = Object.assign(document.createElement(name), attributes);
    element.append(...children);
    return element;
  };
  const html = (name, attributes, text) => Object.assign(made(name, attributes), { innerHTML: text });

  // The elements that need a picture: what is alive, and films.
  function mark() {
    return [...article.querySelectorAll(`${LIVE}, img`)].map((element, index) => {
      element.dataset.shot = index;
      return index;
    });
  }

  function formulas() {
    for (const item of window.MathJax?.startup.document.math ?? []) {
      if (!article.contains(item.typesetRoot)) continue;
      const math = new DOMParser().parseFromString(MathJax.startup.toMML(item.root), "text/xml").documentElement;
      for (const element of [math, ...math.querySelectorAll("*")]) {
        for (const { name } of [...element.attributes]) if (/^(data-|class$)/.test(name)) element.removeAttribute(name);
      }
      math.setAttribute("alttext", item.math.trim().replace(/\s+/g, " "));
      item.typesetRoot.replaceWith(document.importNode(math, true));
    }
  }

  function drawing(svg) {
    const copy = svg.cloneNode(true), box = svg.getBoundingClientRect();
    const twins = [copy, ...copy.querySelectorAll("*")];
    for (const [index, element] of [svg, ...svg.querySelectorAll("*")].entries()) {
      const twin = twins[index];
      const own = getComputedStyle(element), above = element === svg ? null : getComputedStyle(element.parentElement);
      for (const name of ["style", "class"]) twin.removeAttribute(name);
      for (const [name, first] of Object.entries(INHERITED)) {
        const value = own.getPropertyValue(name).replace(/url\("(#[^"]*)"\)/, "url($1)");
        if (value !== (above ? above.getPropertyValue(name) : first)) twin.setAttribute(name, value);
      }
      for (const [name, first] of Object.entries(OWN)) {
        const value = own.getPropertyValue(name);
        if (value !== first && !["block", "inline-block"].includes(value)) twin.setAttribute(name, value);
      }
    }
    copy.querySelectorAll("style").forEach((style) => style.remove());
    for (const name of ["role", "aria-label", "tabindex"]) copy.removeAttribute(name);
    for (const [name, value] of [["width", box.width], ["height", box.height]]) copy.setAttribute(name, Math.round(value));
    copy.setAttribute("xmlns", "http://www.w3.org/2000/svg");
    return new XMLSerializer().serializeToString(copy);
  }

  // All that can be answered is said below the question, behind a fold.
  function question(widget) {
    const { state } = JSON.parse(widget.querySelector("script").textContent);
    const says = state.choices
      ? state.choices.map((choice, index) => html("p", {}, `<i>${choice}</i>: ${state.says[index]}`))
      : [html("p", {}, `<b>${state.shown}.</b> ${state.says[0].replace(/^<b>Right. <\/b>/, "")}`)];
    const choices = state.choices ? [made("ul", {}, ...state.choices.map((choice) => html("li", {}, choice)))] : [];
    return made("div", { className: "question" }, html("p", {}, state.question), ...choices,
      made("details", {}, made("summary", {}, "Answer"), ...says));
  }

  function mendLink(link, { pages, site }) {
    const href = link.getAttribute("href");
    if (/^(https?:|mailto:)/.test(href)) return;
    const [file, hash] = href.split("#"), page = file.replace(/^(.*\/)?(\w+)\.html$/, "$2");
    // a hash with a question mark sets a widget, which only the site can
    if (!hash?.includes("?") && (file === "" || (!file.startsWith("../") && pages.includes(page)))) {
      link.setAttribute("href", `${file && `${page}.xhtml`}${hash ? `#${hash}` : ""}`);
    } else if (site) {
      link.setAttribute("href", new URL(href, `${site}book/${location.pathname.split("/").at(-1)}`).href);
    } else {
      link.replaceWith(...link.childNodes);
    }
  }

  // Returns the chapter as XHTML, its headings, and its drawings by file name; pictures must have been taken.
  function chapter({ name, pages, site }) {
    const drawings = {};
    const headings = [...article.querySelectorAll("section[id] > h2")].map((heading) => {
      const words = heading.cloneNode(true);
      words.querySelectorAll(".headerlink").forEach((mark) => mark.remove());
      return { id: heading.parentElement.id, text: words.textContent.trim() };
    });
    const title = article.querySelector("h1").firstChild.textContent.trim();
    formulas();
    article.querySelectorAll("[data-widget=question]").forEach((widget) => widget.replaceWith(question(widget)));
    for (const element of article.querySelectorAll("[data-shot]")) {
      const alt = element.getAttribute("alt") ?? element.getAttribute("aria-label");
      const image = made("img", { src: `../images/${name}-${element.dataset.shot}.png`, alt: alt ?? "" });
      const place = `${site}book/${name}.html#${element.closest("section[id]").id}`;
      const told = site ? made("a", { href: place }, "On the site") : "On the site";
      const line = made("p", { className: "alive" }, told, element.matches("img") ? " it moves." : " this figure is alive.");
      const shown = made("div", { className: "picture" }, image);
      (element.closest("picture") ?? element).replaceWith(shown);
      const whole = shown.closest("figure.sl-figure") ?? shown;
      if (!whole.nextElementSibling?.matches(".alive")) whole.after(line);
    }
    article.querySelectorAll(`${GONE}, details.hide`).forEach((element) => element.remove());
    for (const svg of article.querySelectorAll("svg:not(.sl-sign)")) {
      const file = `${name}-${Object.keys(drawings).length}.svg`;
      drawings[file] = drawing(svg);
      svg.replaceWith(made("img", { src: `../images/${file}`, alt: svg.getAttribute("aria-label") ?? "" }));
    }
    article.querySelectorAll("style, link").forEach((element) => element.remove());  // drawings had their colours from them
    for (const cell of article.querySelectorAll("div.cell")) {
      if (!cell.textContent.trim() && !cell.querySelector("img")) cell.remove();
    }
    article.querySelectorAll("a[href]").forEach((link) => mendLink(link, { pages, site }));
    for (const element of article.querySelectorAll("*")) {
      if (element.closest("svg, math")) continue;
      for (const { name } of [...element.attributes]) {
        if (!KEPT.includes(name)) element.removeAttribute(name);
      }
    }
    const text = [...article.children].map((part) => new XMLSerializer().serializeToString(part)).join("\n");
    return { title, headings, drawings, text };
  }

  return { mark, chapter };
})();
