"""How well gradients are predicted, as one number, and a scorer of it for scikit-learn's searches."""
import numpy as np
from sklearn.pipeline import Pipeline
from sklearn.utils.metadata_routing import MetadataRequest


def gradient_share(predicted: np.ndarray, dy: np.ndarray, units: np.ndarray, weights: np.ndarray | None = None) -> float:
    """1 - (squared error of gradients) / (squared gradients), both (N, m, d), summed in ``units`` (m, d): 1 is perfect.

    >>> gradient_share(np.zeros((5, 1, 2)), np.ones((5, 1, 2)), np.ones((1, 2)))              # as good as no slope at all
    0.0

    NaN entries of dy take no part. Raises ``ValueError`` if nothing else is left, or all slopes are zero.
    """
    known = np.isfinite(dy)
    each = known * units**2 * (1.0 if weights is None else weights[:, None, None])
    total = float((each * np.where(known, dy, 0.0) ** 2).sum())
    if not total > 0:
        raise ValueError("dy: expected slopes to compare with, got none that are known and not zero")
    return 1.0 - float((each * np.where(known, predicted - dy, 0.0) ** 2).sum()) / total


class GradientScorer:
    """Scores by ``score_gradient``, for ``GridSearchCV(scoring=...)``: ``weight`` of it, and the rest R^2 of values.

    >>> import sklearn; from sklearn.model_selection import cross_val_score
    >>> X = np.random.default_rng(0).uniform(-1, 1, (60, 2)); y, dy = X.prod(axis=1), X[:, ::-1].copy()
    >>> with sklearn.config_context(enable_metadata_routing=True):
    ...     scores = cross_val_score(sobolev_lib.SobolevRegressor(hidden=(16,), steps=100), X, y, params={"dy": dy},
    ...                              scoring=sobolev_lib.gradient_scorer, cv=3)
    >>> scores.shape
    (3,)

    ``dy`` (N, d) or (N, m, d) comes by scikit-learn's metadata routing, which must be switched on. ``GradientScorer(0.5)``
    gives values and gradients an equal say. A pipeline's earlier steps transform X first. Raises ``ValueError`` without dy.
    """

    def __init__(self, weight: float = 1.0):
        if not 0 <= weight <= 1:
            raise ValueError(f"weight: expected a number from 0 to 1, got {weight!r}")
        self.weight = weight

    def __call__(self, estimator, X, y=None, *, dy=None, sample_weight=None) -> float:
        if dy is None:
            raise ValueError("dy: expected gradients to score with, got none; switch on sklearn.set_config("
                             "enable_metadata_routing=True), and pass dy to the search's fit")
        if isinstance(estimator, Pipeline):
            X, estimator = (estimator[:-1].transform(X) if len(estimator.steps) > 1 else X), estimator[-1]
        score = estimator.score_gradient(X, dy, sample_weight=sample_weight)
        if self.weight < 1:
            score = self.weight * score + (1 - self.weight) * estimator.score(X, y, sample_weight=sample_weight)
        return score

    def get_metadata_routing(self) -> MetadataRequest:
        """scikit-learn asks this: dy always, sample_weight not."""
        request = MetadataRequest(owner=self)
        request.score.add_request(param="dy", alias=True)
        request.score.add_request(param="sample_weight", alias=None)
        return request

    def __repr__(self) -> str:
        return f"GradientScorer({self.weight})"


gradient_scorer = GradientScorer()
