"""The built site, a server for it, and a browser, for the tests of the book."""

import functools
import http.server
import subprocess
import sys
import threading

import nbformat
import pytest
from pages import CHAPTERS, HTML, NOTEBOOKS, PAGES, ROOT


def pytest_generate_tests(metafunc):
    """`page`: every page of the book; `notebook`: every notebook; `chapter`: every one but the cover."""
    if "page" in metafunc.fixturenames:
        metafunc.parametrize("page", PAGES)
    if "notebook" in metafunc.fixturenames:
        metafunc.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem, indirect=True)
    if "chapter" in metafunc.fixturenames:
        metafunc.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem, indirect=True)


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


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass


@pytest.fixture(scope="module")
def origins(site):
    """The site's address by scheme: served on this machine, and opened from disk."""
    handler = functools.partial(QuietHandler, directory=str(site))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield {"http": f"http://127.0.0.1:{server.server_port}", "file": site.as_uri()}
        server.shutdown()
        thread.join()
