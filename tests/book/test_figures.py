"""Static figures: every one goes through plotting.show, takes the palette's colours, and is legible on a phone."""

import re

import pytest
from visits import WIDE, set_dark

from sobolev_lib.plotting.palette import PALETTE

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

@pytest.fixture
def seen(visited, page):
    """What the page's figures are at three looks: wide and light, wide and dark, and on a phone."""
    return visited(page, "file").figures


def test_figures_are_described(seen):
    for figure in seen["light"]:
        assert len(figure["described"]) >= 15 and " " in figure["described"]


# What a reader types into, and what has a line of its own that says how it stands.
SPEAK_FOR_THEMSELVES = ("question", "playground", "wave")


def test_every_picture_is_numbered_and_its_caption_says_what_it_shows(visited, page):
    """Widgets, films and drawings too."""
    visit = visited(page, "file")
    assert [thing for thing in visit.bare if thing not in SPEAK_FOR_THEMSELVES] == []
    for number, caption in visit.captions:
        assert number.startswith('"Figure ')
        assert caption.endswith(".") and len(caption.split()) >= 5, caption


def test_films_have_no_frame_in_the_dark(new_tab, origins):
    """The theme would lay every picture of a cell on a white card."""
    tab = new_tab(viewport=WIDE, color_scheme="dark")
    tab.goto(f"{origins['file']}/book/atari.html")
    looks = tab.evaluate("""() => [...document.querySelectorAll(".bd-article picture > img")].map((img) => {
        const { backgroundColor, padding, filter } = getComputedStyle(img);
        return [backgroundColor, padding, filter]; })""")
    assert looks and set(map(tuple, looks)) == {("rgba(0, 0, 0, 0)", "0px", "none")}


def test_no_two_figures_share_an_id(seen):
    ids = [name for figure in seen["light"] for name in figure["ids"]]
    assert len(ids) == len(set(ids))


def test_figures_take_the_colours_of_the_theme(seen):
    light, dark = ([ink for figure in seen[theme] for ink in figure["inks"]] for theme in ("light", "dark"))
    assert len(light) == len(dark)
    fixed = [ink for ink, other in zip(light, dark) if ink == other]
    assert fixed == []


def test_text_in_figures_is_legible_on_a_phone_and_what_is_wider_says_so(seen):
    for figure in seen["phone"]:
        assert figure["smallest"] >= 7.4, figure["caption"]
        assert figure["scrolls"] == figure["hinted"], figure["caption"]
        assert figure["focusable"] or not figure["scrolls"], figure["caption"]


def test_style_sheet_knows_every_thing(visited, page):
    assert visited(page, "file").unstyled == []


def test_values_and_slopes_have_one_colour_each_in_formulas_and_code(new_tab, origins):
    tab = new_tab(color_scheme="light")
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
