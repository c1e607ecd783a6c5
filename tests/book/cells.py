"""Cells of the chapters, for tests that run them."""

import ast

import nbformat
from pages import ROOT


def cell(page, name):
    """Return the source of the cell with this id on a page."""
    notebook = nbformat.read(ROOT / "book" / f"{page}.ipynb", as_version=4)
    return next(cell.source for cell in notebook.cells if cell.id == name)


def defined(page, names, known, constants=()):
    """Return what is known after the page's imports and the functions of these cells, which are not run.

    ``known`` is what there is before; of constants those named are set, too.
    """
    exec(cell(page, f"{page.replace('_', '-')}-setup"), known)
    for name in names:
        kept = [part for part in ast.parse(cell(page, name)).body if isinstance(part, ast.FunctionDef)
                or isinstance(part, ast.Assign) and getattr(part.targets[0], "id", "") in constants]
        exec(compile(ast.Module(kept, []), name, "exec"), known)
    return known
