"""The pages of the book, as _toc.yml lists them."""

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
