"""A regressor's answers: values, their spread and gradients from one pass, a few points at a time."""
from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from sobolev_lib.closed_form import Layers, values_and_derivatives
from sobolev_lib.data import SobolevData
from sobolev_lib.scaling import ZScores

BYTES = 2**22                                              # that a block of points may take, however small the answer is


class Answers:
    """Values (N, q), their spread between networks (N, q), and gradients (N, q, d), in original units.

    >>> data = sobolev_lib.label(sobolev_lib.functions.booth, torch.rand(20, 2, dtype=torch.float64))
    >>> networks = [sobolev_lib.models.MLP(2, 8, 1, activation="tanh").double() for _ in range(2)]
    >>> found = Answers(networks, ZScores.of(data), data.inputs.numpy(), gradient=True, std=True)
    >>> found.values.shape, found.std.shape, found.gradients.shape
    ((20, 1), (20, 1), (20, 1, 2))

    The answer of several networks is their mean. Beside the answers themselves it takes little memory: blocks of points.
    """

    def __init__(self, networks: Sequence[nn.Module], scaling: ZScores, X: np.ndarray, *, gradient: bool, std: bool):
        n, d = X.shape
        layers = [Layers.of(network) for network in networks]
        q, place = layers[0].outputs, layers[0].weights[0].device
        self.values = np.empty((n, q))
        self.std = np.empty((n, q)) if std else None
        self.gradients = np.empty((n, q, d)) if gradient else None
        wide = sum(weight.shape[0] for weight in layers[0].weights)
        one = 8 * (5 * wide * (1 + min(q, d) * gradient) + (3 * q * d if gradient else 0))
        rows = max(1, int(max(BYTES, 8 * n * q * (1 + d * gradient) / 8) // one))
        with torch.no_grad():
            for start in range(0, n, rows):
                block = slice(start, start + rows)
                # a copy, in float64: X may be read-only, or in less; in one order, so that sums round alike
                z = scaling.inputs(torch.as_tensor(np.array(X[block], dtype=np.float64, order="C"))).to(place)
                found = [_answer(network, own, z, gradient) for network, own in zip(networks, layers)]
                y = torch.stack([each[0] for each in found]).cpu()
                scale = scaling.output_std.reshape(-1)
                self.values[block] = (scaling.output_mean.reshape(-1) + scale * y.mean(dim=0)).numpy()
                if self.std is not None:
                    self.std[block] = (scale * y.std(dim=0)).numpy()
                if self.gradients is not None:
                    slopes = found[0][1] if len(found) == 1 else torch.stack([each[1] for each in found]).mean(dim=0)
                    self.gradients[block] = (slopes.cpu() * scale[:, None] / scaling.input_std).numpy()


def spread_scale(networks: Sequence[nn.Module], scaling: ZScores, held: SobolevData) -> torch.Tensor:
    """Of each output (q,) the root mean square error on held-out points over that of the networks' spread there.

    >>> data = sobolev_lib.label(sobolev_lib.functions.booth, torch.rand(20, 2, dtype=torch.float64))
    >>> networks = [sobolev_lib.models.MLP(2, 8, 1).double() for _ in range(2)]
    >>> spread_scale(networks, ZScores.of(data), data).shape
    torch.Size([1])
    """
    found = Answers(networks, scaling, held.inputs.numpy(), gradient=False, std=True)
    errors = found.values - held.values.reshape(found.values.shape).numpy()
    known = ~np.isnan(errors)
    # not the mean of quotients: few networks agree at some points by chance, and these would decide
    error, spread = [np.linalg.norm(np.where(known, part, 0.0), axis=0) for part in (errors, np.asarray(found.std))]
    return torch.as_tensor(np.where(known.any(axis=0), error / np.maximum(spread, 1e-300), 1.0))   # nothing known: as it is


def _answer(network: nn.Module, layers: Layers, z: torch.Tensor, gradient: bool):
    return values_and_derivatives(layers, z) if gradient else (network(z), None)
