"""What the site puts around a page: the contents, the lines at its title, the links to the pages before and after it.

A Sphinx extension. Its templates lie in book/templates; page_body.py edits what stands between.
"""

import dataclasses
from pathlib import Path

import api_docstrings
import api_links
import page_body
import references
import repository
import sync_repository
import yaml
from markupsafe import Markup

ROOT = Path(__file__).resolve().parent.parent
SENTENCES = ROOT / "book" / "chapters.yml"
UNNUMBERED = "Reference"  # the part whose pages are no chapters
# Drawn here, as strokes on 24 x 24: the theme's own icons come with 1.5 MB of script.
ICONS = {
    "menu": "M4 6h16M4 12h16M4 18h16",
    "search": "M11 18a7 7 0 1 0 0-14 7 7 0 0 0 0 14zM16 16l5 5",
    "code": "M8 6l-6 6 6 6M16 6l6 6-6 6",
    "sun": "M12 16a4 4 0 1 0 0-8 4 4 0 0 0 0 8zM12 2v3M12 19v3M2 12h3M19 12h3M5 5l2 2M17 17l2 2M19 5l-2 2M7 17l-2 2",
    "moon": "M20 14.5A8.5 8.5 0 0 1 9.5 4 8.5 8.5 0 1 0 20 14.5z",
    "half": "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18zM12 3v18M15 5v14M18 7v10",
}


@dataclasses.dataclass(frozen=True)
class Page:
    """A page of the book. ``number`` is None for what is no chapter: the cover and the reference pages.

    ``above`` is the page below which the contents list it, and only while one of these is read.
    """

    page: str
    title: str
    part: str
    number: int | None
    sentence: str
    above: str | None = None


@dataclasses.dataclass(frozen=True)
class Part:
    caption: str
    chapters: list


def icon(name):
    """Return an icon as SVG in the colour of the text."""
    return Markup(f'<svg class="sl-icon" viewBox="0 0 24 24" aria-hidden="true"><path d="{ICONS[name]}"/></svg>')


def book_parts(toc, sentences, titles):
    """Return the book's parts with those pages that have a title: while a page is written, others are not built.

    >>> toc = {"root": "a", "parts": [{"caption": "One", "chapters": [{"file": "b"}, {"file": "c"}]}]}
    >>> parts = book_parts(toc, {"a": "", "b": "", "c": ""}, {"a": "A", "c": "C"})
    >>> [(part.caption, [(page.title, page.number) for page in part.chapters]) for part in parts]
    [('', [('A', None)]), ('One', [('C', 2)])]
    """
    number, parts = 0, []
    for entry in [{"caption": "", "chapters": [{"file": toc["root"]}]}, *toc["parts"]]:
        pages, caption = [], entry["caption"]
        listed = [(each["file"], above) for chapter in entry["chapters"]
                  for each, above in [(chapter, None), *((below, chapter["file"]) for below in chapter.get("sections", ()))]]
        for name, above in listed:
            if name not in sentences:
                raise ValueError(f"expected a sentence for {name} in {SENTENCES.name}, got none")
            numbered = caption not in ("", UNNUMBERED)
            number += numbered
            if name in titles:
                pages.append(Page(name, titles[name], caption, number if numbered else None, sentences[name], above))
        if pages:
            parts.append(Part(caption, pages))
    return parts


def neighbours(pages, name):
    """Return the pages before and after the named one, None where there is none.

    >>> neighbours([Page(name, "", "", None, "") for name in "abc"], "a")[1].page
    'b'
    """
    names = [page.page for page in pages]
    if name not in names:
        return None, None
    index = names.index(name)
    return pages[index - 1] if index else None, pages[index + 1] if index + 1 < len(pages) else None


def colab_address(url, page):
    """Return the link that opens a page's notebook in Colab; None when the repository is not on GitHub.

    >>> colab_address("https://github.com/someone/book", "book/cost")
    'https://colab.research.google.com/github/someone/book/blob/main/book/cost.ipynb'
    """
    if not url or not url.startswith("https://github.com/"):
        return None
    return f"https://colab.research.google.com/github/{url.removeprefix('https://github.com/')}/blob/main/{page}.ipynb"


def fill_address(app, docname, source):
    """Let a page that names the repository name the one whose book is built; Sphinx calls this for each page it reads."""
    if not app.env.doc2path(docname).endswith(".ipynb"):
        source[0] = sync_repository.page_text(f"{docname}.md", source[0], repository.known())


def add_frame(app, pagename, templatename, context, doctree):
    """Give the templates what they show."""
    titles = {name: title.astext() for name, title in app.env.titles.items()}
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text())
    parts = book_parts(toc, yaml.safe_load(SENTENCES.read_text()), titles)
    pages = [page for part in parts for page in part.chapters]
    previous, following = neighbours(pages, pagename)
    here = next((page for page in pages if page.page == pagename), None)
    context.update(icon=icon, parts=parts, here=here, previous_page=previous, next_page=following,
                   repository=repository.known())


def edit_body(app, pagename, templatename, context, doctree):
    """Put the lines at the title, and fold the setup away."""
    here = context["here"]
    if here is None:
        return
    soup = page_body.parsed(context["body"])
    url = context["repository"]
    byline = app.builder.templates.render("run.html", {
        **context,
        "notebook": app.env.doc2path(pagename).endswith(".ipynb"),
        "kind": "chapter" if here.number else "page",
        "minutes": page_body.reading_minutes(soup) if here.number else None,
        "colab": colab_address(url, pagename),
    })
    kicker = f"{here.part} · Chapter {here.number}" if here.number else here.part
    page_body.head(soup, kicker, byline)
    page_body.show_install_cell(soup, app.builder.highlighter.highlight_block(sync_repository.install_cell(url), "ipython3"))
    page_body.join_hidden_code(soup)
    page_body.name_marks(soup)
    page_body.mark_cells(soup)
    api_links.edit(soup, pagename, {page.page: page for part in context["parts"] for page in part.chapters}, url)
    page_body.wrap_tables(soup)
    page_body.hold_punctuation(soup)
    page_body.mark_late(soup)
    context["body"] = str(soup)


def setup(app):
    api_docstrings.setup(app)
    app.connect("source-read", references.fill)
    app.connect("source-read", fill_address)
    app.connect("html-page-context", add_frame, priority=400)  # before the theme asks whether a template shows anything
    app.connect("html-page-context", edit_body, priority=900)  # after its handlers, which set what the templates need
    return {"parallel_read_safe": True, "parallel_write_safe": True}
