"""What the library's reference shows: the names on its pages, book/api*.md, and which of them each chapter uses.

A page of the reference is plain MyST around blocks of autodoc's directives; this file reads the names from those.
"""

import ast
import dataclasses
import functools
import importlib
import json
import re
from pathlib import Path

import yaml
from IPython.core.inputtransformer2 import TransformerManager

BOOK = Path(__file__).resolve().parent.parent / "book"
FIRST = "book/api"  # the page that lists all names
DIRECTIVE = re.compile(r"^\.\. (?:(currentmodule)|autofunction|autoclass|py:data):: (\S+)((?:\n {3,}\w+$)*)", re.MULTILINE)


@dataclasses.dataclass(frozen=True)
class Entry:
    """A documented name, as users write it: sobolev_lib.fit; the page that has it, without suffix."""

    name: str
    page: str

    @property
    def short(self):
        return self.name.removeprefix("sobolev_lib.")


def names_of(source):
    """Return the full names that a page's directives document.

    >>> names_of(".. currentmodule:: lib.a\\n\\n.. autoclass:: B\\n   :members:\\n\\n.. py:data:: C\\n             D")
    ['lib.a.B', 'lib.a.C', 'lib.a.D']
    """
    module, names = "", []
    for current, name, more in DIRECTIVE.findall(source):
        if current:
            module = name
        else:
            names += [f"{module}.{each}" for each in (name, *more.split())]
    return names


@functools.cache
def entries(book=BOOK):
    """Return the entries of all pages, in the order of the book, by full name."""
    pages = [page for page in yaml.safe_load((book / "chapters.yml").read_text()) if page.startswith(f"{FIRST}_")]
    found = [Entry(name, page) for page in pages for name in names_of((book.parent / f"{page}.md").read_text())]
    if len({entry.name for entry in found}) < len(found):
        raise ValueError("book/api*.md: expected each name once, got some twice")
    return {entry.name: entry for entry in found}


def resolved(name):
    """Return the object of this full name, None if there is none.

    >>> resolved("json.dumps").__name__, resolved("json.no")
    ('dumps', None)
    """
    first, *rest = name.split(".")
    found, path = importlib.import_module(first), first
    for part in rest:
        path = f"{path}.{part}"
        if not hasattr(found, part):  # a submodule that nothing has imported yet
            try:
                importlib.import_module(path)
            except ModuleNotFoundError:
                return None
        found = getattr(found, part, None)
    return found


@functools.cache
def _by_identity():
    return {id(resolved(name)): entry for name, entry in entries().items()}


@functools.cache
def entry_of(name):
    """Return the entry of what a dotted name stands for, under whatever name it was imported; None if it has none.

    >>> entry_of("sobolev_lib.training.fitting.fit").name, entry_of("sobolev_lib.files.hold")
    ('sobolev_lib.fit', None)
    """
    if not name.startswith("sobolev_lib."):
        return None
    found = resolved(name)
    return entries().get(name) or (None if found is None else _by_identity().get(id(found)))


def imported(trees):
    """Return what the imports of some code bind to the library: a name in the code to the full name.

    >>> imported([ast.parse("import sobolev_lib as sl; from sobolev_lib.theory import identify; import json")])
    {'sl': 'sobolev_lib', 'identify': 'sobolev_lib.theory.identify'}
    """
    bound = {}
    for node in (node for tree in trees for node in ast.walk(tree)):
        if isinstance(node, ast.Import):
            bound |= {each.asname or each.name: each.name for each in node.names if each.name == "sobolev_lib"}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "sobolev_lib":
            bound |= {each.asname or each.name: f"{node.module}.{each.name}" for each in node.names}
    return bound


def named(written, bound):
    """Return the entry that a dotted name in code leads to, and how many of its parts name it; (None, 0) if to none.

    >>> entry, parts = named("sl.functions.booth.sample", {"sl": "sobolev_lib"})
    >>> entry.name, parts
    ('sobolev_lib.functions.booth', 3)
    """
    first, *rest = written.split(".")
    for count in range(len(rest), -1, -1):
        entry = entry_of(".".join([bound[first], *rest[:count]])) if first in bound else None
        if entry:
            return entry, count + 1
    return None, 0


def parsed_cells(path):
    """Return the syntax trees of a notebook's code cells, commands of IPython as calls."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    sources = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    return [ast.parse(TransformerManager().transform_cell(source)) for source in sources]


@functools.cache
def used_in(page):
    """Return what a notebook's code imports from the library, as ``imported`` does, and the entries that it uses, in order.

    A page without code uses none.
    """
    path = BOOK.parent / f"{page}.ipynb"
    if not path.exists():
        return {}, ()
    trees = parsed_cells(path)
    bound, used = imported(trees), {}
    for node in (node for tree in trees for node in ast.walk(tree)):
        if isinstance(node, (ast.Name, ast.Attribute)):
            entry, _ = named(ast.unparse(node), bound)
            if entry:
                used[entry] = min(used.get(entry, (9e9, 0)), (node.lineno, node.col_offset))
    return bound, tuple(used)
