"""Build the site: `python scripts/build_book.py` executes the chapters and writes _build/html.

Nothing changed: nothing is done. Text changed: the pages are written anew from cached outputs.
The library or a record changed: every chapter is executed again.

While a page is written, `python scripts/build_book.py welcome cost` builds these pages alone. Links to others lead nowhere.
"""

import argparse
import base64
import contextlib
import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import policy
import repository
import sync_repository
import vendor
import yaml

try:
    import fcntl
except ModuleNotFoundError:  # on Windows
    fcntl = None

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "_build"
HTML = BUILD / "html"
CACHE = BUILD / ".jupyter_cache"  # where Jupyter Book looks for executed chapters
GENERATED = ROOT / "book" / "assets-generated"

# What a chapter's outputs depend on beside the chapter itself.
CODE = ("sobolev_lib", "book/records", "requirements.txt")
# What the site depends on.
SITE = CODE + ("book", "scripts", "_config.yml", "_toc.yml", "pyproject.toml")
# Seconds for one cell, as in _config.yml.
TIMEOUT = yaml.safe_load((ROOT / "_config.yml").read_text())["execute"]["timeout"]
PAGES = [path.stem for path in sorted((ROOT / "book").glob("*")) if path.suffix in (".ipynb", ".md")]
IGNORED = {"__pycache__", ".ipynb_checkpoints", ".unfinished", "assets-generated"}


def fingerprint(names, root=ROOT):
    """Return the SHA-256 of the named files and folders: paths and contents.

    >>> len(fingerprint(["_config.yml"]))
    64
    """
    paths = []
    for name in names:
        path = root / name
        paths += path.rglob("*") if path.is_dir() else [path]
    digest = hashlib.sha256()
    for path in sorted(set(paths)):
        if path.is_file() and not IGNORED & set(path.relative_to(root).parts):
            content = hashlib.sha256(path.read_bytes()).hexdigest()
            digest.update(f"{path.relative_to(root).as_posix()} {content}\n".encode())
    return digest.hexdigest()


def read(path):
    return path.read_text() if path.exists() else None


def with_fonts(css):
    """Return a style sheet with the fonts that it names written into it.

    >>> with_fonts('src: url("vendor/source-serif/roman.woff2")')[:38]
    'src: url("data:font/woff2;base64,d09GM'
    """
    def data(found):
        return f'url("data:font/woff2;base64,{base64.b64encode((vendor.ASSETS / found[1]).read_bytes()).decode()}")'

    return re.sub(r'url\("([^"]+[.]woff2)"\)', data, css)


def generate_assets():
    """Write the served files that are made: plotly.js of its package, the widgets as classic scripts, the style sheet of fonts."""
    from sobolev_lib.book_output import write_scripts  # here, for it takes seconds to import torch

    shutil.rmtree(GENERATED, ignore_errors=True)
    vendor.copy_installed(GENERATED)
    write_scripts(GENERATED / "widgets")
    (GENERATED / "fonts.css").write_text(with_fonts((ROOT / "book" / "templates" / "fonts.css").read_text()))


def build_environment():
    return dict(
        os.environ,
        SOBOLEV_BOOK_BUILD="1",  # figures and widgets write HTML that needs no kernel
        # Small networks gain nothing from threads, and on a busy machine threads wait for each other.
        OMP_NUM_THREADS=os.environ.get("OMP_NUM_THREADS", "1"),
        TQDM_DISABLE="1",  # a finished progress bar tells a reader nothing
        PYDEVD_DISABLE_FILE_VALIDATION="1",  # else the kernel's debugger may print into a chapter
    )


def run(name, *arguments):
    """Run a program of this Python's environment; returns its exit status."""
    return subprocess.run([Path(sys.executable).with_name(name), *arguments], cwd=ROOT, env=build_environment()).returncode


def execute_chapters(pages):
    """Execute new and changed chapters among ``pages`` (chapters.py)."""
    # Large chapters first: on the whole they take longest, and none is to be left to one core at the end.
    chapters = [ROOT / "book" / f"{page}.ipynb" for page in pages if (ROOT / "book" / f"{page}.ipynb").exists()]
    run("python", ROOT / "scripts" / "chapters.py", CACHE, str(TIMEOUT), *sorted(chapters, key=lambda path: -path.stat().st_size))


def run_jupyter_book(pages):
    if pages == PAGES:
        return run("jupyter-book", "build", ".", "-W", "-n", "--keep-going")
    toc = BUILD / "toc.yml"
    contents = {"format": "jb-book", "root": f"book/{pages[0]}"}
    if len(pages) > 1:
        contents["chapters"] = [{"file": f"book/{page}"} for page in pages[1:]]
    toc.write_text(yaml.safe_dump(contents))
    return run("jupyter-book", "build", ".", "--toc", toc, "--keep-going")


def drop_icon_font():
    """Take the theme's icon font out of the pages: its script is larger than all else together, and no template needs it."""
    for page in HTML.rglob("*.html"):
        page.write_text(re.sub(r"<(link|script)\b[^>]*/fontawesome/[^>]*>(</script>)?\n?", "", page.read_text()))
    shutil.rmtree(HTML / "_static" / "vendor" / "fontawesome")


def mend_theme():
    """Let the theme's script ask for text only of nodes that hold text.

    It looks for a footer in what is added to the page, by ``node.data.search``. The copy of a figure that Plotly adds in order
    to save it as a picture has ``data`` too, a list: without this, saving reports an error.
    """
    script, asked = HTML / "_static" / "scripts" / "pydata-sphinx-theme.js", "void 0!==e.addedNodes[0].data&&"
    text = script.read_text()
    if text.count(asked) != 1:
        sys.exit(f"{script.name}: expected {asked} once, got it {text.count(asked)} times: has the theme mended it?")
    script.write_text(text.replace(asked, '"string"==typeof e.addedNodes[0].data&&'))


def let_front_page_ask_for_no_icon():
    """Jupyter Book's front page only leads on to the first chapter. A browser may still ask for its icon, in vain."""
    page = HTML / "index.html"
    page.write_text('<link rel="icon" href="data:,">\n' + page.read_text())


def finish_downloads():
    """Let the notebooks that the site offers install the library from where it is. Other sources no page links to."""
    for path in (HTML / "_sources").rglob("*"):
        if path.suffix == ".ipynb":
            path.write_text(sync_repository.sync_notebook(path.read_text(), repository.known()))
        elif path.is_file():
            path.unlink()


@contextlib.contextmanager
def alone():
    """Wait for a build that is under way: each of pytest's processes asks for the site."""
    BUILD.mkdir(exist_ok=True)
    with open(BUILD / "lock", "w") as file:
        if fcntl is not None:
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def main(pages=PAGES):
    unknown = sorted({*pages} - {*PAGES})
    if unknown:
        sys.exit(f"pages: expected some of {', '.join(PAGES)}, got {', '.join(unknown)}")
    with alone():
        build(pages)


def build(pages):
    code, site = fingerprint(CODE), f"{fingerprint(SITE)} {repository.known()}"
    code_stamp, site_stamp = BUILD / "code.sha256", BUILD / "site.sha256"
    if pages == PAGES and read(site_stamp) == site and (HTML / "index.html").exists():
        print("Nothing has changed since the last build.")
    else:
        site_stamp.unlink(missing_ok=True)
        if read(code_stamp) != code:
            shutil.rmtree(CACHE, ignore_errors=True)
        # Pages are always written anew: Sphinx repeats no warning for a page that it kept,
        # so a build that failed would pass when it is run a second time.
        shutil.rmtree(HTML, ignore_errors=True)
        shutil.rmtree(BUILD / ".doctrees", ignore_errors=True)
        generate_assets()
        code_stamp.write_text(code)
        execute_chapters(pages)
        if run_jupyter_book(pages) != 0:
            sys.exit("The book was not built: see the messages above.")
        drop_icon_font()
        mend_theme()
        let_front_page_ask_for_no_icon()
        finish_downloads()
        policy.add(HTML)  # last: it holds the hashes of what is in the pages
        if pages == PAGES:
            site_stamp.write_text(site)
    print(f"The book: {HTML / 'index.html'}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pages", nargs="*", metavar="PAGE", help="one of book/, without its ending; all if none is named")
    main(parser.parse_args().pages or PAGES)
