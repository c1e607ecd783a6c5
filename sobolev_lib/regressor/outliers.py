"""Slopes that outweigh all others: a few points beside a crease, a pole or a wrong row, whose squares the loss would see alone."""
import torch
from torch import Tensor

from sobolev_lib.data import SobolevData

FAR, MINORITY, MUCH = 3.0, 0.2, 0.3                        # times the median; at most that share of the points; of squared slopes at least


def outlying(data: SobolevData) -> Tensor:
    """The points (N,) of z-scored data (N, d) whose slopes are three times the median or longer, if they are few and hold much of
    all squares; none otherwise.

    >>> x = torch.linspace(0, 1, 9, dtype=torch.float64)[:, None]
    >>> slopes = torch.ones(9, 1, dtype=torch.float64)
    >>> slopes[4] = 100
    >>> outlying(sobolev_lib.SobolevData(x, x[:, 0], slopes)).nonzero().tolist()
    [[4]]

    Of several outputs one is enough; an output of no slopes has none.
    """
    found = torch.zeros(len(data), dtype=torch.bool, device=data.inputs.device)
    if data.order < 1:
        return found
    assert data.jacobian is not None
    squares = data.jacobian.reshape(len(data), -1, data.in_shape[0]).square().nansum(dim=2)
    for each in squares.T:
        if (each > 0).any():
            far = each > FAR**2 * each[each > 0].median()
            if far.sum() <= MINORITY * len(data) and each[far].sum() >= MUCH * each.sum():
                found |= far
    return found


def trimmed(data: SobolevData) -> SobolevData:
    """The data without the slopes of ``outlying`` points; their values stay."""
    far = outlying(data)
    if not far.any():
        return data
    assert data.jacobian is not None
    slopes = data.jacobian.clone()
    slopes[far] = torch.nan
    return SobolevData.owning(data.inputs, data.values, slopes, weights=data.weights)
