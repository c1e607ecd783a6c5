"""Open a page as a reader would and note what happened: one visit serves all tests of that page."""

import dataclasses
from urllib.parse import urlsplit

WIDE = {"width": 1280, "height": 900}
PHONE = {"width": 360, "height": 780}

# Widgets start when they come into sight, so each is scrolled to before it is judged.
WIDGETS_ALIVE = """
async () => {
  const alive = el => el.querySelector("canvas, svg, .squ [role=status], .sgd [role=status] code") && el.getBoundingClientRect().height > 60;
  const dead = [];
  for (const el of document.querySelectorAll(".sobolev-widget, .plotly-graph-div")) {
    if (!el.getClientRects().length) continue;              // inside a closed <details>
    el.scrollIntoView({block: "center"});
    const start = performance.now();
    while (!alive(el) && performance.now() - start < 30000) await new Promise(done => setTimeout(done, 50));
    if (!alive(el)) dead.push(el.outerHTML.slice(0, 200));
  }
  scrollTo(0, 0);
  return dead;
}
"""
FACTS = """
() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const article = document.querySelector(".bd-article") || document.body;
  const words = article.cloneNode(true);
  all("pre, code, script, style, mjx-container, .sobolev-widget", words).forEach(el => el.remove());
  return {
    text: words.textContent,
    // a picture in a button with a name of its own is ornament: screen readers pass over it
    images: all("img").filter(i => i.alt || !i.closest("button[aria-label]")).map(i => ({src: i.getAttribute("src"), alt: i.alt, width: i.naturalWidth, inArticle: article.contains(i)})),
    mathematics: all(".math", article).length,
    typeset: all(".math", article).filter(el => el.querySelector("mjx-container svg")).length,
    // MathJax sets a macro that it does not know in red.
    mathErrors: all("[data-mml-node=merror], mjx-container [data-mml-node=mtext][fill=red]").map(el => el.parentElement.outerHTML.slice(0, 200)),
    widgets: all(".sobolev-widget", article).length,
    unlabelled: all(".sobolev-widget", article).filter(el => !el.closest("[aria-label]")).length,
    cells: all(".cell_input", article).length,
    copyButtons: all(".cell_input button.copybtn", article).length,
    column: Math.max(...all("section > p, section > ul", article).map(el => el.getBoundingClientRect().width)),
    widgetWidths: all(".sobolev-widget:not([data-widget=question])", article).map(el => el.getBoundingClientRect().width).filter(width => width > 0),
    wideCode: (() => {
      const folds = all("details:not([open])", article);
      folds.forEach(el => { el.open = true; });
      const wide = all(".cell_input pre", article).filter(el => el.scrollWidth > el.clientWidth + 1).map(el => el.textContent.slice(0, 80));
      folds.forEach(el => { el.open = false; });
      return wide;
    })(),
  };
}
"""
SIDEWAYS = """
() => {
  const root = document.documentElement;
  if (root.scrollWidth <= innerWidth + 1) return [];
  const scrolls = el => el && (getComputedStyle(el).overflowX !== "visible" || scrolls(el.parentElement));
  const wide = [...document.querySelectorAll(".bd-main *")].filter(
    el => el.getBoundingClientRect().right > innerWidth + 1 && !scrolls(el.parentElement));
  return [`page ${root.scrollWidth} px`, ...wide.slice(0, 5).map(el => el.outerHTML.slice(0, 120))];
}
"""
# What is wider than its box and scrolls there: it has to say so, formulas and tables in words, and to take the keyboard's focus.
MUTE = """
() => [...document.querySelectorAll(".bd-article *")].filter(el => el.checkVisibility() && !el.closest("svg, .sobolev-widget")
    && el.scrollWidth > el.clientWidth + 1 && ["auto", "scroll"].includes(getComputedStyle(el).overflowX))
  .filter(el => el.tabIndex !== 0 || el.getAttribute("role") !== "region" || !el.getAttribute("aria-label")
    || getComputedStyle(el).maskImage === "none" || (el.matches("div.math, .sl-table") && !el.nextElementSibling?.matches(".sl-hint")))
  .map(el => el.outerHTML.slice(0, 120))
"""
# A caption that goes on behind the edge of a table that scrolls, or into the fade there.
VEILED = """
() => [...document.querySelectorAll(".bd-article .sl-scrolls caption")].filter(caption => {
  const range = document.createRange(), box = caption.closest(".sl-scrolls").getBoundingClientRect();
  range.selectNodeContents(caption);
  return caption.checkVisibility() && range.getBoundingClientRect().right > box.right - 50;
}).map(caption => caption.textContent)
"""
# An interval that a line break parts: from a number to a number.
PARTED = """
() => [...document.querySelectorAll(".bd-article .sl-output :is(td, th, p)")].filter(el => el.checkVisibility()).flatMap(el => {
  const texts = [...el.childNodes].filter(node => node.nodeType === 3);
  return texts.flatMap(text => [...text.data.matchAll(/[\\d∞%]\\s(?:to|±)\\s[+−\\d∞][^\\s,;)]*/g)].filter(found => {
    const range = document.createRange();
    range.setStart(text, found.index);
    range.setEnd(text, found.index + found[0].length);
    const tops = [...range.getClientRects()].map(({ top }) => top);
    return Math.max(...tops) - Math.min(...tops) > 8;
  }).map(found => `${found[0]} of ${el.textContent.slice(0, 80)}`));
})
"""
# A formula that begins left of its box: scrolling does not reach there.
CUT = """
() => [...document.querySelectorAll(".bd-article div.math")].filter(el => el.checkVisibility() && el.querySelector("svg")
    && el.scrollLeft === 0 && el.querySelector("svg").getBoundingClientRect().left < el.getBoundingClientRect().left - 1)
  .map(el => el.textContent.slice(0, 80))
"""
# Contrast as WCAG defines it, of text against the nearest ground that is painted behind it.
CONTRAST = """
() => {
  const parts = colour => colour.match(/[\\d.]+/g).map(Number);
  const light = colour => {
    const [r, g, b] = parts(colour).map(v => v / 255).map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const painted = colour => { const p = parts(colour); return p.length < 4 || p[3] > 0.5; };
  const ground = el => {
    for (; el; el = el.parentElement) {
      const colour = getComputedStyle(el).backgroundColor;
      if (painted(colour)) return colour;
    }
    return "rgb(255, 255, 255)";
  };
  const poor = [];
  const selector = ".bd-article :is(p, li, h1, h2, summary, td, th), .sobolev-widget :is(label, button, select, p, figcaption, output)";
  for (const el of document.querySelectorAll(selector)) {
    if (!el.getClientRects().length || !el.textContent.trim() || el.disabled) continue;
    const colour = getComputedStyle(el).color;
    if (!colour.startsWith("rgb")) continue;
    const [a, b] = [light(colour), light(ground(el))].sort((x, y) => y - x);
    if ((a + 0.05) / (b + 0.05) < 4.5) poor.push(`${el.outerHTML.slice(0, 100)}: ${colour} on ${ground(el)}`);
  }
  return {body: light(ground(document.querySelector(".bd-article"))), poor: poor.slice(0, 5)};
}
"""


@dataclasses.dataclass
class Visit:
    """What one page did: wide and light, then dark, then as narrow as a phone."""

    errors: list = dataclasses.field(default_factory=list)  # console and page errors
    foreign: list = dataclasses.field(default_factory=list)  # requests to another host
    failed: list = dataclasses.field(default_factory=list)  # answers of 400 and above, and requests without one
    dead: list = dataclasses.field(default_factory=list)  # widgets without content
    facts: dict = dataclasses.field(default_factory=dict)
    dark: dict = dataclasses.field(default_factory=dict)
    sideways: list = dataclasses.field(default_factory=list)
    mute: list = dataclasses.field(default_factory=list)  # what scrolls on the phone and does not say so
    veiled: list = dataclasses.field(default_factory=list)  # captions on the phone that are only seen by scrolling
    parted: list = dataclasses.field(default_factory=list)  # intervals on the phone that go over a line's end
    cut: list = dataclasses.field(default_factory=list)  # formulas whose beginning is out of reach, wide and narrow


def watch(page, visit):
    """Let the visit note every error and request of the page."""

    def requested(request):
        parts = urlsplit(request.url)
        if parts.scheme not in ("file", "data", "blob") and parts.hostname != "127.0.0.1":
            visit.foreign.append(request.url)

    def answered(response):
        if response.status >= 400:
            visit.failed.append(f"{response.status} {response.url}")

    page.on("console", lambda message: visit.errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: visit.errors.append(str(error)))
    page.on("request", requested)
    page.on("response", answered)
    # a page that is left while the browser reads its icon ends that request
    page.on("requestfailed", lambda request: None if request.failure == "net::ERR_ABORTED" and "favicon" in request.url
            else visit.failed.append(f"{request.failure} {request.url}"))


def set_dark(page):
    """Press the theme's button until the page is dark."""
    for _ in range(3):
        if page.evaluate("document.documentElement.dataset.theme") == "dark":
            return
        page.locator(".theme-switch-button:visible").first.click()
    raise AssertionError("the theme's button never made the page dark")


def open_page(chromium, url, *, whole=True):
    """Visit the page and return the Visit; unless ``whole``, as it opens: wide and light only."""
    visit = Visit()
    page = chromium.new_page(viewport=WIDE, color_scheme="light")
    try:
        watch(page, visit)
        page.goto(url, wait_until="load")
        page.evaluate("async () => { await window.MathJax?.startup?.promise; }")
        visit.dead = page.evaluate(WIDGETS_ALIVE)
        visit.facts = page.evaluate(FACTS)
        visit.cut = page.evaluate(CUT)
        if not whole:
            return visit
        set_dark(page)
        page.wait_for_timeout(500)  # the theme fades
        visit.dark = page.evaluate(CONTRAST)
        page.set_viewport_size(PHONE)
        visit.dead += page.evaluate(WIDGETS_ALIVE)
        for _ in range(40):  # figures follow the width, on a busy machine slowly; what is too wide stays so
            visit.sideways = page.evaluate(SIDEWAYS)
            if not visit.sideways:
                break
            page.wait_for_timeout(250)
        for _ in range(40):  # the same for what tells that it scrolls
            visit.mute = page.evaluate(MUTE)
            if not visit.mute:
                break
            page.wait_for_timeout(250)
        visit.cut += page.evaluate(CUT)
        visit.veiled = page.evaluate(VEILED)
        visit.parted = page.evaluate(PARTED)
    finally:
        page.close()
    return visit
