"""The list of references: every entry of book/references.bib with its link, and the chapters that cite it.

    python scripts/references.py             print the list as Markdown, as the page of references shows it
    python scripts/references.py --uncited   name the entries that no page links to

A page cites a paper by a link to its DOI, to arXiv, or to the page where its publisher keeps it.
"""

import json
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIBLIOGRAPHY = ROOT / "book" / "references.bib"
MARK = "<!-- the list of references -->"
# Links to papers; all others are links to pages and programs.
PAPERS = r"https?://(?:(?:dx\.)?doi\.org|(?:www\.)?arxiv\.org|(?:www\.)?jmlr\.org/papers|proceedings\.\w+\.\w+|icml\.cc|openaccess\.\w+\.ac\.uk)/"


def links(entry):
    """Return the entry's links, the one to show first.

    >>> links({"doi": "10.1/a", "eprint": "1706.04859"})
    ['https://doi.org/10.1/a', 'https://arxiv.org/abs/1706.04859']
    """
    made = {"doi": "https://doi.org/{}", "eprint": "https://arxiv.org/abs/{}", "url": "{}"}
    return [form.format(entry[field]) for field, form in made.items() if entry.get(field)]


def same(url):
    """Return a link in the form in which two links to one paper are equal.

    >>> same("http://arxiv.org/pdf/1706.04859v3.pdf") == same("https://arxiv.org/abs/1706.04859")
    True
    """
    url = re.sub(r"^https?://(?:www\.|dx\.)?", "", url).lower().rstrip("/").replace("%28", "(").replace("%29", ")")
    return re.sub(r"^(arxiv\.org)/(?:abs|pdf|html)/(.*?)(?:v\d+)?(?:\.pdf)?$", r"\1/\2", url)


def paper_links(text):
    """Return the links to papers in a page's Markdown or HTML; brackets within a DOI belong to it.

    >>> paper_links("[H](https://doi.org/10.1016/0893-6080(91)90009-T), [x](https://pytorch.org)")
    ['https://doi.org/10.1016/0893-6080(91)90009-T']
    >>> paper_links("See https://arxiv.org/abs/1706.04859#S2.")
    ['https://arxiv.org/abs/1706.04859']
    """
    found = re.findall(rf"{PAPERS}(?:[^\s()<>\"'\]]|\([^\s()]*\))+", text)
    return [re.split("[?#]", url)[0].rstrip(".,;*|") for url in found]


def page_text(path):
    """Return the text of a page; of a notebook, that of its Markdown cells and of the strings in its code."""
    if path.suffix != ".ipynb":
        return path.read_text()
    return "\n\n".join("".join(cell["source"]) for cell in json.loads(path.read_text())["cells"])


def title(path):
    """Return the heading of a page."""
    return re.search(r"^# (.+)$", page_text(path), re.MULTILINE)[1]


def pages(root=ROOT):
    """Return the pages that may cite: every chapter, in the order of the table of contents."""
    import yaml

    def below(part):
        here = [part[key] for key in ("root", "file") if key in part]
        entries = [entry for key in ("parts", "chapters", "sections") for entry in part.get(key, ())]
        return here + [name for entry in entries for name in below(entry)]

    names = [name for name in below(yaml.safe_load((root / "_toc.yml").read_text())) if not name.endswith("/references")]
    return [path for name in names for path in (root / f"{name}.ipynb", root / f"{name}.md") if path.exists()]


def entries(path=BIBLIOGRAPHY):
    """Return the entries, by first author and year: fields as plain text, and `authors`.

    Raises ValueError for an entry without an author, a title, a year or a link.
    """
    from pybtex.database import parse_file
    from pybtex.richtext import Text

    def plain(text):
        return str(Text.from_latex(text)).replace("\N{EN DASH}\N{EN DASH}", "\N{EN DASH}")

    found = []
    for key, entry in parse_file(str(path)).entries.items():
        has = {"author": entry.persons.get("author"), "title": entry.fields.get("title"), "year": entry.fields.get("year"),
               "doi, eprint or url": links(entry.fields)}
        for part, value in has.items():
            if not value:
                raise ValueError(f"{path.name}: {key}: expected {part}, got none")
        people = [" ".join([*(f"{name[0]}." for name in [*person.first_names, *person.middle_names]),
                            *person.prelast_names, *person.last_names]) for person in entry.persons["author"]]
        fields = {name: value if name in ("doi", "eprint", "url") else plain(value) for name, value in entry.fields.items()}
        last = plain(" ".join(entry.persons["author"][0].last_names))
        found.append({**fields, "key": key, "sorted": (last.lower(), fields["year"]),
                      "authors": [plain(name) for name in people]})
    return sorted(found, key=lambda entry: entry["sorted"])


def cited_by(found, where):
    """Return, for each entry's key, the pages that link to it."""
    known = {path: {same(url) for url in paper_links(page_text(path))} for path in where}
    return {entry["key"]: [path for path in where if known[path] & {same(url) for url in links(entry)}] for entry in found}


def listed(entry, citing):
    """Return an item of the list."""
    people = entry["authors"]
    few = len(people) < 5 and people[-1] != "others"
    names = ", ".join(people) if few else f"{people[0]} et al."
    where = entry.get("journal") or entry.get("booktitle") or entry.get("publisher", "")
    where = "" if where.lower().startswith("arxiv") else f"*{where}*, "
    shown, *others = links(entry)
    also = "".join(f" ([arXiv]({url}))" for url in others if "arxiv.org" in url)
    cited = ", ".join(f"[{title(path)}]({path.name})" for path in citing)
    names = names.rstrip(".")
    text = f"- {names}. [{entry['title']}]({shown.replace('(', '%28').replace(')', '%29')}). {where}{entry['year']}.{also}"
    return text + (f" Cited in {cited}." if cited else "")


def markdown():
    """Return the whole list."""
    found = entries()
    citing = cited_by(found, pages())
    return "\n".join(listed(entry, citing[entry["key"]]) for entry in found)


def fill(app, docname, source):
    """Put the list where the page of references marks its place; Sphinx calls this for each page that it reads."""
    if MARK in source[0]:
        source[0] = source[0].replace(MARK, markdown())


if __name__ == "__main__":
    if "--uncited" in sys.argv:
        every = entries()
        print("\n".join(key for key, where in cited_by(every, pages()).items() if not where))
    else:
        print(markdown())
