"""The pages of the book, as _toc.yml lists them, and a server for a folder of pages."""

import contextlib
import functools
import http.server
import threading
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent.parent
HTML = ROOT / "_build" / "html"


def toc_pages(toc):
    """Return the pages of a table of contents in reading order, as paths from the root without suffix.

    >>> toc_pages({"root": "book/a", "parts": [{"chapters": [{"file": "book/b"}]}]})
    ['book/a', 'book/b']
    """
    here = [toc[key] for key in ("root", "file") if key in toc]
    below = [entry for key in ("parts", "chapters", "sections") for entry in toc.get(key, [])]
    return here + [page for entry in below for page in toc_pages(entry)]


PAGES = toc_pages(yaml.safe_load((ROOT / "_toc.yml").read_text()))
NOTEBOOKS = [ROOT / f"{page}.ipynb" for page in PAGES if not (ROOT / f"{page}.md").exists()]
# Of the cover and of the list of all claims it is not asked what every chapter must have.
CHAPTERS = [path for path in NOTEBOOKS if path.stem not in (Path(PAGES[0]).name, "reproduction")]
# Each page is read from disk, as wide as a desk and then as narrow as a phone. Served, opened on a phone, and judged by axe are these.
OF_EVERY_KIND = {"book/welcome", "book/seven_functions", "book/api_losses"}


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass


@contextlib.contextmanager
def served(folder):
    """Serve the folder on this machine; gives the address."""
    handler = functools.partial(QuietHandler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()
