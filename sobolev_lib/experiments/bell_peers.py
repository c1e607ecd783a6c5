"""Other people's code that says how far a prediction may be off, for the same points as ``bells``.

The "Gaussian process" is scikit-learn's, with the error bars as its noise levels, and a second one for their logarithm.
"NGBoost" (Duan and others 2020, the package ``ngboost``) boosts trees for a mean and a width, and is told no bars. The
packages are imported where they are used; ``ngboost`` is needed for a new record alone.
"""
import warnings
from collections.abc import Sequence

import numpy as np

from sobolev_lib.experiments.bells import TOLERANCE, Bell, Points, Predict

PROCESS, BOOSTED = "Gaussian process", "NGBoost"


def process(points: Points, smoothness: float | None, smoothness_of_bars: float | None) -> Predict:
    """scikit-learn's Gaussian process with known noise levels, and one more for the logarithm of the error bars.

    ``smoothness`` is that of Matern's kernel, None is the smooth one; lengths and heights by likelihood. What it says of a
    new y is its own spread and the noise together.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import RBF, ConstantKernel, Matern

    def fitted(y, noise, nu):
        kernel = ConstantKernel() * (RBF() if nu is None else Matern(nu=nu))
        return GaussianProcessRegressor(kernel, alpha=noise, random_state=0).fit(points.x[:, None], y)

    middle = np.log(points.bars).mean()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        values = fitted(points.y, points.bars**2, smoothness)
        bars = fitted(np.log(points.bars) - middle, (TOLERANCE / 2)**2, smoothness_of_bars)

    def predict(x: np.ndarray) -> Bell:
        mean, spread = values.predict(x[:, None], return_std=True)
        return mean, np.hypot(spread, np.exp(middle + bars.predict(x[:, None])))
    return predict


def boosted(points: Points, depth: int, counts: Sequence[int], seed: int) -> list[Predict]:
    """NGBoost's bells after each number of trees in ``counts``, at the package's own learning rate; trees are ``depth`` deep."""
    from ngboost import NGBRegressor
    from ngboost.learners import default_tree_learner
    from sklearn.base import clone

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")                    # it boosts on where its widths have shrunk to nothing
        trees = NGBRegressor(Base=clone(default_tree_learner).set_params(max_depth=depth), n_estimators=max(counts),
                             random_state=seed, verbose=False).fit(points.x[:, None], points.y)

    def after(count: int) -> Predict:
        def predict(x: np.ndarray) -> Bell:
            with np.errstate(all="ignore"):
                bell = trees.pred_dist(x[:, None], max_iter=count)
            return bell.loc, bell.scale
        return predict
    return [after(count) for count in counts]
