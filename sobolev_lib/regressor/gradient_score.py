"""How well gradients are predicted, as one number, and a scorer of it for scikit-learn's searches."""
import numpy as np
from sklearn.pipeline import Pipeline
from sklearn.utils.metadata_routing import MetadataRequest

from sobolev_lib.regressor.named_tables import rows_alike


def gradient_share(predicted: np.ndarray, dy: np.ndarray, weights: np.ndarray | None = None) -> float:
    """1 - (squared error of gradients) / (squared gradients), both (N, q, d), in units in which they can be added up.

    >>> gradient_share(np.zeros((5, 1, 2)), np.ones((5, 1, 2)))                               # as good as no slope at all
    0.0

    NaN entries of dy take no part. Raises ``ValueError`` if nothing else is left, or all slopes are zero.
    """
    if np.isinf(dy).any():
        raise ValueError(f"dy: expected finite numbers (NaN for missing ones), got {int(np.isinf(dy).sum())} infinite")
    known = ~np.isnan(dy)
    largest = np.abs(np.where(known, dy, 0.0)).max()
    if not largest > 0:
        raise ValueError("dy: expected slopes to compare with, got none that are known and not zero")
    # squares of very large or small numbers would leave the range
    dy, predicted = np.where(known, dy, 0.0) / largest, np.where(known, predicted, 0.0) / largest
    each = np.ones(len(dy)) if weights is None else weights / weights.max()
    total = float((each * (dy**2).sum(axis=(1, 2))).sum())
    if not total > 0:
        raise ValueError("dy: expected slopes to compare with, got none but zeros where sample_weight is above 0")
    return 1.0 - float((each * ((predicted - dy) ** 2).sum(axis=(1, 2))).sum()) / total


class GradientScorer:
    """Scores by ``score_gradient``, for ``GridSearchCV(scoring=...)``: ``weight`` of it, and the rest R^2 of values.

    >>> import sklearn; from sklearn.model_selection import cross_val_score
    >>> X = np.random.default_rng(0).uniform(-1, 1, (60, 2)); y, dy = X.prod(axis=1), X[:, ::-1].copy()
    >>> with sklearn.config_context(enable_metadata_routing=True):
    ...     scores = cross_val_score(sobolev_lib.SobolevRegressor(hidden=(16,), steps=100), X, y, params={"dy": dy},
    ...                              scoring=sobolev_lib.gradient_scorer, cv=3)
    >>> scores.shape
    (3,)

    ``dy`` (N, d) or (N, q, d) comes by scikit-learn's metadata routing, which must be switched on. ``GradientScorer(0.5)``
    gives values and gradients an equal say. The regressor may stand at the end of pipelines, one in another too, or be what
    a search has found: what comes before it transforms X first. Raises ``ValueError`` without dy, ``TypeError`` for other
    estimators.
    """

    def __init__(self, weight: float = 1.0):
        if not 0 <= weight <= 1:
            raise ValueError(f"weight: expected a number from 0 to 1, got {weight!r}")
        self.weight = weight

    def __call__(self, estimator, X, y=None, *, dy=None, sample_weight=None) -> float:
        if dy is None:
            raise ValueError("dy: expected gradients to score with, got none; switch on sklearn.set_config("
                             "enable_metadata_routing=True), and pass dy to the search's fit")
        # by the rows' names that X has here: a transformer may leave a plain array
        y, dy, sample_weight = rows_alike(X, y=y, dy=dy, sample_weight=sample_weight)
        estimator, X = _regressor_in(estimator, X)
        score = estimator.score_gradient(X, dy, sample_weight=sample_weight)
        if self.weight < 1:
            score = self.weight * score + (1 - self.weight) * estimator.score(X, y, sample_weight=sample_weight)
        return score

    def get_metadata_routing(self) -> MetadataRequest:
        """scikit-learn asks this: dy always, and sample_weight where there is one."""
        request = MetadataRequest(owner=self)
        request.score.add_request(param="dy", alias=True)
        request.score.add_request(param="sample_weight", alias=True)
        return request

    def __repr__(self) -> str:
        return f"GradientScorer({self.weight})"


def _regressor_in(estimator, X):
    """What predicts gradients in pipelines and searches, and X as it comes there."""
    while not hasattr(estimator, "score_gradient"):
        if hasattr(estimator, "best_estimator_"):
            estimator = estimator.best_estimator_
        elif isinstance(estimator, Pipeline):
            X, estimator = (estimator[:-1].transform(X) if len(estimator.steps) > 1 else X), estimator[-1]
        else:
            raise TypeError("estimator: expected a SobolevRegressor, also at the end of a pipeline or found by a search, "
                            f"got {type(estimator).__name__}; slopes of a TransformedTargetRegressor are those of the "
                            "transformed y, and its regressor_ can be scored by these")
    return estimator, X


gradient_scorer = GradientScorer()
