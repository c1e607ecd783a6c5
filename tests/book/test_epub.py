"""The book for e-readers: what a broken one is told, and one of two pages, built from the site."""

import re
import zipfile
from concurrent.futures import ThreadPoolExecutor
from xml.etree import ElementTree

import build_epub
import epub_check
import epub_package
import pytest
import repository
from bs4 import BeautifulSoup

XHTML, MATH = "{http://www.w3.org/1999/xhtml}", "{http://www.w3.org/1998/Math/MathML}"
SITE = "https://someone.github.io/their-book/latest/"


def written(path, text, files=(), headings=()):
    """A book whose only chapter is this text."""
    page = epub_package.PAGE.format(title="A", up="../", body=text)
    epub_package.write(path, {"text/welcome.xhtml": page, "images/cover.png": b"", **dict(files)},
                       {"book/welcome": "A"}, {"welcome": list(headings)}, None)
    return path


def test_a_good_book_has_no_faults(tmp_path):
    text = '<h1 id="a">A</h1><a href="#a">up</a><a href="https://example.org/">out</a><img src="../images/b.svg" alt="B"/>'
    book = written(tmp_path / "a.epub", text, {"images/b.svg": '<svg xmlns="http://www.w3.org/2000/svg"/>'})
    assert epub_check.faults(book) == []
    assert [path.name for path in tmp_path.iterdir()] == ["a.epub"]


@pytest.mark.parametrize("text, told", [
    ("<p>A", "mismatched tag"),
    ("<script>1</script>", "<script>"),
    ("<video src='../images/cover.png'/>", "<video>"),
    ("<p onclick='a()'>A</p>", "a handler in onclick"),
    ("<img src='../images/cover.png' alt=' '/>", "has no description"),
    ("<img src='https://example.org/a.png' alt='A'/>", "https://example.org/a.png is not in the book"),
    ("<img src='../images/none.png' alt='A'/>", "../images/none.png is not in the book"),
    ("<a href='cost.xhtml'>A</a>", "cost.xhtml is not in the book"),
    ("<a href='edition.xhtml#none'>A</a>", "edition.xhtml#none leads nowhere"),
    ("<a href='#none'>A</a>", "#none leads nowhere"),
    ("<p id='a'/><p id='a'/>", "the id a stands twice"),
    ("<img src='../images/cover.png' srcset='../images/cover.png 1x, https://example.org/a.png 2x' alt='A'/>",
     "https://example.org/a.png is not in the book"),
    ("<picture><source srcset='none.png'/></picture>", "none.png is not in the book"),
    ("<style>@import 'https://example.org/a.css';</style>", "https://example.org/a.css of its style is not in the book"),
    ("<style>@import url(none.css) print;</style>", "none.css of its style is not in the book"),
    ("<style>p { background: url( \"https://example.org/b.png\" ) }</style>", "https://example.org/b.png of its style"),
    ("<style>p { fill: url(#none) }</style>", "#none of its style is not in the book"),
    ("<p id='a' style='fill:url(&quot;#a&quot;)'>A</p>", 'url("#a") is not in the file'),
])
def test_what_is_wrong_in_a_chapter_is_told(tmp_path, text, told):
    found = epub_check.faults(written(tmp_path / "a.epub", text))
    assert len(found) >= 1 and any(line.startswith("EPUB/text/welcome.xhtml: ") and told in line for line in found), found


def repacked(path, change):
    """The same archive, its entries given to ``change`` as a dict; the first entry stays what it is, and first."""
    with zipfile.ZipFile(path) as packed:
        entries = {name: packed.read(name) for name in packed.namelist()}
    change(entries)
    with zipfile.ZipFile(path, "w") as packed:
        for name, content in entries.items():
            packed.writestr(name, content)
    return path


def rename(entries, old, new):
    entries[new] = entries.pop(old)


def unlist(entries, line):
    package = entries["EPUB/package.opf"]
    assert line in package
    entries["EPUB/package.opf"] = package.replace(line, b"")


def test_styles_may_use_what_is_in_the_book(tmp_path):
    text = ("<style>/* @import 'https://example.org/a.css'; */ @import '../epub.css'; p { fill: url(#a); "
            "background: url(data:image/png;base64,AA==), url('../images/cover.png') }</style><p id='a'>A</p>"
            "<img src='../images/cover.png' srcset='../images/cover.png 2x' alt='A'/>")
    assert epub_check.faults(written(tmp_path / "a.epub", text)) == []


@pytest.mark.parametrize("change, told", [
    (lambda entries: entries.update({"EPUB/epub.css": b"@import 'none.css';"}), "EPUB/epub.css: none.css of its style"),
    (lambda entries: entries.update({"EPUB/epub.css": b"p { src: url(a.woff2) }"}), "EPUB/epub.css: a.woff2 of its style"),
    (lambda entries: rename(entries, "mimetype", "mimetype"), "mimetype: expected first"),
    (lambda entries: entries.update({"EPUB/more.css": b""}), "EPUB/more.css: not listed"),
    (lambda entries: entries.pop("EPUB/epub.css"), "lists EPUB/epub.css, which is not there"),
    (lambda entries: rename(entries, "EPUB/package.opf", "EPUB/other.opf"), "expected the name of a package file"),
    (lambda entries: unlist(entries, b'<itemref idref="text-welcome.xhtml"/>'), "not in the order of reading"),
    (lambda entries: unlist(entries, b' properties="nav"'), "expected one navigation document, got 0"),
])
def test_what_is_wrong_with_the_archive_is_told(tmp_path, change, told):
    found = epub_check.faults(repacked(written(tmp_path / "a.epub", "<p>A</p>"), change))
    assert any(told in line for line in found), found


@pytest.fixture(scope="module")
def book(site, tmp_path_factory):
    """A book of two pages of a repository with an address, open."""
    folder = tmp_path_factory.mktemp("epub")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(repository, "known", lambda root=None: "https://github.com/Someone/their-book")
        patch.setattr(build_epub, "SETTLE", 300)
        with ThreadPoolExecutor(1) as pool:     # which has a Playwright of its own; the other tests' runs in this thread
            pool.submit(build_epub.main, folder, ["how_many_points", "about"]).result()
    path, = folder.iterdir()
    with zipfile.ZipFile(path) as packed:
        yield packed


@pytest.fixture
def read(book):
    return ElementTree.fromstring(book.read("EPUB/text/how_many_points.xhtml"))


@pytest.mark.slow
def test_formulas_are_mathml_with_their_source(site, read):
    page = BeautifulSoup((site / "book" / "how_many_points.html").read_text(), "html.parser")
    formulas = list(read.iter(f"{MATH}math"))
    assert len(formulas) == len(page.select("article .math")) > 50
    assert all(formula.get("alttext") and len(formula) for formula in formulas)
    assert not list(read.iter(f"{MATH}merror")) and "\\(" not in "".join(read.itertext())


@pytest.mark.slow
def test_live_figures_are_pictures_that_lead_to_the_site(book, read):
    lines = [line for line in read.iter(f"{XHTML}p") if line.get("class") == "alive"]
    addresses = [line.find(f"{XHTML}a").get("href") for line in lines]
    assert len(addresses) == 2 and all(address.startswith(f"{SITE}book/how_many_points.html#") for address in addresses)
    images = [image.get("src") for image in read.iter(f"{XHTML}img")]
    assert [name.endswith(".png") for name in images] == [True, True, False, False]
    for name in images[:2]:
        picture = book.read(f"EPUB/{name.removeprefix('../')}")
        assert picture.startswith(b"\x89PNG") and 10_000 < len(picture) < 300_000


@pytest.mark.slow
def test_drawings_bring_their_colours(book):
    drawings = [book.read(name).decode() for name in book.namelist() if name.endswith(".svg")]
    assert len(drawings) == 2
    for drawing in drawings:
        assert "var(" not in drawing and "style=" not in drawing and re.search(r'stroke="rgb\(\d', drawing)


@pytest.mark.slow
def test_questions_have_their_answers_below(read):
    questions = [part for part in read.iter(f"{XHTML}div") if part.get("class") == "question"]
    assert len(questions) == 2
    assert all("".join(part.find(f"{XHTML}details").itertext()).startswith("Answer") for part in questions)


@pytest.mark.slow
def test_links_stay_in_the_book_or_lead_to_the_site(read):
    links = {link.get("href") for link in read.iter(f"{XHTML}a")}
    assert f"{SITE}book/approximation.html" in {link.split("#")[0] for link in links}
    assert not [link for link in links if not link.startswith(("https://", "#", "about.xhtml"))]


@pytest.mark.slow
def test_contents_name_parts_chapters_and_headings(book):
    contents = BeautifulSoup(book.read("EPUB/contents.xhtml"), "html.parser")
    assert [part.get_text() for part in contents.select("li > span")] == ["Why it works", "Reference"]
    assert contents.select_one('a[href="text/how_many_points.xhtml"]').get_text() == "5 How many points are enough?"
    assert contents.select('a[href^="text/how_many_points.xhtml#"]') and not contents.select('a[href^="text/about.xhtml#"]')


def test_an_unknown_page_and_a_missing_site_are_errors(tmp_path, monkeypatch):
    with pytest.raises(SystemExit, match="pages: expected some of .*, got nothing"):
        build_epub.main(tmp_path, ["nothing"])
    monkeypatch.setattr(build_epub.build_book, "HTML", tmp_path)
    with pytest.raises(SystemExit, match="expected a built site with about: run make book"):
        build_epub.main(tmp_path, ["about"])
