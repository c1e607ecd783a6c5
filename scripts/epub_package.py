"""What makes chapters a book for e-readers: contents, cover, the list of files, one archive."""

import datetime
import html
import uuid
from pathlib import Path

import frame
import offline
import repository
import sync_repository
import yaml

ROOT = Path(__file__).resolve().parent.parent
STYLE = ROOT / "book" / "templates" / "epub.css"
TYPES = {".xhtml": "application/xhtml+xml", ".css": "text/css", ".png": "image/png", ".svg": "image/svg+xml"}
PAGE = """<?xml version="1.0" encoding="utf-8"?>
<!DOCTYPE html>
<html xmlns="http://www.w3.org/1999/xhtml" xmlns:epub="http://www.idpf.org/2007/ops" lang="en" xml:lang="en">
<head><title>{title}</title><link rel="stylesheet" href="{up}epub.css"/></head>
<body>
{body}
</body>
</html>
"""
CONTAINER = """<?xml version="1.0" encoding="utf-8"?>
<container version="1.0" xmlns="urn:oasis:names:tc:opendocument:xmlns:container">
<rootfiles><rootfile full-path="EPUB/package.opf" media-type="application/oebps-package+xml"/></rootfiles>
</container>
"""
PACKAGE = """<?xml version="1.0" encoding="utf-8"?>
<package xmlns="http://www.idpf.org/2007/opf" version="3.0" unique-identifier="id" xml:lang="en">
<metadata xmlns:dc="http://purl.org/dc/elements/1.1/">
<dc:identifier id="id">urn:uuid:{identifier}</dc:identifier>
<dc:title>{title}</dc:title>
<dc:creator>{author}</dc:creator>
<dc:language>en</dc:language>
<dc:rights>Text and figures: CC BY 4.0. Code: MIT.</dc:rights>
<meta property="dcterms:modified">{now}</meta>
<meta property="schema:accessMode">textual</meta>
<meta property="schema:accessMode">visual</meta>
<meta property="schema:accessModeSufficient">textual</meta>
<meta property="schema:accessibilityFeature">alternativeText</meta>
<meta property="schema:accessibilityFeature">MathML</meta>
<meta property="schema:accessibilityFeature">tableOfContents</meta>
<meta property="schema:accessibilityHazard">none</meta>
<meta property="schema:accessibilitySummary">Figures are described, formulas are MathML, nothing moves.</meta>
</metadata>
<manifest>
{manifest}
</manifest>
<spine>
{spine}
</spine>
</package>
"""
COVER = '<section epub:type="cover"><img class="cover" src="../images/cover.png" alt="{title}"/></section>'
EDITION = """<section><h1>{title}</h1>
<p>{author}. Version {version}, {date:%B %Y}.</p>
<p>This is the book for e-readers. On the site its figures are alive: surfaces turn, points can be dragged, networks train in
the page. Here each is a picture, and the line below it says so.{site}</p>
<p>Code that the site folds away is left out; each chapter can be had there as a notebook. The answer to a question is behind
a fold, where the e-reader knows folds, and else below the question.</p>
<p>Text and figures: CC BY 4.0. Code: MIT.</p></section>"""


def entry(page, headings):
    """Return a page's entry in the contents: a chapter with its number and its headings.

    >>> entry(frame.Page("book/a", "A", "", 1, ""), {"a": [{"id": "b", "text": "B < C"}]})
    '<li><a href="text/a.xhtml">1 A</a><ol><li><a href="text/a.xhtml#b">B &lt; C</a></li></ol></li>'
    """
    file = f"text/{page.page.removeprefix('book/')}.xhtml"
    title, below = html.escape(page.title), ""
    if page.number:
        title = f"{page.number} {title}"
        below = "".join(f'<li><a href="{file}#{each["id"]}">{html.escape(each["text"])}</a></li>'
                        for each in headings[page.page.removeprefix("book/")])
    return f'<li><a href="{file}">{title}</a>{below and f"<ol>{below}</ol>"}</li>'


def contents(parts, headings):
    """Return the navigation document."""
    listed = ['<li><a href="text/edition.xhtml">This edition</a></li>']
    for part in parts:
        entries = "\n".join(entry(page, headings) for page in part.chapters)
        listed.append(f"<li><span>{part.caption}</span>\n<ol>{entries}</ol></li>" if part.caption else entries)
    return PAGE.format(title="Contents", up="", body='<nav epub:type="toc" role="doc-toc"><h1>Contents</h1>\n<ol>'
                       + "\n".join(listed) + "</ol></nav>")


def manifest(files):
    """Return a line for each file."""
    lines = []
    for name, content in sorted(files.items()):
        properties = {"contents.xhtml": "nav", "images/cover.png": "cover-image"}.get(name, "")
        if name.endswith(".xhtml"):
            drawn = [word for word, tag in (("mathml", "<math"), ("svg", "<svg")) if tag in content]
            properties = " ".join(filter(None, [properties, *drawn]))
        lines.append(f'<item id="{name.replace("/", "-")}" href="{name}" media-type="{TYPES[Path(name).suffix]}"'
                     + (f' properties="{properties}"' if properties else "") + "/>")
    return "\n".join(lines)


def write(path, files, titles, headings, site):
    """Write the book: chapters and pictures in ``files`` by name, ``titles`` by page, ``headings`` by its short name."""
    toc, sentences = (yaml.safe_load(path.read_text()) for path in (ROOT / "_toc.yml", frame.SENTENCES))
    parts = frame.book_parts(toc, sentences, titles)
    config = yaml.safe_load((ROOT / "_config.yml").read_text())
    told = {"title": html.escape(config["title"]), "author": html.escape(config["author"])}
    today = datetime.datetime.now(datetime.timezone.utc)
    where = f' The site: <a href="{site}">{site}</a>' if site else ""
    files = {
        **files,
        "epub.css": STYLE.read_text(),
        "contents.xhtml": contents(parts, headings),
        "text/cover.xhtml": PAGE.format(title=told["title"], up="../", body=COVER.format(**told)),
        "text/edition.xhtml": PAGE.format(title="This edition", up="../", body=EDITION.format(
            **told, version=sync_repository.version(), date=today, site=where)),
    }
    order = ["cover", "edition", *(page.page.removeprefix("book/") for part in parts for page in part.chapters)]
    package = PACKAGE.format(
        **told, identifier=uuid.uuid5(uuid.NAMESPACE_URL, repository.known() or "sobolev-training"),
        now=f"{today:%Y-%m-%dT%H:%M:%SZ}", manifest=manifest(files),
        spine="\n".join(f'<itemref idref="text-{name}.xhtml"/>' for name in order))
    # the first entry, not compressed, tells what this is
    offline.write_zip(path, [("mimetype", "application/epub+zip"), ("META-INF/container.xml", CONTAINER),
                             ("EPUB/package.opf", package), *((f"EPUB/{name}", files[name]) for name in sorted(files))],
                      stored=["mimetype"])
