"""The pages of the library: every public name is on one, its examples run as they stand there, and links lead both ways."""

import contextlib
import doctest
import importlib
import inspect
import io
import re

import api_links
import api_names
import pytest
import torch
from bs4 import BeautifulSoup
from pages import PAGES, ROOT
from visits import Visit, watch

import sobolev_lib.records

pytestmark = pytest.mark.timeout(1200)

PACKAGES = ["sobolev_lib", *(f"sobolev_lib.{name}" for name in (
    "losses", "training", "theory", "notebook", "plotting", "widgets", "atari", "datasets", "synthetic_gradients"))]
LIBRARY = [page for page in PAGES if page.startswith("book/api_")]
UNTAUGHT = {"section 1"}  # the paper's introduction


def text_of(page):
    return (ROOT / f"{page}.md").read_text()


@pytest.mark.parametrize("package", PACKAGES)
def test_every_public_name_is_on_a_page(package):
    module = importlib.import_module(package)
    public = {name: getattr(module, name) for name in module.__all__}
    names = [name for name, found in public.items() if not inspect.ismodule(found)]
    missing = [name for name in names if api_names.entry_of(f"{package}.{name}") is None]
    assert missing == [], "expected them on a page book/api_*.md"


def test_every_name_on_a_page_exists():
    assert len(api_names.entries()) > 100
    assert [name for name in api_names.entries() if api_names.resolved(name) is None] == []
    assert {entry.page for entry in api_names.entries().values()} == set(LIBRARY)


def test_a_name_is_on_one_page_only(tmp_path):
    book = tmp_path / "book"
    book.mkdir()
    (book / "chapters.yml").write_text("book/api_a: One.\nbook/api_b: Two.\n")
    for page in "ab":
        (book / f"api_{page}.md").write_text(".. currentmodule:: sobolev_lib\n\n.. autofunction:: fit\n")
    with pytest.raises(ValueError, match="expected each name once"):
        api_names.entries(book)


def documented(entry):
    """The docstrings that a page shows of a name: its own, and those of its methods."""
    found = api_names.resolved(entry.name)
    if inspect.isroutine(found):
        return [inspect.getdoc(found) or ""]
    if not inspect.isclass(found):
        return []
    own = [member for name, member in vars(found).items() if not name.startswith("_")]
    return [inspect.getdoc(each) or "" for each in (found, *own) if callable(each) or isinstance(each, property)]


@pytest.mark.parametrize("listed", LIBRARY)
def test_examples_run_after_the_first_lines_of_their_page(listed, tmp_path, monkeypatch):
    """As a reader would copy them: the page's first block, then any example."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sobolev_lib.records, "records_folder", lambda: tmp_path)
    sobolev_lib.records.save_record("seven-functions", "quick", config={}, seeds=[0], results={}, probe={}, wall_seconds=1,
                                    peak_memory=1, device="CPU")
    text = text_of(listed)
    first = re.search(r"```python\n(.+?)```", text, re.DOTALL)[1]
    own = [inspect.cleandoc(block) for block in re.findall(r"(?:^ +>>> .+\n(?: +\S.*\n)*)+", text, re.MULTILINE)]
    examples = own + [doc for entry in api_names.entries().values() if entry.page == listed for doc in documented(entry)]
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    told = io.StringIO()
    with torch.random.fork_rng(), contextlib.redirect_stderr(io.StringIO()):
        for example in examples:
            torch.manual_seed(0)
            scope = {}
            exec(first, scope)
            runner.run(doctest.DocTestParser().get_doctest(example, scope, listed, None, 0), out=told.write)
    assert runner.failures == 0, told.getvalue()
    assert runner.tries > 0


def test_what_docstrings_name_of_the_paper_has_a_place():
    named = set()
    for entry in api_names.entries().values():
        for kind, *numbers in api_links.NUMBERED.findall(" ".join(documented(entry))):
            named |= {api_links.place_name(kind, number) for number in numbers if number}
    assert {"equation 1", "equation 2", "theorem 1", "theorem 2", "proposition 1", "proposition 4"} <= named
    assert named - set(api_links.places()) <= UNTAUGHT, "expected them in book/paper_places.yml"


# On the built site


@pytest.fixture(scope="module")
def markup(site):
    """A page's HTML, read once."""
    read = {}

    def of(name):
        if name not in read:
            read[name] = BeautifulSoup((site / f"{name}.html").read_text(), "html.parser")
        return read[name]

    return of


def links(element):
    return {link["href"] for link in element.find_all("a", href=True)}


def test_every_name_has_its_signature_and_its_line_in_the_list(markup):
    listed = links(markup("book/api").article)
    for name, entry in api_names.entries().items():
        assert markup(entry.page).find("dt", id=name), name
        assert f"{entry.page.removeprefix('book/')}.html#{name}" in listed
    assert not markup("book/api").article.find(string=re.compile("the list of names"))


def test_signatures_are_those_in_the_source(markup):
    text = re.sub(r"\s+", " ", markup("book/api_training").find("dt", id="sobolev_lib.fit").get_text())
    for argument in ("model: nn.Module", "source: SobolevData | Teacher",
                     "optimizer: Optimizer | Callable[..., Optimizer] | None = None"):
        assert f" {argument}," in text
    linked = links(markup("book/api_training").find("dt", id="sobolev_lib.fit"))
    assert {"api_data.html#sobolev_lib.Teacher", "api_losses.html#sobolev_lib.losses.Loss", "#sobolev_lib.History"} <= linked
    assert [page for page in LIBRARY if markup(page).select("dt dl")] == [], "a list of terms that defines none"


def test_places_of_the_paper_are_there(markup):
    for name, place in [(name, place) for name, several in api_links.places().items() for place in several]:
        page, _, heading = place.partition("#")
        assert not heading or markup(f"book/{page}").find(id=heading), f"{name}: {place}"


@pytest.mark.parametrize("name, place", [
    ("sobolev_lib.SobolevLoss", "equation 1"), ("sobolev_lib.StochasticSobolevLoss", "equation 2"),
    ("sobolev_lib.theory.approximating_network", "theorem 1"), ("sobolev_lib.theory.tradeoff", "theorem 2"),
    ("sobolev_lib.theory.interpolating_network", "proposition 1"),
    ("sobolev_lib.theory.jacobian_asymmetry", "proposition 4"), ("sobolev_lib.InternalLoss", "section 5"),
    ("sobolev_lib.internal_derivatives", "section 5")])
def test_a_theorem_and_its_code_link_to_each_other(markup, name, place):
    entry = api_names.entries()[name]
    page, _, heading = api_links.place_for(place, entry).partition("#")
    assert f"{page}.html#{heading}" in links(markup(entry.page).find("dt", id=name).find_next_sibling("dd"))
    quiet = markup(f"book/{page}").find("section", id=heading).select_one(".sl-library")
    assert f"{entry.page.removeprefix('book/')}.html#{name}" in links(quiet)


def test_chapters_and_names_link_to_each_other(markup):
    for page in PAGES[1:]:
        chapter = markup(page).select_one(f'nav.sl-contents a[data-page="{page}"] .sl-number')
        there = links(markup(page).article) if chapter else set()
        for entry in api_names.used_in(page)[1] if chapter else ():
            back = markup(entry.page).find("dt", id=entry.name).find_next_sibling("dd")
            assert f"{entry.page.removeprefix('book/')}.html#{entry.name}" in there, f"{page}: {entry.name}"
            many = "chapters, first in" in back.get_text()
            assert many or f"{page.removeprefix('book/')}.html" in links(back), f"{page}: {entry.name}"


def test_names_in_visible_code_lead_to_their_page(markup):
    code = markup("book/five_minutes").select(".cell_input .highlight a.sl-api")
    assert ("label", "api_data.html#sobolev_lib.label") in [(link.get_text(), link["href"]) for link in code]


# test_site.py searches both ways
@pytest.mark.parametrize("scheme, word", [("file", "fit_many"), *(pytest.param(*case, marks=pytest.mark.slow) for case in (
    ("http", "SobolevLoss"), ("file", "interpolating_network")))])
def test_search_finds_a_name_first(new_tab, origins, scheme, word):
    visit, tab = Visit(), new_tab()
    watch(tab, visit)
    tab.goto(f"{origins[scheme]}/search.html?q={word}")
    tab.wait_for_function("document.querySelector('#search-results h2')?.textContent === 'Search Results'")
    first = tab.locator("#search-results li a").first.get_attribute("href")
    tab.wait_for_timeout(500)
    tab.evaluate("0")  # what it has said until now is heard
    assert re.search(rf"api_\w+\.html#sobolev_lib\.(\w+\.)?{word}$", first)
    assert (visit.errors, visit.foreign, visit.failed) == ([], [], [])


def test_an_example_is_copied_without_prompts_and_results(chromium, origins):
    context = chromium.new_context(permissions=["clipboard-read", "clipboard-write"])
    with context:
        tab = context.new_page()
        tab.goto(f"{origins['http']}/book/api_losses.html")
        example = tab.locator("dd > .doctest").first
        example.hover()
        example.locator("button.copybtn").click()
        copied = tab.evaluate("navigator.clipboard.readText()")
    assert copied.startswith("data = sobolev_lib.label(") and ">>>" not in copied
