"""The built site, a server for it, and a browser, for the tests of the book."""

import subprocess
import sys
import time

import nbformat
import pytest
import walks
from pages import CHAPTERS, HTML, NOTEBOOKS, OF_EVERY_KIND, PAGES, ROOT, served


def pytest_generate_tests(metafunc):
    """`page`: every page of the book; `notebook`: every notebook; `chapter`: every one but the cover."""
    if "page" in metafunc.fixturenames and not any("page" in mark.args[0] for mark in metafunc.definition.iter_markers("parametrize")):
        metafunc.parametrize("page", PAGES)
    if "notebook" in metafunc.fixturenames:
        metafunc.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem, indirect=True)
    if "chapter" in metafunc.fixturenames:
        metafunc.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem, indirect=True)


def pytest_itemcollected(item):
    """What is opened once a week (``-m slow``): all other pages on a phone; and the reference's, which are all made by one
    program, but for their contents and two more."""
    params = item.callspec.params if hasattr(item, "callspec") else {}
    page = params.get("page", "")
    made = page.startswith("book/api_") and page not in ("book/api_losses", "book/api_widgets")
    phone = params.get("size") == "phone" or params.get("visit") == "http"
    if "tabs" in item.fixturenames and page and (made or phone and page not in OF_EVERY_KIND):
        item.add_marker("slow")


@pytest.fixture
def notebook(request):
    return nbformat.read(request.param, as_version=4)


@pytest.fixture
def chapter(request):
    return nbformat.read(request.param, as_version=4)


@pytest.fixture(scope="session")
def site():
    """The folder of the built site; it is built first, unless it is up to date."""
    run = subprocess.run([sys.executable, ROOT / "scripts" / "build_book.py"], capture_output=True, text=True)
    if run.returncode != 0:
        pytest.fail(f"the book was not built:\n{(run.stdout + run.stderr)[-2000:]}", pytrace=False)
    return HTML


@pytest.fixture(scope="session")
def origins(site):
    """The site's address by scheme: served on this machine, and opened from disk."""
    with served(site) as address:
        yield {"http": address, "file": site.as_uri()}


@pytest.fixture(scope="session")
def tabs(chromium):
    """One tab by scheme, light, in which page after page is read: what pages share is there after the first."""
    found = {"http": walks.tab(chromium), "file": walks.tab(chromium)}
    yield found
    for tab in found.values():
        tab.close()


@pytest.fixture(scope="session")
def walk(tabs, origins):
    """The Walk through a page: at the width "wide" opened from disk, on a "phone" served."""
    scheme = {"wide": "file", "phone": "http"}
    return lambda page, size: walks.walk(tabs[scheme[size]], f"{origins[scheme[size]]}/{page}.html", size,
                                         judged=page in OF_EVERY_KIND)


@pytest.fixture(scope="session")
def visited(walk):
    """The Visit of a page by scheme."""
    return lambda page, scheme: walk(page, "wide" if scheme == "file" else "phone").visit


@pytest.fixture(autouse=True)
def wait_from_outside(monkeypatch):
    """Playwright's own wait evaluates text within the page, which the site's policy refuses: ask from outside instead."""
    from playwright.sync_api import Page, TimeoutError

    def wait_for_function(page, expression, *, arg=None, timeout=30_000):
        end = time.monotonic() + timeout / 1000
        while not page.evaluate(expression, arg):
            if time.monotonic() > end:
                raise TimeoutError(f"after {timeout} ms still not: {expression}")
            page.wait_for_timeout(50)

    monkeypatch.setattr(Page, "wait_for_function", wait_for_function)
