"""A fitted regressor as a plain PyTorch module, in original units."""
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from sobolev_lib.models import MLP
from sobolev_lib.scaling import ZScores


class Predictor(nn.Module):
    """Networks and scales of a fitted regressor: (N, d) -> (N,), or (N, q) with several outputs, as ``predict``.

    >>> X = np.random.default_rng(0).uniform(-1, 1, (50, 2)); y = X.prod(axis=1)
    >>> module = sobolev_lib.SobolevRegressor(hidden=(8,), steps=20).fit(X, y, X[:, ::-1].copy()).to_torch()
    >>> module(torch.as_tensor(X)).shape
    torch.Size([50])

    Made by ``SobolevRegressor.to_torch``, with copies of the weights. It consists of plain layers, so ``torch.jit.script``
    and ``torch.export`` take it, and its ``state_dict`` has all it needs. In float64 as the regressor predicts;
    ``.float()`` makes it quicker and less exact. Gradients come by autodiff, or
    ``sobolev_lib.value_and_derivatives(module, x)``.
    """

    input_mean: Tensor
    input_std: Tensor
    output_mean: Tensor
    output_std: Tensor

    def __init__(self, networks: Sequence[MLP], scaling: ZScores):
        super().__init__()
        self.scalar = scaling.output_mean.ndim == 0
        self.networks = nn.ModuleList(_copied(network) for network in networks)
        place = next(self.networks.parameters()).device
        for name, tensor in vars(scaling).items():
            self.register_buffer(name, tensor.reshape(-1).to(place, copy=True))

    def forward(self, x: Tensor) -> Tensor:
        """Values at points x (N, d): (N,), or (N, q) with several outputs. Raises ``ValueError`` for another shape."""
        if x.dim() != 2 or x.shape[1] != self.input_mean.shape[0]:
            raise ValueError("x: expected points of shape (N, d), with as many inputs d as in training")
        z = (x - self.input_mean) / self.input_std
        y = torch.zeros(x.shape[0], self.output_mean.shape[0], dtype=x.dtype, device=x.device)
        for network in self.networks:
            y = y + network(z)
        y = self.output_mean + self.output_std * y / len(self.networks)
        return y.squeeze(1) if self.scalar else y


def _copied(network: MLP) -> nn.Sequential:
    """The same layers without the class around them, whose checks can't be scripted."""
    layers = []
    for layer in network:
        if isinstance(layer, nn.Linear):
            copy = nn.utils.skip_init(nn.Linear, layer.in_features, layer.out_features, dtype=layer.weight.dtype,
                                      device=layer.weight.device)
            copy.load_state_dict(layer.state_dict())
            layers.append(copy)
        else:
            layers.append(type(layer)())
    return nn.Sequential(*layers)
