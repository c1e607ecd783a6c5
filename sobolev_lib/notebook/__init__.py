"""What chapters need beside the library: tables, folds, verdicts, lines about records, number formats, seeds and answers.

    from sobolev_lib.notebook import number, provenance, seeded, table, verdict

Objects show themselves as HTML that carries its own style, and as Markdown or text where HTML is not shown. They take
the colours of the page around them: the book, JupyterLab or Colab, light or dark.
"""
import torch

from sobolev_lib.formats import number, percent, ratio, spread, with_interval
from sobolev_lib.notebook.answers import as_array
from sobolev_lib.notebook.folds import folded
from sobolev_lib.notebook.tables import table
from sobolev_lib.notebook.verdicts import provenance, verdict

__all__ = ["as_array", "folded", "number", "percent", "provenance", "ratio", "seeded", "spread", "table", "verdict", "with_interval"]


def seeded(seed: int) -> torch.Generator:
    """A generator of random numbers that begins where the seed says.

    >>> torch.equal(torch.rand(3, generator=seeded(0)), torch.rand(3, generator=seeded(0)))
    True
    """
    return torch.Generator().manual_seed(seed)
