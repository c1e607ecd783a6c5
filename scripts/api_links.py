"""Links between the pages of the library, the chapters and the paper, put into the pages' HTML: no notebook holds one.

A page of the library leads to the chapters that use a name, and from "equation 1" to where it is taught. A chapter leads
from names in its code and text to their pages; the heading of an equation or theorem to what computes it.
"""

import functools
import inspect
import re
from pathlib import Path

import api_names
import page_body
import yaml
from bs4 import NavigableString

PLACES = api_names.BOOK / "paper_places.yml"
NEW = page_body.parsed("")  # makes the elements that are put in
# These pages document what the book is made with. Chapters use it everywhere, so no line says it.
FURNITURE = {"book/api_notebook", "book/api_plotting", "book/api_widgets"}
NUMBERED = re.compile(r"\b((?:equation|theorem|proposition|figure|table|section)s? )"
                      r"(\d(?:\.\d)?[ab]?)(?: and (\d(?:\.\d)?[ab]?))?", re.IGNORECASE)


@functools.cache
def places():
    """Return where each numbered thing of the paper is taught: its name to pages, each with a heading after "#" or without."""
    found = yaml.safe_load(PLACES.read_text(encoding="utf-8"))
    return {name: [taught] if isinstance(taught, str) else taught for name, taught in found.items()}


def place_for(name, entry=None):
    """Return where a numbered thing is taught; of several places the first whose chapter uses ``entry``, or else the first.

    >>> place_for("equation 1")
    'the_loss#any-order'
    """
    several = places()[name]
    users = (place for place in several if entry in api_names.used_in(f"book/{place.split('#')[0]}")[1])
    return next(users, several[0]) if len(several) > 1 else several[0]


def place_name(kind, number):
    """Return a numbered thing as ``places`` calls it.

    >>> place_name("Sections ", "4.1")
    'section 4.1'
    """
    return f"{kind.strip().rstrip('s').lower()} {number}"


def cited(text):
    """Return the numbered things that a text names, as keys of ``places``.

    >>> cited("See equations 1 and 2, Theorem 2 and figure 9.")
    ['equation 1', 'equation 2', 'theorem 2']
    """
    return [name for kind, *numbers in NUMBERED.findall(text) for number in numbers
            if number and (name := place_name(kind, number)) in places()]


@functools.cache
def computing():
    """Return, for each place, the entries whose docstrings name it as their source."""
    found = {}
    for name, entry in api_names.entries().items():
        thing = api_names.resolved(name)
        for place in cited(inspect.getdoc(thing) or "") if inspect.isclass(thing) or inspect.isroutine(thing) else ():
            found.setdefault(place_for(place, entry), {})[entry] = None
    return {place: list(those) for place, those in found.items()}


def link(address, content):
    """Return a link around an element or a text."""
    made = NEW.new_tag("a", attrs={"class": "sl-api", "href": address})
    made.append(content)
    return made


def code_link(entry):
    """Return a link to a name's place on its page."""
    code = NEW.new_tag("code")
    code.string = entry.short
    return link(address(entry), code)


def address(entry):
    return f"{entry.page.removeprefix('book/')}.html#{entry.name}"


def line(label, links):
    """Return a quiet line of links behind a label, None without links.

    >>> str(line("In code:", [link("a.html", "a"), link("b.html", "b")]))
    '<p class="sl-library">In code: <a class="sl-api" href="a.html">a</a>, <a class="sl-api" href="b.html">b</a></p>'
    """
    if not links:
        return None
    made = NEW.new_tag("p", attrs={"class": "sl-library"})
    made.append(f"{label} ")
    for k, each in enumerate(links):
        made.extend([", ", each] if k else [each])
    return made


def link_places(element, built):
    """Link what a text names of the paper, unless it is a link or code already, or its page is not ``built``.

    >>> soup = page_body.parsed("<p><b>Source:</b> equation 1 and figure 9.</p>")
    >>> link_places(soup, {"book/the_loss"})
    >>> soup.a["href"], soup.a.get_text()
    ('the_loss.html#any-order', 'equation 1')
    """
    for text in [text for text in element.find_all(string=NUMBERED) if not text.find_parent(["a", "pre", "code", "dt"])]:
        end, parts, entry = 0, [], entry_around(text)
        for found in NUMBERED.finditer(text):
            for k in (2, 3):
                name = place_name(found[1], found[k]) if found[k] else ""
                goal = place_for(name, entry) if name in places() else ""
                if goal and f"book/{goal.split('#')[0]}" in built:
                    start = found.start(1) if k == 2 else found.start(k)
                    page, _, heading = goal.partition("#")
                    parts += [text[end:start], link(f"{page}.html#{heading}".rstrip("#"), text[start:found.end(k)])]
                    end = found.end(k)
        text.replace_with(*[NavigableString(part) if isinstance(part, str) else part for part in (*parts, text[end:])])


def entry_around(text):
    """Return the entry whose description a text is part of, None elsewhere."""
    around = (api_names.entries().get(described.dt.get("id")) for described in text.find_parents("dl", class_="py"))
    return next(filter(None, around), None)


def flatten_signatures(soup):
    """Let each argument of a long signature stand on a line of its own without a list of terms in it, which none defines.

    >>> soup = page_body.parsed("<dt class='sig'>f(<dl><dd>a,</dd><dd>b,</dd></dl>)</dt>")
    >>> flatten_signatures(soup)
    >>> str(soup)
    '<dt class="sig">f(<span class="sl-arguments"><span>a,</span><span>b,</span></span>)</dt>'
    """
    for arguments in soup.select("dt.sig dl"):
        for argument in arguments.find_all("dd"):
            argument.name = "span"
        arguments.name, arguments["class"] = "span", "sl-arguments"


def code_address(entry, repository):
    """Return where a class or function stands in the repository, None for anything else.

    >>> code_address(api_names.Entry("sobolev_lib.fit", ""), "https://github.com/a/b").split("#L")[0]
    'https://github.com/a/b/blob/main/sobolev_lib/training/fitting.py'
    """
    found = api_names.resolved(entry.name)
    if not (inspect.isclass(found) or inspect.isroutine(found)):
        return None
    found = inspect.unwrap(found)                          # a decorator stands elsewhere
    path = Path(inspect.getsourcefile(found)).relative_to(api_names.BOOK.parent).as_posix()
    return f"{repository}/blob/main/{path}#L{inspect.getsourcelines(found)[1]}"


def edit_reference(soup, pages, repository):
    """Put the links to chapters and to the source code into a page of the library. ``pages``: those that are built."""
    flatten_signatures(soup)
    link_places(soup, pages)
    link_code(soup, {"sobolev_lib": "sobolev_lib", "sl": "sobolev_lib"}, pages)
    for place in [place for entry in soup.find_all("dl", class_="py") for place in entry.find_all("dd", recursive=False)]:
        here = [api_names.entries().get(named.get("id")) for named in place.find_previous_siblings("dt")]
        users = [page for name, page in pages.items() if page.number and {*here} & {*api_names.used_in(name)[1]}]
        if users:
            few = len(users) < 7
            links = [link(f"{page.page.removeprefix('book/')}.html", page.title) for page in (users if few else users[:1])]
            place.append(line("Used in" if few else f"Used in {len(users)} chapters, first in", links))
        source = repository and here[0] and code_address(here[0], repository)
        if source:
            place.append(line("The code:", [link(source, source.split("/main/")[1].split("#")[0])]))


def edit_chapter(soup, name, pages):
    """Put the links to the library into a chapter."""
    bound, used = api_names.used_in(name)
    used = [entry for entry in used if entry.page in pages]
    if not used:
        return
    link_code(soup, bound, pages)
    link_text(soup, bound, used)
    for place, those in computing().items():
        page, _, heading = place.partition("#")
        section = soup.find("section", id=heading) if heading and f"book/{page}" == name else None
        if section:
            links = [code_link(entry) for entry in those if entry.page in pages]
            section.find(["h2", "h3"]).insert_after(*filter(None, [line("In code:", links)]))
    shown = [entry for entry in used if entry.page not in FURNITURE]
    end = line("From the library, in this chapter:", [code_link(entry) for entry in shown])
    if end and pages[name].number:
        soup.find("section").append(end)


def link_code(soup, bound, pages):
    """Link the names in highlighted code: the last part of ``sl.fit``, and what was imported by itself.

    >>> code = '<span class="n">sl</span><span class="o">.</span><span class="n">fit</span>'
    >>> soup = page_body.parsed(f'<div class="highlight">{code}</div>')
    >>> link_code(soup, {"sl": "sobolev_lib"}, {"book/api_training"})
    >>> soup.a["href"], soup.a.get_text()
    ('api_training.html#sobolev_lib.fit', 'fit')
    """
    for first in [name for block in soup.find_all(class_="highlight") for name in block.find_all("span", class_="n")]:
        if first.get_text() not in bound or _text(first.previous_sibling) == ".":
            continue
        names = [first]
        while _text(names[-1].next_sibling) == "." and _is_name(names[-1].next_sibling.next_sibling):
            names.append(names[-1].next_sibling.next_sibling)
        entry, count = api_names.named(".".join(name.get_text() for name in names), bound)
        if entry and entry.page in pages and _text(first.next_sibling) != "=":
            last = names[count - 1]
            last.wrap(NEW.new_tag("a", attrs={"class": "sl-api", "href": address(entry)}))


def _text(node):
    return node.get_text() if node is not None else ""


def _is_name(node):
    return getattr(node, "name", None) == "span" and "n" in node.get("class", [])


def link_text(soup, bound, used):
    """Link names that the text quotes: in full (``sl.fit``), or by their last part where the chapter's code uses them."""
    short = {entry.name.split(".")[-1]: entry for entry in used}
    for code in soup.find_all("code"):
        written = re.match(r"[\w.]+(?=$|\()", code.get_text())
        if not written or code.find_parent(["a", "pre"]) or not code.find_parent(["p", "li", "td"]):
            continue
        entry, count = api_names.named(written[0], bound)
        if not entry or count <= written[0].count("."):
            entry = short.get(written[0])
        if entry:
            code.wrap(NEW.new_tag("a", attrs={"class": "sl-api", "href": address(entry)}))


def edit(soup, name, pages, repository):
    """Put the links into a page's HTML. ``pages``: what is built, by name, each with its ``page``, ``title`` and ``number``;
    ``repository``: its address, None where it is not known."""
    if name.startswith(api_names.FIRST):
        edit_reference(soup, pages, repository)
    else:
        edit_chapter(soup, name, pages)
