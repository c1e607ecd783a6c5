"""Labels that outweigh all others: slopes of a few points beside a crease, a pole or in a wrong row, and values that stand for
"not known"; the loss would see little else."""
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from sobolev_lib.data import SobolevData
from sobolev_lib.formats import listed

FAR, MINORITY, MUCH = 3.0, 0.2, 0.3                        # times the median; at most that share of the points; of squared slopes at least
FAR_VALUE, FEW_VALUES, MOST = 30.0, 0.05, 0.9              # of values, which a peak may have as well: times the median distance, and shares
NAMED = 2                                                  # points whose place is told


class Outlying(NamedTuple):
    """Points (N,) whose slopes, and those whose values, outweigh all others."""

    slopes: Tensor
    values: Tensor

    @property
    def points(self) -> Tensor:
        return self.slopes | self.values

    def said(self, inputs: Tensor) -> str:
        """How many, where, and what of them; ``inputs`` (N, d) as the user knows them."""
        return listed([f"the {what} of {_places(inputs[far])}" for what, far in (("slopes", self.slopes), ("values", self.values))
                       if far.any()])


def _places(inputs: Tensor) -> str:
    told = [f"({', '.join(f'{float(x):.3g}' for x in each[:4])}{', ...' if len(each) > 4 else ''})" for each in inputs[:NAMED]]
    more = f" and {len(inputs) - NAMED} more" if len(inputs) > NAMED else ""
    return f"{len(inputs)} {'point' if len(inputs) == 1 else 'points'}, at {(', ' if more else ' and ').join(told)}{more}"


def outlying(data: SobolevData) -> Outlying:
    """What outweighs all others in z-scored data (N, d), if they are few: slopes three times the median or longer that hold much
    of all squares, and values thirty times as far from the median as half of the others that hold nearly all, fewer of them if they
    differ from each other: then they may be a peak.

    >>> x = torch.linspace(0, 1, 9, dtype=torch.float64)[:, None]
    >>> slopes = torch.ones(9, 1, dtype=torch.float64)
    >>> slopes[4] = 100
    >>> found = outlying(sobolev_lib.SobolevData(x, x[:, 0], slopes))
    >>> found.slopes.nonzero().tolist(), found.said(x)
    ([[4]], 'the slopes of 1 point, at (0.5)')

    Of several outputs one is enough; an output of no slopes has none. Beside values alone nothing tells a wrong one from a peak.
    """
    n = len(data)
    slopes, values = (torch.zeros(n, dtype=torch.bool, device=data.inputs.device) for _ in range(2))
    if data.order < 1:
        return Outlying(slopes, values)
    assert data.jacobian is not None
    squares = data.jacobian.reshape(n, -1, data.in_shape[0]).square().nansum(dim=2)
    for each in squares.T:
        slopes |= _far(each, FAR**2, MINORITY * n, MUCH)
    table = data.values.reshape(n, -1)
    for column, each in zip(table.T, (table - table.nanmedian(dim=0).values).square().nan_to_num().T):
        far = _far(each, FAR_VALUE**2, MINORITY * n, MOST)
        one = len(column[far].unique()) == 1               # a mark for "not known"; a peak has many heights
        if one or far.sum() <= FEW_VALUES * n:
            values |= far
    return Outlying(slopes, values)


def _far(squares: Tensor, times: float, most: float, share: float) -> Tensor:
    """Squares (N,) so many times their median, if at most so many points hold that share of their sum; zeros are no part of it."""
    if not (squares > 0).any():
        return squares > 0
    far = squares > times * squares[squares > 0].median()
    return far & bool(far.sum() <= most and squares[far].sum() >= share * squares.sum())


def without(data: SobolevData, far: Outlying) -> SobolevData:
    """The data without these labels; everything else of their points stays."""
    assert data.jacobian is not None
    slopes, values = data.jacobian.clone(), data.values.clone()
    slopes[far.slopes], values[far.values] = torch.nan, torch.nan
    return SobolevData.owning(data.inputs, values, slopes, weights=data.weights)


def trimmed(data: SobolevData) -> SobolevData:
    """The data without what is ``outlying``."""
    far = outlying(data)
    return without(data, far) if far.points.any() else data


def flat(data: SobolevData) -> Tensor:
    """The inputs (d,) along which all slopes that are known are zero, where others are not: dead ones, or slopes nobody knew."""
    d = data.in_shape[0]
    if data.order < 1:
        return torch.zeros(d, dtype=torch.bool)
    assert data.jacobian is not None
    slopes = data.jacobian.reshape(-1, d)
    zero = (slopes.nan_to_num() == 0).all(dim=0) & ~slopes.isnan().all(dim=0)
    return zero & ~zero.all()


def tell_without_slopes(data: SobolevData, outputs: Sequence[int]) -> Tensor:
    """The points (N,) that still tell something without slopes of these outputs: values may be missing only beside a slope.

    >>> tell_without_slopes(sobolev_lib.label(sobolev_lib.functions.booth, torch.rand(3, 2)), [0])
    tensor([True, True, True])
    """
    n = len(data)
    assert data.jacobian is not None
    slopes = ~data.jacobian.reshape(n, -1, data.in_shape[0]).isnan().all(dim=2)
    slopes[:, list(outputs)] = False
    return ~data.values.reshape(n, -1).isnan().any(dim=1) | slopes.any(dim=1)


def without_slopes(data: SobolevData, outputs: Sequence[int]) -> SobolevData:
    """The data with slopes of these outputs unknown, without points that then tell too little.

    >>> without_slopes(sobolev_lib.label(sobolev_lib.functions.booth, torch.rand(5, 2)), [0]).jacobian[0]
    tensor([nan, nan])

    Raises ``ValueError`` if nothing is left.
    """
    known = tell_without_slopes(data, outputs)
    if not known.any():
        raise ValueError("y: expected some values, got none; this regressor leaves slopes out, so they alone teach it nothing")
    data = data[known]
    assert data.jacobian is not None
    slopes = data.jacobian.clone()
    slopes.view(len(data), -1, data.in_shape[0])[:, list(outputs)] = torch.nan
    return SobolevData.owning(data.inputs, data.values, slopes, weights=data.weights)


def without_flat_slopes(data: SobolevData) -> SobolevData:
    """The data with slopes along ``flat`` inputs unknown.

    >>> x = torch.rand(5, 2)
    >>> without_flat_slopes(sobolev_lib.SobolevData(x, x[:, 0] + x[:, 1], torch.tensor([[1.0, 0.0]]).repeat(5, 1))).jacobian[0]
    tensor([1., nan])
    """
    assert data.jacobian is not None
    slopes = data.jacobian.clone()
    slopes[..., flat(data)] = torch.nan
    return SobolevData.owning(data.inputs, data.values, slopes, weights=data.weights)
