"""A picture of ``regressor_defaults``: every method's errors, a row a case."""
import statistics

from sobolev_lib.experiments.regressor_defaults import OURS, against_best, errors_of

LABELS = {OURS: "SobolevRegressor()", "twin network": "twin network", "JENN": "JENN", "GEKPLS": "kriging (GEKPLS)",
          "MLPRegressor": "MLPRegressor, values alone"}


def drawn(record: dict, what: str = "value"):
    """Dots at the geometric means over seeds on a logarithmic axis, the best case of ours at the top; a figure.

    >>> figure = drawn(load_record("regressor-defaults"), "slope")                             # doctest: +SKIP
    """
    import matplotlib.pyplot as plt

    from sobolev_lib.plotting import style

    cases = sorted(record["config"]["cases"], key=lambda case: against_best(record, case, what).mean, reverse=True)
    looks = {OURS: style.style_of("Sobolev"), **style.styles_of([name for name in record["config"]["methods"] if name != OURS])}
    looks["MLPRegressor"] = style.style_of("regular")
    figure, ax = plt.subplots(figsize=(7.5, 0.9 + 0.27 * len(cases)))
    for method, look in looks.items():
        found = [(statistics.geometric_mean(errors), row) for row, case in enumerate(cases)
                 if (errors := errors_of(record, case, method, what))]
        if found:
            ax.plot(*zip(*found), linestyle="none", marker=look.marker, color=look.colour, markersize=7 if method == OURS else 5,
                    markeredgecolor="none", label=LABELS.get(method, method), zorder=3 if method == OURS else 2)
    ax.set(xscale="log", yticks=range(len(cases)), yticklabels=cases,
           xlabel=f"error of {what}s, share of the truth's size (1: as good as {'a constant' if what == 'value' else 'no slopes'})")
    ax.axvline(1, color=style.LINE, linewidth=1.5, zorder=1)
    figure.legend(loc="outside lower center", ncols=3)
    return figure
