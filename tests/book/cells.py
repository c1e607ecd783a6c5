"""Cells of the chapters, for tests that run them."""

import nbformat
from pages import ROOT


def cell(page, name):
    """Return the source of the cell with this id on a page."""
    notebook = nbformat.read(ROOT / "book" / f"{page}.ipynb", as_version=4)
    return next(cell.source for cell in notebook.cells if cell.id == name)
