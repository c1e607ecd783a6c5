"""Who takes part: ``fit(X, y, dy, seed)`` -> ``predict(X)`` -> (values, gradients), all with their own defaults."""
import numpy as np
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sobolev_lib.experiments import own_peers


def plain(X, y, dy, seed: int) -> own_peers.Predict:
    """scikit-learn's ``MLPRegressor`` behind a scaler, on values alone; its gradients by central differences."""
    mean, std = y.mean(0), y.std(0)
    network = MLPRegressor(hidden_layer_sizes=(256, 256), max_iter=2000, random_state=seed, early_stopping=len(X) >= 500)
    model, steps = make_pipeline(StandardScaler(), network).fit(X, (y - mean) / std), 1e-3 * X.std(0)
    value = lambda X: mean + std * model.predict(X)

    def predict(X):
        slopes = [(value(X + move) - value(X - move)) / (2 * step) for move, step in zip(np.diag(steps), steps)]
        return value(X), np.stack(slopes, axis=-1)

    return predict


PEERS: dict[str, own_peers.Fit] = {"ours": own_peers.ours, "ours, values only": own_peers.values_only,
                                   "Huge and Savine": own_peers.twin, "MLPRegressor": plain}
