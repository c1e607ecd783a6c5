"""The built site in a browser that reaches nothing but this machine: served, and opened from disk."""

import functools
import html
import json
import re
from urllib.parse import unquote, urlsplit

import pytest
import repository
import sync_repository
from bs4 import BeautifulSoup
from pages import PAGES, ROOT
from visits import PHONE, WIDE, Visit, watch

# The first test that needs the site may have to build it.
pytestmark = pytest.mark.timeout(1200)

SCHEMES = ("http", "file")
MEGABYTE = 1_000_000
VISIBLE_CELLS = 6
WIDGET = re.compile(r"""<\w+ [^>]*class=["'](?:[^"'>]* )?sobolev-widget\b""")


@pytest.fixture(params=SCHEMES)
def visit(request, page, visited):
    return visited(page, request.param)


@pytest.fixture
def whole(page, visited):
    """What a page looks like does not depend on where it lies: dark and as narrow as a phone it is only visited from disk."""
    return visited(page, "file")


@functools.lru_cache(maxsize=2)  # a page's tests follow each other
def parsed(path):
    return BeautifulSoup(path.read_text(), "html.parser")


@pytest.fixture
def markup(site, page):
    """The page's HTML, read once: no test may change it."""
    return parsed(site / f"{page}.html")


# In the browser


def test_no_error_and_no_other_host(visit):
    assert (visit.errors, visit.foreign, visit.failed) == ([], [], [])


def test_mathematics_is_typeset(visit):
    assert visit.facts["mathErrors"] == []
    assert visit.facts["typeset"] == visit.facts["mathematics"]
    raw = [mark for mark in ("$$", "\\frac", "\\(", "\\[", "\\begin", "{cite}", "{eq}", "| ---", "| —") if mark in visit.facts["text"]]
    assert raw == []


def test_widgets_and_figures_are_alive(visit):
    assert visit.dead == []
    assert visit.facts["unlabelled"] == 0


def test_images_are_there_and_described(visit):
    for image in visit.facts["images"]:
        assert image["width"] > 0, f"{image['src']} did not load"
        assert image["alt"].strip(), f"{image['src']} has no alt text"
        if image["inArticle"]:
            described = len(image["alt"]) >= 15 and " " in image["alt"] and not image["alt"].endswith((".png", ".svg"))
            assert described, f"expected a description, got alt={image['alt']!r}: set the cell's mystnb.image.alt"


def test_dark_theme_is_readable(whole):
    assert whole.dark["body"] < 0.2, "the page's ground stays light"
    assert whole.dark["poor"] == []


def test_phone_never_scrolls_sideways(whole):
    assert whole.sideways == []


def test_code_never_scrolls_sideways_on_a_wide_screen(whole):
    assert whole.facts["wideCode"] == []


def test_text_is_a_column_and_figures_have_room(whole):
    assert 480 < whole.facts["column"] < 660
    widths = whole.facts["widgetWidths"]
    assert not widths or whole.facts["column"] < max(widths) <= 1000


def test_what_scrolls_sideways_shows_it_and_takes_the_focus(whole):
    assert whole.mute == []


def test_no_formula_is_cut_at_its_beginning(visit):
    assert visit.cut == []


def test_captions_of_tables_that_scroll_are_seen_whole_on_a_phone(whole):
    assert whole.veiled == []


def test_no_line_ends_within_an_interval_on_a_phone(whole):
    assert whole.parted == []


def test_every_code_cell_has_a_copy_button(whole):
    assert whole.facts["copyButtons"] == whole.facts["cells"]


def test_copy_button_copies(chromium, origins):
    context = chromium.new_context(permissions=["clipboard-read", "clipboard-write"])
    with context:
        tab = context.new_page()
        tab.goto(f"{origins['http']}/{PAGES[0]}.html")
        tab.locator(".sl-run > summary").click()
        cell = tab.locator(".sl-run .cell_input").first
        cell.hover()
        cell.locator("button.copybtn").click()
        assert "import sobolev_lib as sl" in tab.evaluate("navigator.clipboard.readText()")


def test_what_a_figure_adds_to_the_page_is_no_error(new_tab, origins):
    """Plotly draws a copy of a figure beside the page's content in order to save it; its `data` are no text."""
    visit, tab = Visit(), new_tab()
    watch(tab, visit)
    tab.goto(f"{origins['http']}/book/references.html")
    tab.evaluate("""() => {
        const copy = Object.assign(document.createElement("div"), { data: [1] });
        document.body.append(copy, "text of its own");
        return new Promise((done) => setTimeout(done, 100));
    }""")
    tab.evaluate("0")  # what it has said until now is heard
    assert visit.errors == []


def test_what_no_longer_scrolls_no_longer_says_so(new_tab, origins):
    tab = new_tab(viewport=PHONE)
    tab.goto(f"{origins['http']}/book/cost.html")
    tab.wait_for_selector(".sl-hint", state="attached")
    hints, scrolling = tab.evaluate("""() => [".sl-hint", ":is(div.math, .sl-table).sl-scrolls"].map(
        (selector) => document.querySelectorAll(selector).length)""")
    assert hints == scrolling > 0
    tab.set_viewport_size(WIDE)
    tab.wait_for_function("() => !document.querySelector('.sl-hint, div.math.sl-scrolls')")


@pytest.mark.parametrize("scheme, word, found", [("file", "Sobolev", True), ("http", "zebrafinch", False), *(
    pytest.param(*case, marks=pytest.mark.slow) for case in (("http", "Sobolev", True), ("file", "zebrafinch", False)))])
def test_search_finds_a_word(new_tab, origins, scheme, word, found):
    visit, tab = Visit(), new_tab()
    watch(tab, visit)
    tab.goto(f"{origins[scheme]}/search.html?q={word}")
    tab.wait_for_function("document.querySelector('#search-results h2')?.textContent === 'Search Results'")
    links = tab.locator("#search-results li a").count()
    tab.wait_for_timeout(500)  # excerpts are fetched after the list is shown
    tab.evaluate("0")  # what it has said until now is heard
    assert (links > 0) == found
    assert (visit.errors, visit.foreign, visit.failed) == ([], [], [])


def marked(tab):
    return [link.get_attribute("data-page") for link in tab.locator(".sl-contents a.sl-read").all()]


@pytest.mark.parametrize("scheme", ["file", pytest.param("http", marks=pytest.mark.slow)])
def test_a_page_read_to_its_end_is_marked(new_tab, origins, scheme):
    visit, tab = Visit(), new_tab()
    watch(tab, visit)
    tab.goto(f"{origins[scheme]}/book/references.html")
    assert marked(tab) == []
    tab.locator(".sl-onward").scroll_into_view_if_needed()
    tab.wait_for_selector(".sl-contents a.sl-read")
    assert marked(tab) == ["book/references"]
    tab.goto(f"{origins[scheme]}/book/about.html")
    assert "book/references" in marked(tab)
    tab.evaluate("0")  # what it has said until now is heard
    assert (visit.errors, visit.foreign, visit.failed) == ([], [], [])


def test_where_nothing_may_be_kept_nothing_is_marked(new_tab, origins):
    visit, tab = Visit(), new_tab()
    watch(tab, visit)
    tab.add_init_script("""for (const name of ["getItem", "setItem"]) {
      const own = Storage.prototype[name];
      Storage.prototype[name] = function (key, value) {
        if (key.startsWith("sobolev")) throw new DOMException("forbidden", "SecurityError");
        return own.call(this, key, value);
      };
    }""")
    tab.goto(f"{origins['http']}/book/references.html")
    tab.locator(".sl-onward").scroll_into_view_if_needed()
    tab.wait_for_timeout(500)
    assert marked(tab) == []
    tab.evaluate("0")  # what it has said until now is heard
    assert visit.errors == []


@pytest.mark.parametrize("scheme", SCHEMES)
def test_front_page_leads_to_the_book(new_tab, origins, scheme):
    visit, tab = Visit(), new_tab()
    watch(tab, visit)
    tab.goto(f"{origins[scheme]}/index.html")
    tab.wait_for_url(f"**/{PAGES[0]}.html")
    tab.evaluate("0")  # what it has said until now is heard
    assert (visit.errors, visit.foreign, visit.failed) == ([], [], [])


# On disk


def test_front_page_asks_for_no_icon(site):
    """It is left before an icon could arrive, and a request given up is an error in the browser's console."""
    icons = BeautifulSoup((site / "index.html").read_text(), "html.parser").find_all("link", rel="icon")
    assert [icon["href"] for icon in icons] == ["data:,"]


def test_nothing_is_loaded_from_another_host(markup):
    links = [tag.get("src") for tag in markup.find_all(["script", "img", "iframe", "source", "video"])]
    links += [tag.get("href") for tag in markup.find_all("link")]
    assert [link for link in links if link and urlsplit(link).netloc] == []
    # A module from src does not load from disk.
    assert markup.find_all("script", src=True, type="module") == []


def test_no_output_needs_a_kernel(markup):
    assert markup.find_all("script", type="application/vnd.jupyter.widget-view+json") == []


def test_no_chapter_complains(markup):
    """A warning in a chapter is a bug of the library or the chapter."""
    assert [tag.get_text() for tag in markup.select(".output.stderr, .output.traceback")] == []


@functools.cache
def places(path):
    """The ids of a page, which is only searched for them: that takes a hundredth of the time that reading it whole takes; "top"
    is the page's start in every browser."""
    return {"top", *map(html.unescape, re.findall(r"""<\w[^<>]*\sid=["']([^"']*)["']""", path.read_text()))}


def test_links_inside_the_book_lead_somewhere(site, page, markup):
    for tag in markup.find_all("a", href=True):
        parts = urlsplit(tag["href"])
        if parts.scheme or parts.netloc:
            continue
        target = (site / f"{page}.html").parent / unquote(parts.path) if parts.path else site / f"{page}.html"
        assert target.exists(), f"{tag['href']} leads nowhere"
        if parts.fragment and target.suffix == ".html":
            assert unquote(parts.fragment) in places(target.resolve()), f"{tag['href']}: no such place"


def test_page_is_light(site, page, markup):
    """Its own text and images; the scripts that all pages share are not counted."""
    own = site / f"{page}.html"
    images = {(own.parent / tag["src"]).resolve() for tag in markup.find_all("img") if "_images/" in tag["src"]}
    assert sum(path.stat().st_size for path in {own, *images}) < MEGABYTE


def test_notebook_can_be_downloaded_and_opened_in_colab(site, page, markup):
    source = ROOT / f"{page}.ipynb"
    links = [tag["href"] for tag in markup.select(".sl-run a[href]")]
    if not source.exists():
        assert links == [], "Colab opens notebooks only"
        return
    url = repository.known()
    colab = [link for link in links if "colab" in link]
    name = url and url.removeprefix("https://github.com/")
    assert colab == [f"https://colab.research.google.com/github/{name}/blob/main/{page}.ipynb"] * bool(url)
    downloads = [link for link in links if link.endswith(".ipynb") and not urlsplit(link).netloc]
    assert len(downloads) == 1
    downloaded = json.loads(((site / f"{page}.html").parent / downloads[0]).read_text())
    assert downloaded == json.loads(sync_repository.sync_notebook(source.read_text(), url))


def test_repository_button_leads_to_the_repository(markup):
    """Where no address is known, there is none."""
    url = repository.known()
    assert [link["href"] for link in markup.select(".article-header-buttons a")] == [url] * bool(url)
    assert "OWNER" not in markup.get_text()


def test_setup_waits_under_the_title(page, markup):
    """Install cell and imports are behind the line under the title; no other code comes before the text."""
    if not (ROOT / f"{page}.ipynb").exists():
        return
    fold = markup.select_one("h1 + .sl-byline details.sl-run")
    assert fold and not fold.has_attr("open")
    assert "import sobolev_lib as sl" in fold.select(".cell_input")[0].get_text()
    assert [cell for cell in markup.select(".cell.tag_setup") if cell not in fold.select(".cell")] == []


def test_few_code_cells_are_visible(markup):
    shown = [code for code in markup.select(".cell_input") if not code.find_parent("details")]
    assert len(shown) <= VISIBLE_CELLS


def test_contents_list_parts_and_numbers(page, markup):
    contents = markup.select_one("nav.sl-contents")
    assert [part.get_text() for part in contents.select(".sl-part")] == [
        "The idea", "Why it works", "The paper's experiments", "In practice", "Beyond the paper", "Reference"]
    library = page.startswith("book/api")   # its pages are listed where one of them is read
    assert [link["data-page"] for link in contents.select("a[data-page]")] == [
        name for name in PAGES if library or not name.startswith("book/api_")]
    numbers = [int(number.get_text()) for number in contents.select(".sl-number")]
    assert numbers == list(range(1, len(numbers) + 1))
    assert [link["data-page"] for link in contents.select("a[aria-current=page]")] == [page]
    headings = {heading["id"] for heading in markup.select("article :is(section section, dt)[id]")}
    listed = {link["href"].removeprefix("#") for link in contents.select(".page-toc a")}
    assert listed <= headings
    assert listed or not headings


def test_reading_time_stands_under_the_title(page, markup):
    minutes = [int(element.get_text().split()[0]) for element in markup.select(".sl-minutes")]
    numbered = markup.select_one(f'nav.sl-contents a[data-page="{page}"] .sl-number')
    assert bool(minutes) == bool(numbered)
    assert all(1 <= value <= (5 if page == "five_minutes" else 60) for value in minutes)     # its title promises them


def test_neighbours_are_linked_with_a_sentence(page, markup):
    links = {link["rel"][0]: link for link in markup.select(".sl-onward a")}
    index = PAGES.index(page)
    expected = {"prev": PAGES[index - 1] if index else None, "next": PAGES[index + 1] if index + 1 < len(PAGES) else None}
    assert {rel: link["href"] for rel, link in links.items()} == {
        rel: f"{name.split('/')[-1]}.html" for rel, name in expected.items() if name}
    assert all(link.find("strong").get_text(strip=True) and link.find("span").get_text().endswith(".") for link in links.values())


def test_no_icon_font_is_served(site):
    assert list(site.rglob("fa-*.woff2")) == []
    assert sum(path.stat().st_size for path in site.rglob("*.woff2") if "source-serif" in path.parts) > 0


def test_every_chapter_has_something_to_turn(site):
    still = []
    for page in PAGES:
        if (ROOT / f"{page}.ipynb").exists() and page not in (PAGES[0], "book/reproduction") and not WIDGET.search((site / f"{page}.html").read_text()):
            still.append(page)
    assert still == []
