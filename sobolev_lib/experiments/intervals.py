"""What a few seeds say: a mean and its confidence interval."""
from typing import NamedTuple, Sequence

import numpy as np


class Interval(NamedTuple):
    """A mean and the ends of its interval."""

    mean: float
    low: float
    high: float

    def side(self) -> str:
        """On which side of zero the whole interval lies: "above", "below", or "around" where it holds zero."""
        return "above" if self.low > 0 else "below" if self.high < 0 else "around"


def interval(values: Sequence[float], level: float = 0.95) -> Interval:
    """Student's t interval of the mean of ``values``, one a seed; of one value alone it is infinite.

    >>> mean, low, high = interval([1.0, 2.0, 3.0])
    >>> round(mean, 2), round(low, 2), round(high, 2)
    (2.0, -0.48, 4.48)

    For two methods that share their seeds take the differences, or the logarithms of ratios, seed by seed: what the seeds
    have in common cancels. Raises ``ValueError`` where there is no value, or one that is not finite,
    and for a ``level`` that is no share.
    """
    from scipy.stats import t  # here: a run needs no interval, only who reads its record

    values = np.asarray(values, dtype=float)
    if values.ndim != 1 or not len(values) or not np.isfinite(values).all():
        raise ValueError(f"values: expected a list of finite numbers, one a seed, got {values.tolist()}")
    if not 0 < level < 1:
        raise ValueError(f"level: expected a share between 0 and 1, got {level!r}")
    mean = float(values.mean())
    if len(values) == 1:
        return Interval(mean, -np.inf, np.inf)
    reach = float(t.ppf((1 + level) / 2, len(values) - 1) * values.std(ddof=1) / len(values) ** 0.5)
    return Interval(mean, mean - reach, mean + reach)
