"""Pictures of a fitted ``SobolevRegressor``: how well it predicts, and how its prediction depends on each input."""
import numpy as np

from sobolev_lib.plotting.style import LOOKS, PAPER, POINTS, SLOPES, context, need
from sobolev_lib.plotting.surfaces_matplotlib import new_figure, shown_once

MOST, COLUMNS = 12, 4                                      # panels of an output; more would be too small to read


def goodness_of_fit(regressor, X, y, dy=None):
    """Draw predictions against the truth: a panel for values, and one for each partial derivative.

    >>> X = np.random.default_rng(0).uniform(-1, 1, (50, 2)); y, dy = X.prod(axis=1), X[:, ::-1].copy()
    >>> regressor = sobolev_lib.SobolevRegressor(hidden=(16,), steps=50).fit(X, y, dy)
    >>> figure = goodness_of_fit(regressor, X, y, dy)

    ``regressor``: a fitted ``SobolevRegressor``; X, y, dy as in its ``fit``, best of points that it has not seen. Perfect
    predictions lie on the dotted line. Above a panel stands its score: R^2 of values, and of a partial the share of its
    squares that is predicted, 1 - |error|^2 / |dy|^2. Of very many inputs the 11 partials with the largest squares, in units
    of the inputs' spread, are drawn. Missing labels are left out. Returns the figure. Raises ``TypeError`` for what is no
    fitted regressor, ``ValueError`` for shapes that don't fit.
    """
    from sobolev_lib.regressor.named_tables import check_outputs, column_names, numbers_of, rows_alike
    from sobolev_lib.regressor.tables import slopes_of, values_of

    inputs, outputs = _names(regressor)
    check_outputs(y, getattr(regressor, "_output_names", []))
    y, dy = rows_alike(X, y=y, dy=dy)
    values, gradients = regressor.predict(X, return_gradient=True)
    n, q, d = len(values), len(outputs), len(inputs)
    y, values = values_of(numbers_of(y, "y"), values.shape).reshape(n, q), values.reshape(n, q)
    dy = None if dy is None else slopes_of(dy, column_names(X, regressor), (n, q), d)
    gradients = gradients.reshape(n, q, d)
    with context():
        rows = []
        for k, output in enumerate(outputs):
            panels = [(output, y[:, k], values[:, k], POINTS, np.nanmean(y[:, k]))]
            chosen = [] if dy is None else _largest(dy[:, k] * regressor.scaling_.input_std.numpy())
            panels += [(f"∂{output}/∂{inputs[j]}", dy[:, k, j], gradients[:, k, j], SLOPES, 0.0) for j in chosen]
            rows += _chunks(panels)
        figure, grid = _grid(rows)
        for axes, (name, truth, predicted, colour, least) in grid:
            known = np.isfinite(truth)
            total = float(((truth - least)[known] ** 2).sum())
            share = 1 - float(((predicted - truth)[known] ** 2).sum()) / total if total > 0 else np.nan
            axes.scatter(truth[known], predicted[known], s=10, color=colour, alpha=0.7 if n < 1000 else 0.3, linewidths=0,
                         rasterized=n > 500)
            if known.any():
                both = np.concatenate([truth[known], predicted[known]])
                ends = [both.min(), both.max()]
                axes.plot(ends, ends, **LOOKS["true"].line(linewidth=1.4), zorder=0)
            # without the sign of a zero
            told = f"{round(share, 3) + 0.0:.3f}".replace("-", "\u2212")
            axes.set_title(f"{name}: {told}" if np.isfinite(share) else name)
            axes.set(xlabel="truth", ylabel="prediction" if axes.get_subplotspec().is_first_col() else "")
    return shown_once(figure)


def sensitivity_profiles(regressor, X):
    """Draw how the prediction depends on each input, from its smallest to its largest value, the others at their median.

    >>> X = np.random.default_rng(0).uniform(-1, 1, (50, 2)); y, dy = X.prod(axis=1), X[:, ::-1].copy()
    >>> regressor = sobolev_lib.SobolevRegressor(hidden=(16,), steps=50).fit(X, y, dy)
    >>> figure = sensitivity_profiles(regressor, X)

    ``regressor``: a fitted ``SobolevRegressor``; X (N, d), the points whose range and median are meant. Each panel shows one
    input's profile, the prediction at the median, and there the slope that is predicted. Panels of one output share an axis,
    so that higher is stronger. Of very many inputs the 12 whose profiles vary most are drawn. Returns the figure. Raises
    ``TypeError`` for what is no fitted regressor, ``ValueError`` for X of another shape.
    """
    from sobolev_lib.regressor.named_tables import plain

    inputs, outputs = _names(regressor)
    points = np.asarray(plain(X, "X"), dtype=np.float64)
    if points.ndim != 2 or points.shape[1] != len(inputs) or not len(points):
        raise ValueError(f"X: expected points of shape (N, {len(inputs)}), got {points.shape}")
    middle, low, high = np.median(points, axis=0), points.min(axis=0), points.max(axis=0)
    steps = np.linspace(0, 1, 101)[:, None]
    along = np.repeat(middle[None], len(inputs) * 101, axis=0).reshape(len(inputs), 101, -1)
    along[range(len(inputs)), :, range(len(inputs))] = (low + steps * (high - low)).T
    ask = np.concatenate([middle[None], along.reshape(-1, len(inputs))])
    if hasattr(X, "columns"):                              # names that scikit-learn wants back
        ask = type(X)(ask, columns=X.columns)
    values, gradients = regressor.predict(ask, return_gradient=True)
    values, slopes = values.reshape(len(values), -1), gradients[0].reshape(len(outputs), -1)
    profiles = values[1:].reshape(len(inputs), 101, -1)
    with context():
        rows = []
        for k, output in enumerate(outputs):
            order = np.argsort(-np.ptp(profiles[:, :, k], axis=1), kind="stable")[:MOST]
            rows += [[(k, output, j) for j in chunk] for chunk in _chunks(sorted(order))]
        figure, grid = _grid(rows)
        first: dict = {}
        for axes, (k, output, j) in grid:
            axes.plot(along[j, :, j], profiles[j, :, k], **LOOKS["sobolev"].line())
            reach = 0.15 * (high[j] - low[j])
            ends = np.array([middle[j] - reach, middle[j] + reach])
            axes.plot(ends, values[0, k] + slopes[k, j] * (ends - middle[j]), color=SLOPES, linewidth=2.2)
            axes.scatter([middle[j]], [values[0, k]], s=28, color=POINTS, edgecolors=PAPER, linewidths=0.6, zorder=3)
            axes.set(xlabel=inputs[j], ylabel=output if axes.get_subplotspec().is_first_col() else "")
            axes.sharey(first[k]) if k in first else first.update({k: axes})
    return shown_once(figure)


def histories_of(regressor) -> dict[str, object]:
    """What ``learning_curves`` draws of a fitted regressor: one history, or one for each network of an ensemble.

    >>> X = np.linspace(-1, 1, 30).reshape(-1, 1)
    >>> list(histories_of(sobolev_lib.SobolevRegressor(hidden=(8,), steps=20, ensemble=2).fit(X, X[:, 0])))
    ['network 1', 'network 2']
    """
    histories = regressor.histories_
    if not histories:
        raise ValueError("histories: expected a regressor with a history, got one from a file of an earlier version without")
    if len(histories) == 1:
        return {"Sobolev" if "jacobian" in histories[0].train else "Regular": histories[0]}
    return {f"network {k}": history for k, history in enumerate(histories, start=1)}


def _names(regressor) -> tuple[list[str], list[str]]:
    """Of inputs and outputs, as axes call them."""
    if not hasattr(regressor, "predict_gradient") or not hasattr(regressor, "networks_"):
        fitted = "one that is not fitted" if hasattr(regressor, "predict_gradient") else type(regressor).__name__
        raise TypeError(f"regressor: expected a fitted SobolevRegressor, got {fitted}")
    d, q = regressor.n_features_in_, regressor.n_outputs_
    # a dollar would begin a formula
    inputs = [str(name).replace("$", r"\$") for name in getattr(regressor, "feature_names_in_", [f"x{_below(j + 1)}" for j in range(d)])]
    return inputs, ["y"] if q == 1 else [f"y{_below(k + 1)}" for k in range(q)]


def _below(number: int) -> str:
    return str(number).translate(str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉"))


def _largest(slopes: np.ndarray) -> list[int]:
    """The columns (N, d) to draw, in their order: those with the largest squares that are known."""
    largest = np.abs(np.nan_to_num(slopes)).max(initial=0.0) or 1.0
    squares = (np.nan_to_num(slopes / largest) ** 2).sum(axis=0)
    known = [j for j in np.argsort(-squares, kind="stable") if np.isfinite(slopes[:, j]).any()]
    return sorted(known[:MOST - 1])


def _chunks(items: list) -> list[list]:
    return [items[start:start + COLUMNS] for start in range(0, len(items), COLUMNS)]


def _grid(rows: list[list]):
    """A figure with a panel for each item, row by row, and these with their items."""
    columns = max(len(row) for row in rows)
    figure = new_figure((0.4 + 1.9 * max(columns, 2), 0.2 + 2.0 * len(rows)))
    grid = []
    for r, row in enumerate(rows):
        for c, item in enumerate(row):
            axes = figure.add_subplot(len(rows), columns, r * columns + c + 1)
            for axis in (axes.xaxis, axes.yaxis):
                axis.set_major_locator(need("matplotlib.ticker").MaxNLocator(3))
            grid.append((axes, item))
    return figure, grid
