"""Directions in which a function has slopes: inputs rotated by the gradients' second moments, the others dropped."""
import torch
from torch import Tensor

from sobolev_lib.data import SobolevData
from sobolev_lib.models import MLP

ENOUGH = 5                                                 # gradients, times inputs, by which directions can be told


def may_be_reduced(data: SobolevData) -> bool:
    """Whether the data (N, d) hold what ``reduction`` takes, and gradients enough to trust what it finds.

    >>> [may_be_reduced(sobolev_lib.label(sobolev_lib.functions.booth, torch.rand(n, 2))) for n in (5, 20)]
    [False, True]
    """
    if data.order < 1 or data.in_shape[0] < 2:
        return False
    assert data.jacobian is not None
    missing = data.jacobian.isnan().reshape(len(data), -1)
    known = data.jacobian[~missing.any(1)]
    return bool((missing.any(1) == missing.all(1)).all()) and bool(known.any()) and \
        known.numel() >= ENOUGH * data.in_shape[0] ** 2


def reduction(data: SobolevData, share: float) -> Tensor:
    """The matrix R (k, d) of new inputs R z, from z-scored data (N, d): along them all squared slopes but a share of their sum.

    >>> z = torch.randn(200, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    >>> data = sobolev_lib.label(lambda z: (z[:, 0] + 2 * z[:, 1]).sin(), z)
    >>> R = reduction(data, share=1e-4)
    >>> (R / R[0, 0]).round(decimals=6).tolist()
    [[1.0, 2.0, 0.0]]

    Rows are eigenvectors of the mean over points, and outputs, of a gradient times itself transposed, each over the standard
    deviation of the points along it, so that the new inputs are of one size. Raises ``ValueError`` without gradients, with
    partials missing, or if all are zero. Source: active subspaces (Constantine 2015), differential PCA (Huge and Savine
    2021).
    """
    if data.order < 1:
        raise ValueError("reduce_inputs: expected gradients dy to find directions from, got none")
    d = data.in_shape[0]
    slopes = _whole(data).reshape(len(data), -1, d)
    known = ~slopes[:, 0, 0].isnan()
    weights = torch.ones(len(data), dtype=slopes.dtype) if data.weights is None else data.weights
    moments = torch.einsum("n,nmi,nmj->ij", weights[known], slopes[known], slopes[known])
    sizes, vectors = torch.linalg.eigh(moments)
    if not float(sizes[-1]) > 0:
        raise ValueError("reduce_inputs: expected gradients that are known and not zero everywhere, got none")
    # ascending: what the first ones hold together
    kept = (sizes.clamp_min(0).cumsum(0) > share * sizes.clamp_min(0).sum()).flip(0)
    rows = vectors.T.flip(0)[kept]
    rows = rows * torch.where(rows.sum(1, keepdim=True) < 0, -1.0, 1.0)            # a sign that does not hang on rounding
    spread = (data.inputs @ rows.T).std(dim=0, correction=0)
    return rows / torch.where(spread > 1e-6 * spread.max(), spread, 1.0)[:, None]


def rotated(data: SobolevData, R: Tensor) -> SobolevData:
    """Data with the inputs R z (N, k), and slopes along them; raises ``ValueError`` for partials missing."""
    slopes = [_whole(data) @ torch.linalg.pinv(R)] if data.order else []
    return SobolevData.owning(data.inputs @ R.T, data.values, *slopes, weights=data.weights)


def folded(network: MLP, R: Tensor) -> MLP:
    """The network of inputs z (N, d) that does as ``network`` of R z: R becomes a part of its first layer, in float64."""
    return _with_first(network, lambda weight: weight @ R)


def unfolded(network: MLP, R: Tensor) -> MLP:
    """What was ``folded``, as it was before.

    >>> network, R = sobolev_lib.models.MLP(2, 8, 1), torch.randn(2, 5, dtype=torch.float64)
    >>> unfolded(folded(network, R), R).sizes
    (2, 8, 1)
    """
    return _with_first(network, lambda weight: weight @ torch.linalg.pinv(R))


@torch.no_grad()
def _with_first(network: MLP, changed) -> MLP:
    state = {name: tensor.detach().double() for name, tensor in network.state_dict().items()}
    state["0.weight"] = changed(state["0.weight"].cpu()).to(state["0.weight"])
    made = MLP(state["0.weight"].shape[1], *network.sizes[1:], activation=network.activation, generator=torch.Generator(),
               dtype=torch.float64, device=state["0.weight"].device)
    made.load_state_dict(state)
    return made


def _whole(data: SobolevData) -> Tensor:
    """The gradients, each whole or missing as a whole."""
    assert data.jacobian is not None
    missing = data.jacobian.isnan().flatten(1)
    some = int((missing.any(1) & ~missing.all(1)).sum())
    if some:
        raise ValueError(f"reduce_inputs: expected whole gradients, or points without any, got {some} of {len(data)} with "
                         "some partials missing, of which no other direction's slope can be told")
    return data.jacobian
