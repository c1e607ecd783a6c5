"""Curves and bars: errors while training, and errors after it for many functions, sizes and seeds."""
from typing import TYPE_CHECKING, Mapping, Sequence

import numpy as np

from sobolev_lib.plotting.regressors import histories_of
from sobolev_lib.plotting.style import INK, PAPER, context, finish, need, number, styles_of
from sobolev_lib.plotting.surfaces_matplotlib import new_figure, shown_once

if TYPE_CHECKING:
    from sobolev_lib.regressor import SobolevRegressor


def learning_curves(histories: "Mapping[str, object] | SobolevRegressor", metric: str | None = None, *, ax=None):
    """Draw how an error falls while training, on a logarithmic scale, for several runs, or for a fitted regressor.

    >>> history = {"steps": [0, 10, 20], "train": {"loss": [1, 0.1, 0.02]}, "validation": {}}
    >>> figure = learning_curves({"Sobolev": history})

    ``histories`` maps labels to ``History`` objects, or dicts with the same keys: ``steps`` (a list), ``train`` and
    ``validation`` (dicts of name to list); or it is a fitted ``SobolevRegressor``. ``metric`` is one of
    those names, the first common one by default. Training is a thin line, validation a thick one; NaN leaves a gap. Returns the figure, or ``ax`` if one was given.
    Raises ``ValueError`` for an unknown metric or lists of unequal length.
    """
    if hasattr(histories, "histories_"):
        histories = histories_of(histories)
    if not isinstance(histories, Mapping) or not histories:
        raise ValueError(f"histories: expected a dict of label to history, one at least, got {histories!r}")
    runs = {label: _run(label, history) for label, history in histories.items()}
    metric = _metric(runs, metric)
    styles = styles_of(runs)
    with context():
        axes = ax if ax is not None else new_figure((5.2, 3.3)).add_subplot()
        _draw_runs(axes, runs, metric, styles)
        axes.set(yscale="log", xlabel="step", ylabel=metric)
        axes.legend()
        finish(axes.figure)
    return ax if ax is not None else shown_once(axes.figure)


def _draw_runs(axes, runs: dict, metric: str, styles: dict) -> None:
    for label, (steps, parts) in runs.items():
        style = styles[label]
        for part, width, alpha in (("train", 1.0, 0.6), ("validation", 2.2, 1.0)):
            if metric not in parts[part]:
                continue
            values = np.asarray(parts[part][metric], dtype=float)
            if values.shape != steps.shape:
                raise ValueError(f"histories[{label!r}]: expected {len(steps)} values of {part} {metric!r}, "
                                 f"one a step, got {len(values)}")
            axes.plot(steps, np.where(values > 0, values, np.nan), label=f"{label}, {part}",
                      **style.line(marker=True, alpha=alpha, linewidth=width, markevery=0.12, markersize=4.5))


def error_bars(results: Mapping[str, Mapping[int, Mapping[str, Sequence[float]]]], *, ylabel: str = "test MSE"):
    """Draw errors on a logarithmic scale: bars at the median, a line over the seeds' range, a dot for each seed.

    >>> figure = error_bars({"Booth": {20: {"regular": [0.9, 1.4, 1.1], "sobolev": [0.2, 0.1, 0.3]}}})

    ``results[function][points][method]`` holds one positive error for each seed. One panel a function, one group of
    bars for each number of points. All panels share the axis of errors. Returns the figure. Raises
    ``ValueError`` for errors that are not positive and finite. Source: figure 2, right.
    """
    if not isinstance(results, Mapping) or not results:
        raise ValueError(f"results: expected a dict of function to results, one at least, got {results!r}")
    logs = {(function, n, method): _logs(function, n, method, errors) for function, by_n in results.items()
            for n, by_method in by_n.items() for method, errors in by_method.items()}
    if not logs:
        raise ValueError("results: expected errors, got none")
    methods = list(dict.fromkeys(method for _, _, method in logs))
    with context():
        return shown_once(_draw_bars(results, logs, methods, ylabel))


def _draw_bars(results: Mapping, logs: dict, methods: list, ylabel: str):
    styles = styles_of(methods)
    every = np.concatenate(list(logs.values()))
    low, high = np.floor(every.min() - 0.1), np.ceil(every.max())   # bars stand on a power of ten below all errors
    columns = min(4, len(results))
    rows = -(-len(results) // columns)
    figure = new_figure((0.6 + 2.3 * max(columns, 2), 0.5 + 2.2 * max(rows, 1.2)))
    shared = None
    for i, (function, by_n) in enumerate(results.items()):
        axes = shared = figure.add_subplot(rows, columns, i + 1, sharey=shared)
        for group, n in enumerate(by_n):
            for k, method in enumerate(methods):
                if (function, n, method) in logs:
                    _bar(axes, group + (k - (len(methods) - 1) / 2) * 0.8 / len(methods), 0.72 / len(methods),
                         logs[function, n, method], low, styles[method], method if group == 0 else None)
        axes.set(title=function, ylim=(low, high), xticks=range(len(by_n)),
                 xticklabels=[f"{n:,}" if isinstance(n, int) else str(n) for n in by_n])
        axes.yaxis.set_major_locator(need("matplotlib.ticker").MaxNLocator(6, integer=True))
        axes.yaxis.set_major_formatter(lambda power, _: number(10.0 ** power))
        axes.grid(axis="x", visible=False)
        if i % columns == 0:
            axes.set_ylabel(ylabel)
        else:
            axes.tick_params(labelleft=False)
        if i // columns == rows - 1 or i + columns >= len(results):
            axes.set_xlabel("training points")
    handles, names = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside upper center", ncols=len(names))
    return figure


def _bar(axes, at: float, width: float, logs: np.ndarray, low: float, style, label: str | None) -> None:
    median = float(np.median(logs))
    axes.bar(at, median - low, width, bottom=low, facecolor=style.colour + "40", edgecolor=style.colour,
             hatch=style.hatch, label=label)
    axes.plot([at, at], [logs.min(), logs.max()], color=INK, linewidth=1.4)
    spread = np.linspace(-0.25, 0.25, len(logs)) * width if len(logs) > 1 else np.zeros(1)
    axes.scatter(at + spread, logs, s=14, marker=style.marker, color=INK, edgecolors=PAPER, linewidths=0.4, zorder=3)


def _logs(function, n, method, errors) -> np.ndarray:
    array = np.asarray(errors, dtype=float)
    if array.ndim != 1 or not len(array) or not np.isfinite(array).all() or (array <= 0).any():
        raise ValueError(f"results[{function!r}][{n!r}][{method!r}]: expected a list of positive finite errors, "
                         f"one a seed, got {errors!r}")
    return np.log10(array)


def _run(label: str, history) -> tuple[np.ndarray, dict]:
    get = history.get if isinstance(history, Mapping) else lambda key, default: getattr(history, key, default)
    steps = get("steps", None)
    if steps is None:
        raise TypeError(f"histories[{label!r}]: expected a History or a dict with 'steps', "
                        f"got {type(history).__name__}")
    return np.asarray(steps, dtype=float), {part: get(part, None) or {} for part in ("train", "validation")}


def _metric(runs: dict, metric: str | None) -> str:
    names = [list(dict.fromkeys([*parts["train"], *parts["validation"]])) for _, parts in runs.values()]
    common = [name for name in names[0] if all(name in other for other in names)]
    if metric is None and common:
        return common[0]
    if metric is None or metric not in common:
        raise ValueError(f"metric: expected a name that all histories hold, one of {common}, got {metric!r}")
    return metric
