"""Write the repository's address, which stands in pyproject.toml, into every file that repeats it; and the version.

    python scripts/sync_repository.py            write
    python scripts/sync_repository.py --check    list the files that are out of step

The files: _config.yml, README.md, CITATION.cff, and the first code cell of every notebook. The version stands in
sobolev_lib/__init__.py, and is repeated in CITATION.cff.
"""

import argparse
import json
import re
import sys
from pathlib import Path

import tomllib

ROOT = Path(__file__).resolve().parent.parent

# Text before an address -> the address is whatever follows up to a space, quote or bracket.
PLACES = {
    "_config.yml": r"^repository:\n  url: ",
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


def address(root=ROOT):
    """Return the repository's address as pyproject.toml gives it."""
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    return project["urls"]["Repository"]


def version(root=ROOT):
    """Return the version as the library gives it."""
    text = (root / "sobolev_lib" / "__init__.py").read_text()
    return re.search(r'^__version__ = "([^"]+)"$', text, re.MULTILINE)[1]


def install_cell(url):
    """Return the source of the first code cell of every notebook."""
    return INSTALL_CELL.format(address=url)


def sync_text(text, before, url):
    """Return the text with every address that follows `before` replaced by the url.

    >>> sync_text("git clone https://a/b", "git clone ", "https://c/d")
    'git clone https://c/d'
    """
    pattern = re.compile(rf"({before})https?://[^\s\"'`)]+", re.MULTILINE)
    result, count = pattern.subn(lambda match: match[1] + url, text)
    if not count:
        raise ValueError(f"expected an address after {before!r}, got none")
    return result


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
    url = address(root)
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


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="change nothing; fail when a file is out of step")
    check = parser.parse_args().check
    changed = list(out_of_step())
    for path, new in changed:
        print(path.relative_to(ROOT))
        if not check:
            path.write_text(new)
    if check and changed:
        sys.exit("out of step with pyproject.toml: run python scripts/sync_repository.py")


if __name__ == "__main__":
    main()
