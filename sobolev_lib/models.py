"""Multilayer perceptrons, initialised so that Sobolev training works on z-scored inputs."""
import math
import numbers

import torch
from torch import Tensor, nn

from sobolev_lib._arguments import number
from sobolev_lib.activations import Sine

ACTIVATIONS = {
    "relu": nn.ReLU, "leaky_relu": nn.LeakyReLU, "tanh": nn.Tanh, "softplus": nn.Softplus, "gelu": nn.GELU,
    "silu": nn.SiLU, "elu": nn.ELU, "sigmoid": nn.Sigmoid, "sine": Sine,
}


class MLP(nn.Sequential):
    """Fully connected network with the given layer sizes: input, hidden ..., output.

    >>> model = sobolev_lib.models.MLP(2, 256, 256, 1, activation="relu")     # the network of section 4.1
    >>> model(torch.rand(10, 2)).shape
    torch.Size([10, 1])

    Weights are normal with standard deviation ``gain`` / sqrt(fan in), 1 / sqrt(fan in) in the last layer; the default is He's
    for ReLU. Below it networks begin nearer to a plane: for a smooth function and a smooth activation 0.7 was often the best
    start. A first-layer bias is uniform on [-sqrt(3), sqrt(3)] (mean 0, variance 1) times the norm of
    the unit's weights, so the hinges of the first layer are spread as widely as z-scored inputs are. This matters more
    here than in plain regression: in a ReLU network the derivative term gives no signal on where a hinge should be.

    ``activation``: relu, leaky_relu, tanh, softplus, gelu, silu, elu, sigmoid or sine. ``generator`` makes the initial
    weights repeatable. Raises ``ValueError`` for fewer than two sizes, an unknown activation or a gain that is not above 0.
    Source: section 4.1 (two hidden layers of 256 ReLU units).
    """

    def __init__(self, *sizes: int, activation: str = "relu", gain: float = math.sqrt(2),
                 generator: torch.Generator | None = None, dtype: torch.dtype | None = None,
                 device: torch.device | str | None = None):
        if len(sizes) < 2 or not all(isinstance(n, numbers.Integral) and n > 0 for n in sizes):
            raise ValueError(f"MLP: expected at least two positive layer sizes (input, hidden ..., output), got {sizes}")
        if activation not in ACTIVATIONS:
            raise ValueError(f"activation: expected one of {', '.join(ACTIVATIONS)}, got {activation!r}")
        sizes = tuple(map(int, sizes))
        layers: list[nn.Module] = []
        for fan_in, fan_out in zip(sizes[:-1], sizes[1:]):
            # without PyTorch's own initialisation, which would draw from the global generator
            linear = nn.utils.skip_init(nn.Linear, fan_in, fan_out, dtype=dtype, device=device or torch.get_default_device())
            layers += [linear, ACTIVATIONS[activation]()]
        super().__init__(*layers[:-1])
        self.sizes = sizes
        self.activation = activation
        self.gain = number(gain, "gain")
        self.reset_parameters(generator)

    @torch.no_grad()
    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Draw new initial weights, repeatable through ``generator`` (a CPU generator, whatever the device)."""
        linears = [layer for layer in self if isinstance(layer, nn.Linear)]
        for i, layer in enumerate(linears):
            last = i == len(linears) - 1
            # He's factor sqrt(2) makes up for the half that ReLU cuts off; the last layer has no ReLU behind it
            std = (1.0 if last else self.gain) / math.sqrt(layer.in_features)
            layer.weight.copy_(_drawn(torch.randn, layer.weight, generator) * std)
            layer.bias.zero_()
            if i == 0 and not last:
                offsets = math.sqrt(3) * (2 * _drawn(torch.rand, layer.bias, generator) - 1)
                layer.bias.copy_(offsets.to(layer.weight) * layer.weight.norm(dim=1))

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[-1] != self.sizes[0]:
            raise ValueError(f"MLP: expected inputs of shape (..., {self.sizes[0]}), got {tuple(x.shape)}")
        return super().forward(x)


def _drawn(draw, like: Tensor, generator: torch.Generator | None) -> Tensor:
    """Random numbers for a parameter: on the CPU and in single precision, whatever the defaults, so that a seed tells."""
    return draw(like.shape, generator=generator, dtype=torch.float32, device="cpu")
