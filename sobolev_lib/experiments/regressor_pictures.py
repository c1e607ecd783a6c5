"""A picture of ``regressor_defaults``: every method's errors, a row a case."""
import textwrap

import numpy as np

from sobolev_lib.experiments.intervals import interval
from sobolev_lib.experiments.regressor_defaults import OURS, TOLD, against_best, errors_of

LABELS = {OURS: "SobolevRegressor()", TOLD: "SobolevRegressor(steps=250)", "twin network": "twin network", "JENN": "JENN",
          "GEKPLS": "kriging (GEKPLS)", "MLPRegressor": "MLPRegressor, values alone"}


def drawn(record: dict, what: str = "value"):
    """Geometric means over seeds on a logarithmic axis with 95 % intervals, the best case of ours at the top; a figure.

    An interval is that of the mean logarithm; of one seed there is none. Methods lie one below another within a row, so that
    all intervals can be seen.

    >>> figure = drawn(load_record("regressor-defaults"), "slope")                             # doctest: +SKIP
    """
    import matplotlib.pyplot as plt

    from sobolev_lib.plotting import style

    cases = sorted(record["config"]["cases"], key=lambda case: against_best(record, case, what).mean, reverse=True)
    others = [name for name in record["config"]["methods"] if name not in (OURS, TOLD)]
    looks = {OURS: style.style_of("Sobolev"), **style.styles_of(others)}
    looks["MLPRegressor"] = style.style_of("regular")
    figure, ax = plt.subplots(figsize=(5.2, 1.4 + 0.4 * len(cases)))                          # fits a phone
    for row in range(0, len(cases), 2):
        ax.axhspan(row - 0.5, row + 0.5, color=style.LINE, alpha=0.4, linewidth=0, zorder=0)
    for k, (method, look) in enumerate(looks.items()):
        at = [(row, errors) for row, case in enumerate(cases) if (errors := errors_of(record, case, method, what))]
        if not at:
            continue
        middle, low, high = np.transpose([10 ** np.array(interval(np.log10(errors))) for _, errors in at])
        rows = np.array([row for row, _ in at]) + 0.14 * ((len(looks) - 1) / 2 - k)
        sure = np.isfinite(high)
        ax.hlines(rows[sure], low[sure], high[sure], color=look.colour, linewidth=1, zorder=2)
        ax.plot(middle, rows, linestyle="none", marker=look.marker, color=look.colour, markersize=6 if method == OURS else 4.5,
                markeredgecolor="none", label=LABELS.get(method, method), zorder=4 if method == OURS else 3)
    ax.set(xscale="log", ylim=(-0.5, len(cases) - 0.5),
           xlabel=f"error of {what}s, share of the truth's size\n(1: as good as {'a constant' if what == 'value' else 'no slopes'})")
    ax.set_yticks(range(len(cases)), [textwrap.fill(case, 22) for case in cases])
    ax.grid(axis="y", visible=False)
    ax.axvline(1, color=style.LINE, linewidth=1.5, zorder=1)
    figure.legend(loc="outside lower center", ncols=2)
    return figure
