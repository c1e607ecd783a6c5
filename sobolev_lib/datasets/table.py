"""Table: points with values and derivatives, and where they come from."""
from dataclasses import dataclass, replace

import numpy as np


@dataclass(frozen=True, eq=False)
class Table:
    """Points ``X`` (N, d), values ``y`` (N,) or (N, q), derivatives ``dy`` (N, d) or (N, q, d) in y's units over X's.

    >>> deck = sobolev_lib.datasets.engine_deck()
    >>> few = deck[:100]                                   # any index of rows; what the table says of itself stays
    >>> len(few), few.inputs
    (100, ('Mach number', 'altitude, km', 'throttle'))

    ``inputs`` and ``outputs`` are names with units, ``source`` says who made the numbers and ``licence`` under which terms
    they are here. Raises ``ValueError`` for arrays that don't fit together.
    """

    X: np.ndarray
    y: np.ndarray
    dy: np.ndarray
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    source: str
    licence: str

    def __post_init__(self):
        n, d, q = len(self.X), len(self.inputs), len(self.outputs)
        out = () if self.y.ndim == 1 and q == 1 else (q,)
        for name, shape in (("X", (n, d)), ("y", (n, *out)), ("dy", (n, *out, d))):
            if getattr(self, name).shape != shape:
                raise ValueError(f"{name}: expected shape {shape} for {n} points, {d} inputs and {q} outputs, got "
                                 f"{getattr(self, name).shape}")

    def __len__(self) -> int:
        return len(self.X)

    def __getitem__(self, rows) -> "Table":
        if isinstance(rows, (int, np.integer)):
            raise TypeError(f"rows: expected a slice or an array of rows, got {rows!r}; table[k:k + 1] is one row")
        return replace(self, X=self.X[rows], y=self.y[rows], dy=self.dy[rows])
