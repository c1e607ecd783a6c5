"""SobolevRegressor, the scikit-learn face of the library, and what it needs for that.

>>> X = np.random.default_rng(0).uniform(-1, 1, (50, 2)); y, dy = X[:, 0] * X[:, 1], X[:, ::-1].copy()
>>> sl.SobolevRegressor(hidden=(16,), steps=50).fit(X, y, dy).score_gradient(X, dy) < 1
True
"""
from sobolev_lib.regressor.estimator import SobolevRegressor
from sobolev_lib.regressor.gradient_score import GradientScorer, gradient_scorer

__all__ = ["GradientScorer", "SobolevRegressor", "gradient_scorer"]
