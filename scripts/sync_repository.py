"""Write the repository's address, which stands in pyproject.toml, into every file that repeats it; and the version.

    python scripts/sync_repository.py            write
    python scripts/sync_repository.py --check    list the files that are out of step
    python scripts/sync_repository.py --first    where pyproject.toml has no address yet, write that of the remote on GitHub

The files: README.md, book/about.md, CITATION.cff, and the first code cell of every notebook. The version stands in
sobolev_lib/__init__.py, and is repeated in CITATION.cff.
"""

import argparse
import json
import re
import sys
from pathlib import Path

import repository

ROOT = Path(__file__).resolve().parent.parent

# Text before an address -> the address is whatever follows up to a space, quote or bracket.
PLACES = {
    "README.md": r"git\+|git clone ",
    "book/about.md": r"git clone ",
    "CITATION.cff": r"^repository-code: \"",
}
INSTALL_CELL = """\
# Run this cell first. It installs the book's library where it is missing.
# torch and numpy stay as they are.
try:
    import sobolev_lib as sl
except ImportError:
    repository = "{address}"
    %pip install --quiet "sobolev_lib[plot,widgets,atari] @ git+{{repository}}"
    import sobolev_lib as sl"""
# of a notebook that is downloaded from a site whose repository is nowhere to be found
INSTALL_CELL_WITHOUT_ADDRESS = """\
# Run this cell first. The book's library comes with the book: pip install PATH/OF/THE/BOOK
import sobolev_lib as sl"""


def version(root=ROOT):
    """Return the version as the library gives it."""
    text = (root / "sobolev_lib" / "__init__.py").read_text()
    return re.search(r'^__version__ = "([^"]+)"$', text, re.MULTILINE)[1]


def install_cell(url):
    """Return the source of the first code cell of every notebook; url is None where no address is known."""
    return INSTALL_CELL.format(address=url) if url else INSTALL_CELL_WITHOUT_ADDRESS


def sync_text(text, before, url):
    """Return the text with every address that follows `before` replaced by the url, and the folder that a clone makes.

    >>> sync_text("git clone https://a/b\\ncd b\\nmake book", "git clone ", "https://c/d")
    'git clone https://c/d\\ncd d\\nmake book'
    """
    pattern = re.compile(rf"({before})https?://[^\s\"'`)]+", re.MULTILINE)
    result, count = pattern.subn(lambda match: match[1] + url, text)
    if not count:
        raise ValueError(f"expected an address after {before!r}, got none")
    return re.sub(r"(git clone \S+/([\w.-]+)\n *cd )\S+", r"\1\2", result)


def without_clone(text):
    """Return the text without the lines that clone the repository.

    >>> without_clone("git clone https://a/b\\ncd b\\nmake book")
    'make book'
    """
    return re.sub(r"git clone \S+\n *cd \S+\n", "", text)


def page_text(name, text, url):
    """Return the text of a page of the book, ``name`` its path from the root, with the url for address."""
    if name not in PLACES:
        return text
    return sync_text(text, PLACES[name], url) if url else without_clone(text)


def sync_notebook(text, url):
    """Return the notebook with the install cell as its first code cell, whether it was there before or not."""
    notebook = json.loads(text)
    source = install_cell(url).splitlines(keepends=True)
    codes = [index for index, cell in enumerate(notebook["cells"]) if cell["cell_type"] == "code"]
    first = codes[0] if codes else len(notebook["cells"])
    if codes and "pip install" in "".join(notebook["cells"][first]["source"]):
        notebook["cells"][first]["source"] = source
    else:
        cell = {"cell_type": "code", "execution_count": None, "id": "install",
                "metadata": {"tags": ["setup"]}, "outputs": [], "source": source}
        notebook["cells"].insert(first, cell)
    return json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"


def same(old, new, path):
    """Compare contents; for a notebook, not its layout on disk."""
    return json.loads(old) == json.loads(new) if path.suffix == ".ipynb" else old == new


def out_of_step(root=ROOT):
    """Yield (path, new text) for every file that does not hold the address as pyproject.toml gives it."""
    url = repository.declared(root)
    for name, before in PLACES.items():
        path = root / name
        new = sync_text(path.read_text(), before, url)
        if name == "CITATION.cff":
            new = re.sub(r"(?m)^version: .*$", f"version: {version(root)}", new)
        if not same(path.read_text(), new, path):
            yield path, new
    for path in sorted((root / "book").glob("*.ipynb")):
        new = sync_notebook(path.read_text(), url)
        if not same(path.read_text(), new, path):
            yield path, new


def declare_first(root=ROOT):
    """Write the remote's address into pyproject.toml if that has none yet, and tell whether it was written.

    A fork keeps the address of what it is a fork of.
    """
    old, new, path = repository.declared(root), repository.origin(root), root / "pyproject.toml"
    first = old.startswith(repository.NOBODY) and new is not None
    if first:
        path.write_text(path.read_text().replace(old, new))
    return first


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="change nothing; fail when a file is out of step")
    parser.add_argument("--first", action="store_true", help="take the address of the remote, if pyproject.toml has none")
    chosen = parser.parse_args()
    check = chosen.check
    if chosen.first and not declare_first():
        return
    changed = list(out_of_step())
    for path, new in changed:
        print(path.relative_to(ROOT))
        if not check:
            path.write_text(new)
    if check and changed:
        sys.exit("out of step with pyproject.toml: run python scripts/sync_repository.py")


if __name__ == "__main__":
    main()
