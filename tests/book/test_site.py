"""The built site in a browser that reaches nothing but this machine: served, and opened from disk."""

import functools
from urllib.parse import unquote, urlsplit

import pytest
import sync_repository
from bs4 import BeautifulSoup
from pages import PAGES, ROOT
from visits import Visit, open_page, watch

# The first test that needs the site may have to build it.
pytestmark = pytest.mark.timeout(1200)

SCHEMES = ("http", "file")
MEGABYTE = 1_000_000


@pytest.fixture(scope="module")
def visits(chromium, origins):
    """Visit a page once; later calls get the same Visit."""
    seen = {}

    def visit(page, scheme):
        if (page, scheme) not in seen:
            seen[page, scheme] = open_page(chromium, f"{origins[scheme]}/{page}.html")
        return seen[page, scheme]

    return visit


@pytest.fixture(params=SCHEMES)
def visit(request, page, visits):
    return visits(page, request.param)


@pytest.fixture
def markup(site, page):
    return BeautifulSoup((site / f"{page}.html").read_text(), "html.parser")


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


def test_dark_theme_is_readable(visit):
    assert visit.dark["body"] < 0.2, "the page's ground stays light"
    assert visit.dark["poor"] == []


def test_phone_never_scrolls_sideways(visit):
    assert visit.sideways == []


def test_every_code_cell_has_a_copy_button(visit):
    assert visit.facts["copyButtons"] == visit.facts["cells"]


def test_copy_button_copies(chromium, origins):
    context = chromium.new_context(permissions=["clipboard-read", "clipboard-write"])
    with context:
        tab = context.new_page()
        tab.goto(f"{origins['http']}/{PAGES[0]}.html")
        cell = tab.locator(".cell_input").first
        cell.hover()
        cell.locator("button.copybtn").click()
        assert "import sobolev_lib as sl" in tab.evaluate("navigator.clipboard.readText()")


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("word, found", [("Sobolev", True), ("zebrafinch", False)])
def test_search_finds_a_word(chromium, origins, scheme, word, found):
    visit, tab = Visit(), chromium.new_page()
    watch(tab, visit)
    tab.goto(f"{origins[scheme]}/search.html?q={word}")
    tab.wait_for_function("document.querySelector('#search-results h2')?.textContent === 'Search Results'")
    links = tab.locator("#search-results li a").count()
    tab.wait_for_timeout(500)  # excerpts are fetched after the list is shown
    tab.close()
    assert (links > 0) == found
    assert (visit.errors, visit.foreign, visit.failed) == ([], [], [])


@pytest.mark.parametrize("scheme", SCHEMES)
def test_front_page_leads_to_the_book(chromium, origins, scheme):
    visit, tab = Visit(), chromium.new_page()
    watch(tab, visit)
    tab.goto(f"{origins[scheme]}/index.html")
    tab.wait_for_url(f"**/{PAGES[0]}.html")
    tab.close()
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
    """The ids of a page; "top" is the page's start in every browser."""
    return {"top", *(tag["id"] for tag in BeautifulSoup(path.read_text(), "html.parser").find_all(id=True))}


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
    links = [tag["href"] for tag in markup.select(".article-header-buttons a[href]")]
    colab = [link for link in links if "colab" in link]
    if not source.exists():
        assert colab == [], "Colab opens notebooks only"
        return
    repository = sync_repository.address().removeprefix("https://github.com/")
    assert colab == [f"https://colab.research.google.com/github/{repository}/blob/main/{page}.ipynb"]
    downloads = [link for link in links if link.endswith(".ipynb") and not urlsplit(link).netloc]
    assert len(downloads) == 1
    assert ((site / f"{page}.html").parent / downloads[0]).read_bytes() == source.read_bytes()


def test_repository_button_leads_to_the_repository(markup):
    assert markup.select(f'.article-header-buttons a[href="{sync_repository.address()}"]')


def test_every_chapter_has_something_to_turn(site):
    still = []
    for page in PAGES:
        markup = BeautifulSoup((site / f"{page}.html").read_text(), "html.parser")
        if (ROOT / f"{page}.ipynb").exists() and page != PAGES[0] and not markup.select(".sobolev-widget"):
            still.append(page)
    assert still == []
