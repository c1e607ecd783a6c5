"""Options on a basket: prices by one simulated path a point, noisy but right on the average, and the exact ones."""
import math

import numpy as np

from sobolev_lib._arguments import integer
from sobolev_lib.datasets.table import Table


class BasketOption:
    """A call in a year on a basket of ``assets`` whose prices are normal: Bachelier's model, of which all is known exactly.

    >>> option = BasketOption(assets=7)
    >>> X = option.sample(np.random.default_rng(0), 1000)                   # today's prices, (1000, 7)
    >>> y, dy = option.paths(np.random.default_rng(1), X)                   # payoffs of one path each, and their slopes
    >>> price, delta = option.exact(X)

    The price depends on the weighted sum of the assets alone, one direction in all, with volatility 0.2 whatever their
    number. ``correlation`` is that between any two assets; by default correlations are random. The strike is 1.1. Source:
    the first example of Huge and Savine, Differential Machine Learning (2020).
    """

    volatility, strike = 0.2, 1.1

    def __init__(self, assets: int = 7, correlation: float | None = None):
        fixed = np.random.default_rng(integer(assets, "assets"))
        self.weights = fixed.uniform(1, 10, assets)
        self.weights /= self.weights.sum()
        loadings = fixed.normal(size=(assets, assets))
        covariance = loadings @ loadings.T
        if correlation is not None:
            least = -1 / max(1, assets - 1)                # all others would have to run against each other
            if not least < correlation < 1:
                raise ValueError(f"correlation: expected a number above {least:.3g}, which {assets} assets allow, and below 1, "
                                 f"got {correlation!r}")
            covariance = np.full((assets, assets), correlation) + (1 - correlation) * np.eye(assets)
        spread = np.sqrt(np.diag(covariance))
        covariance = covariance / np.outer(spread, spread) * np.outer(*[fixed.uniform(0.05, 0.5, assets)] * 2)
        covariance *= self.volatility**2 / (self.weights @ covariance @ self.weights)
        self.root = np.linalg.cholesky(covariance)

    def sample(self, random: np.random.Generator, points: int) -> np.ndarray:
        """Today's prices (points, assets), spread half as wide again as a year would."""
        return 1 + 1.5 * random.normal(size=(points, len(self.weights))) @ self.root.T

    def paths(self, random: np.random.Generator, X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Payoffs (N,) of one path from each of X (N, assets), and their derivatives by today's prices (N, assets)."""
        worth = (X + random.normal(size=X.shape) @ self.root.T) @ self.weights - self.strike
        return np.maximum(worth, 0), np.where(worth > 0, 1.0, 0.0)[:, None] * self.weights

    def exact(self, X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Prices (N,) and deltas (N, assets) by Bachelier's formula."""
        from scipy.special import ndtr  # here: only who compares with the truth waits for it

        gap = (X @ self.weights - self.strike) / self.volatility
        density = np.exp(-gap**2 / 2) / math.sqrt(2 * math.pi)
        return self.volatility * (gap * ndtr(gap) + density), ndtr(gap)[:, None] * self.weights


def option_prices(points: int = 4096, seed: int = 0, *, assets: int = 7, exact: bool = False) -> Table:
    """Prices of a ``BasketOption`` at random points: payoffs of one path each with pathwise slopes, or the exact ones.

    >>> noisy, truth = option_prices(1000), option_prices(1000, exact=True)
    >>> bool((noisy.X == truth.X).all()), round(float(np.corrcoef(noisy.y, truth.y)[0, 1]), 1)
    (True, 0.8)

    Points follow from the seed alone. Raises ``ValueError`` for less than one point or asset, or a negative seed.
    """
    option, random = BasketOption(assets), np.random.default_rng(integer(seed, "seed", least=0))
    X = option.sample(random, integer(points, "points"))
    y, dy = option.exact(X) if exact else option.paths(random, X)
    return Table(X, y, dy, inputs=tuple(f"price of asset {k}" for k in range(assets)), outputs=("price of the option",),
                 source="simulated, Huge and Savine 2020" + (", exact prices" if exact else ", one path a point"),
                 licence="MIT, as the library")
