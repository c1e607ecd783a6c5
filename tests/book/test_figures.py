"""Static figures: every one goes through plotting.show, takes the palette's colours, and is legible on a phone."""

import re

import pytest
from visits import PHONE, WIDE, set_dark

from sobolev_lib.plotting.palette import PAGE, PALETTE

DRAWS = re.compile(r"plt\.(figure|subplots)\(|plotting\.(compare|error_bars|learning_curves)\(")
# A colour by number, by a letter or by one of CSS's names, where a drawing takes one.
FIXED = re.compile(r"#[0-9a-fA-F]{3,8}\b|c(?:olor)?=[\"'](?:[a-z]|black|white|gr[ae]y|red|blue|green|orange|C\d)[\"']")


def code(notebook):
    return [cell.source for cell in notebook.cells if cell.cell_type == "code"]


def test_every_figure_is_shown_with_a_caption_and_a_description(notebook):
    shown = [source for source in code(notebook) if "plotting.show(" in source]
    assert [source[:80] for source in code(notebook) if DRAWS.search(source) and source not in shown] == []
    for source in shown:
        calls = source.split("plotting.show(")[1:]
        assert all("caption=" in call and "alt=" in call for call in calls), source
    assert [source for source in code(notebook) if "plt.show(" in source] == []


def test_descriptions_stand_in_the_code(notebook):
    assert [cell.id for cell in notebook.cells if "image" in cell.metadata.get("mystnb", {})] == []


def test_colours_come_from_the_palette(notebook):
    drawings = [source for source in code(notebook) if DRAWS.search(source)]
    assert [found for source in drawings for found in FIXED.findall(re.sub(r"(^|\s)#[^\n]*", "", source))] == []


def test_formulas_take_the_colours_of_values_and_slopes(notebook):
    told = {PALETTE[name]["light"] for name in ("points", "slopes")}
    used = [colour for cell in notebook.cells if cell.cell_type == "markdown"
            for colour in re.findall(r"\\(?:text)?color\{([^}]*)\}", cell.source)]
    assert set(used) <= told


def test_axes_show_numbers_and_no_logarithms(notebook):
    labels = re.compile(r"label=f?[\"'][^\"']*log(?:10|₁₀| )", re.IGNORECASE)
    assert [source for source in code(notebook) if labels.search(source)] == []


# In the browser

FIGURES = """
() => [...document.querySelectorAll(".bd-article .sl-figure:has(> .sl-picture)")].map(figure => {
  const picture = figure.querySelector("svg, img"), texts = [...figure.querySelectorAll("svg text, svg tspan")];
  const scale = picture.getBoundingClientRect().width / (picture.viewBox?.baseVal.width || picture.naturalWidth);
  // an index in a formula, a tspan, may be smaller than a label
  const labels = texts.filter(text => text.tagName === "text");
  const sizes = labels.map(text => parseFloat(text.style.fontSize)).filter(size => size > 0);
  const frame = figure.querySelector(".sl-picture"), hint = figure.querySelector(".sl-swipe");
  return {
    described: picture.getAttribute("aria-label") ?? picture.alt,
    caption: figure.querySelector("figcaption").textContent,
    smallest: Math.min(...sizes, Infinity) * scale,
    scrolls: frame.scrollWidth > frame.clientWidth + 1,
    hinted: Boolean(hint) && hint.getBoundingClientRect().height > 5,
    focusable: frame.tabIndex === 0,
    ids: [...figure.querySelectorAll("[id]")].map(el => el.id),
    inks: texts.map(text => getComputedStyle(text).fill),
  };
})
"""


@pytest.fixture(scope="module")
def seen(chromium, origins):
    """What each page's figures are at three looks, by page: wide and light, wide and dark, and on a phone."""
    known = {}

    def look(page):
        if page not in known:
            tab = chromium.new_page(viewport=WIDE, color_scheme="light")
            tab.goto(f"{origins['file']}/{page}.html")
            found = {"light": tab.evaluate(FIGURES)}
            set_dark(tab)
            found["dark"] = tab.evaluate(FIGURES)
            tab.set_viewport_size(PHONE)
            tab.wait_for_timeout(200)
            found["phone"] = tab.evaluate(FIGURES)
            tab.close()
            known[page] = found
        return known[page]

    return look


def test_figures_are_described(seen, page):
    for figure in seen(page)["light"]:
        assert len(figure["described"]) >= 15 and " " in figure["described"]


CAPTIONS = """
() => [...document.querySelectorAll(".bd-article .sl-figure > figcaption")].map(caption =>
  [getComputedStyle(caption, "::before").content, caption.textContent])
"""
# What a reader types into, and what has a line of its own that says how it stands.
SPEAK_FOR_THEMSELVES = ("question", "playground", "wave")


def test_every_picture_is_numbered_and_its_caption_says_what_it_shows(chromium, origins, page):
    """Widgets, films and drawings too."""
    tab = chromium.new_page(viewport=WIDE)
    tab.goto(f"{origins['file']}/{page}.html")
    captions = tab.evaluate(CAPTIONS)
    bare = tab.evaluate("""() => [...document.querySelectorAll(".bd-article .cell_output :is(.sobolev-widget, figure, video)")]
        .filter((el) => !el.closest(".sl-figure") && !el.parentElement.closest(".sobolev-widget"))
        .map((el) => el.dataset.widget ?? el.outerHTML.slice(0, 80))""")
    tab.close()
    assert [thing for thing in bare if thing not in SPEAK_FOR_THEMSELVES] == []
    for number, caption in captions:
        assert number.startswith('"Figure ')
        assert caption.endswith(".") and len(caption.split()) >= 5, caption


def test_films_have_no_frame_in_the_dark(chromium, origins):
    """The theme would lay every picture of a cell on a white card."""
    tab = chromium.new_page(viewport=WIDE, color_scheme="dark")
    tab.goto(f"{origins['file']}/book/atari.html")
    looks = tab.evaluate("""() => [...document.querySelectorAll(".bd-article picture > img")].map((img) => {
        const { backgroundColor, padding, filter } = getComputedStyle(img);
        return [backgroundColor, padding, filter]; })""")
    tab.close()
    assert looks and set(map(tuple, looks)) == {("rgba(0, 0, 0, 0)", "0px", "none")}


def test_no_two_figures_share_an_id(seen, page):
    ids = [name for figure in seen(page)["light"] for name in figure["ids"]]
    assert len(ids) == len(set(ids))


def test_figures_take_the_colours_of_the_theme(seen, page):
    light, dark = ([ink for figure in seen(page)[theme] for ink in figure["inks"]] for theme in ("light", "dark"))
    assert len(light) == len(dark)
    fixed = [ink for ink, other in zip(light, dark) if ink == other]
    assert fixed == []


def test_text_in_figures_is_legible_on_a_phone_and_what_is_wider_says_so(seen, page):
    for figure in seen(page)["phone"]:
        assert figure["smallest"] >= 7.4, figure["caption"]
        assert figure["scrolls"] == figure["hinted"], figure["caption"]
        assert figure["focusable"] or not figure["scrolls"], figure["caption"]


def test_style_sheet_knows_every_thing(chromium, origins, page):
    tab = chromium.new_page()
    tab.goto(f"{origins['file']}/{page}.html")
    missing = """names => {
      const known = getComputedStyle(document.documentElement);
      return names.filter(name => !known.getPropertyValue(`--sl-${name}`)); }"""
    names = tab.evaluate(missing, [*PALETTE, *PAGE])
    tab.close()
    assert names == []


def test_values_and_slopes_have_one_colour_each_in_formulas_and_code(chromium, origins):
    tab = chromium.new_page(color_scheme="light")
    tab.goto(f"{origins['http']}/book/the_loss.html")
    tab.wait_for_selector("mjx-container svg [fill]", state="attached")
    for theme in ("light", "dark"):
        if theme == "dark":
            set_dark(tab)
        colours = tab.evaluate("""() => {
          const of = (el, part) => getComputedStyle(el)[part];
          const fills = [...document.querySelectorAll("mjx-container [fill]")].map((el) => of(el, "fill"));
          const tokens = [...document.querySelectorAll(".highlight .n")].filter((el) => el.style.color);
          return { fills: [...new Set(fills)], code: Object.fromEntries(tokens.map((el) => [el.textContent, of(el, "color")])) };
        }""")
        told = {name: "rgb({}, {}, {})".format(*bytes.fromhex(PALETTE[name][theme][1:])) for name in ("points", "slopes")}
        assert set(told.values()) <= set(colours["fills"])
        assert colours["code"]["values"] == told["points"] and colours["code"]["jacobian"] == told["slopes"]
    tab.close()
