"""The published site: the newest book in /latest, each release's in a folder such as /v0.2, a root that leads to the newest.

    python scripts/versions.py _build/html ZIPS OUT    ZIPS: the folder of the releases' offline books (scripts/offline.py)

Of the patches of a version only the last is kept. Pages of a release say which version they are and lead to the newest;
search engines are told that the newest is the one to show. The offline books themselves stay as they are.
"""

import html
import re
import shutil
import sys
import zipfile
import zlib
from pathlib import Path, PurePosixPath

import repository

NAME = re.compile(r"sobolev-training-(\d+)\.(\d+)\.(\d+)\.zip")
LATEST = "latest"
NOTE = ('<p role="note" style="border:1px solid;border-radius:4px;padding:.4em .8em">You read version {version} of this '
        'book. <a href="{latest}">{what}</a></p>')
ROOT_PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Sobolev Training</title><link rel="icon" href="data:,">
<meta http-equiv="refresh" content="0; url=latest/index.html"></head>
<body><h1>Sobolev Training</h1><ul>
{links}
</ul></body></html>
"""


def releases(folder):
    """Return the last offline book of each version, newest first: its folder on the site, such as v0.2, and its path.

    Raises ``ValueError`` for a zip that is none.
    """
    last = {}
    for path in folder.glob("*.zip"):
        found = NAME.fullmatch(path.name)
        if not found:
            raise ValueError(f"expected names such as sobolev-training-1.2.3.zip, got {path}")
        major, minor, patch = map(int, found.groups())
        last[major, minor] = max(last.get((major, minor), (-1, path)), (patch, path))
    return {f"v{major}.{minor}": last[major, minor][1] for major, minor in sorted(last, reverse=True)}


def unpack(path, to):
    """Write an offline book without its outer folder.

    Raises ``ValueError`` for a zip that is broken, holds no book or has an entry outside it; nothing is written then.
    """
    files = {}
    try:
        with zipfile.ZipFile(path) as packed:
            for entry in packed.infolist():
                outer, *inner = PurePosixPath(entry.filename).parts or [""]
                if outer != path.stem or not inner or ".." in inner:
                    raise ValueError(f"expected files in {path.stem}/, got {entry.filename!r} in {path}")
                if not entry.is_dir():
                    files[to.joinpath(*inner)] = packed.read(entry)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise ValueError(f"expected a whole zip that can be read, got {path}: {error}") from None
    if to / "index.html" not in files:
        raise ValueError(f"expected {path.stem}/index.html in {path}, got none")
    for file, content in files.items():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)


def with_canonical(page, address):
    """Tell search engines under which address this page is to be found.

    >>> with_canonical('<head><meta charset="utf-8"></head>', "https://example.org/a.html")
    '<head><meta charset="utf-8"><link rel="canonical" href="https://example.org/a.html">\\n</head>'
    """
    return page.replace("</head>", f'<link rel="canonical" href="{html.escape(address)}">\n</head>', 1)


def with_note(page, version, latest, same):
    """Say first in the page's text which version it is; ``same``: the newest has this page too.

    >>> with_note("<body><article class='a'><h1>A</h1></article></body>", "0.2", "../../latest/a.html", True)[:46]
    '<body><article class=\\'a\\'><p role="note" style='
    """
    what = "The newest has this page too." if same else "To the newest."
    note = NOTE.format(version=version, latest=html.escape(latest), what=what)
    place = re.search(r"<article\b[^>]*>", page) or re.search(r"<body\b[^>]*>", page)
    return f"{page[:place.end()]}{note}{page[place.end():]}" if place else page


def mark(folder, root, address):
    """Write canonical addresses into the pages of one version, and into those of a release what it is."""
    for path in folder.rglob("*.html"):
        name, page = path.relative_to(folder).as_posix(), path.read_text()
        same = (root / LATEST / name).exists()
        if address and same:
            page = with_canonical(page, f"{address}{LATEST}/{name}")
        if folder.name != LATEST:
            up = "../" * (name.count("/") + 1)
            page = with_note(page, folder.name[1:], f"{up}{LATEST}/{name if same else 'index.html'}", same)
        path.write_text(page)


def assemble(site, zips, out, address):
    """Write the whole site into ``out``, or nothing; ``address``: where it will be served, if that is known.

    Raises ``FileNotFoundError`` where there is no site or no folder of zips, ``FileExistsError`` where ``out`` is already,
    ``ValueError`` for a zip that is none of an offline book.
    """
    if not (site / "index.html").exists():
        raise FileNotFoundError(f"expected a built site in {site}: run make book")
    if not zips.is_dir():
        raise FileNotFoundError(f"expected a folder with the releases' zips, got {zips}")
    if out.exists():
        raise FileExistsError(f"expected a folder that is not there yet, got {out}")
    old, partial = releases(zips), out.with_name(f"{out.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)             # of a run that was killed
    try:
        shutil.copytree(site, partial / LATEST)
        for version, path in old.items():
            unpack(path, partial / version)
        for version in (LATEST, *old):
            mark(partial / version, partial, address)
        links = [f'<li><a href="{version}/index.html">{version}</a></li>' for version in (LATEST, *old)]
        (partial / "index.html").write_text(ROOT_PAGE.format(links="\n".join(links)))
        partial.rename(out)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    try:
        assemble(*map(Path, sys.argv[1:]), repository.pages(repository.known()))
    except (FileNotFoundError, FileExistsError, ValueError) as error:
        sys.exit(str(error))
