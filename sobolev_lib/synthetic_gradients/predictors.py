"""The small networks that sit at a cut: one predicts the class, the other the gradient itself."""
import math
from typing import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SLOPE = 0.1                                                # of the leaky ReLUs: plain ones died, and passed nothing any more


class ClassPredictor(nn.Module):
    """p(h): predicts the class from activations (N, *shape), as logits (N, num_classes).

    >>> ClassPredictor((16, 8, 8), num_classes=10)(torch.rand(4, 16, 8, 8)).shape
    torch.Size([4, 10])

    ``shape`` is (D,) for flat activations or (C, H, W) for maps. One hidden layer of ``width`` units, or two 3 x 3
    convolutions of ``width`` channels, each halving height and width, and averages over the four quarters of what is
    left: a small version of the network above. There is no batch normalisation, so each row's gradient is its own.
    The last layer starts at zero: at first every class is equally probable, and the gradient zero.
    Source: section 4.3, the class predictor p.
    """

    def __init__(self, shape: Sequence[int], num_classes: int, width: int = 64, *,
                 generator: torch.Generator | None = None):
        super().__init__()
        if len(shape) == 1:
            layers, places = [_linear(shape[0], width, generator), nn.LeakyReLU(SLOPE)], 1
        else:
            halved = [-(-side // 2) for side in shape[1:]]
            pooled = [min(2, -(-side // 4)) for side in shape[1:]]
            layers = [_halving(shape[0], width, shape[1:], generator), nn.LeakyReLU(SLOPE),
                      _halving(width, width, halved, generator), nn.LeakyReLU(SLOPE),
                      nn.AdaptiveAvgPool2d(pooled), nn.Flatten()]
            places = math.prod(pooled)
        self.features = nn.Sequential(*layers)
        self.head = _zero(nn.utils.skip_init(nn.Linear, width * places, num_classes))

    def forward(self, h: Tensor) -> Tensor:
        return self.head(self.features(h))


class GradientPredictor(nn.Module):
    """Predicts a gradient of the activations' own shape, from activations and labels: (N, *shape), (N,) to (N, *shape).

    >>> GradientPredictor((16, 8, 8), num_classes=10)(torch.rand(4, 16, 8, 8), torch.tensor([3, 1, 4, 1])).shape
    torch.Size([4, 16, 8, 8])

    With ``label_conditioning`` the label joins as ``num_classes`` more inputs; without, the prediction can't depend on it.
    The last layer starts at zero, so no gradient is passed until something has been learned.
    Source: the SG(h, y) of section 4.3, in the form of the original synthetic gradients.
    """

    def __init__(self, shape: Sequence[int], num_classes: int, width: int = 64, *, label_conditioning: bool = True,
                 generator: torch.Generator | None = None):
        super().__init__()
        self.num_classes, self.label_conditioning = num_classes, label_conditioning
        layer = _linear if len(shape) == 1 else _convolution
        self.first = layer(shape[0] + num_classes * label_conditioning, width, generator)
        self.second = layer(width, width, generator)
        self.last = _zero(layer(width, shape[0], generator))

    def forward(self, h: Tensor, y: Tensor) -> Tensor:
        if self.label_conditioning:
            label = F.one_hot(y, self.num_classes).to(h.dtype)
            label = label.reshape(*label.shape, *[1] * (h.ndim - 2)).expand(-1, -1, *h.shape[2:])
            x = torch.cat([h, label], dim=1)
        else:
            x = h
        return self.last(F.leaky_relu(self.second(F.leaky_relu(self.first(x), SLOPE)), SLOPE))


def _linear(inputs: int, outputs: int, generator) -> nn.Linear:
    return _he(nn.utils.skip_init(nn.Linear, inputs, outputs), generator)


def _halving(inputs: int, outputs: int, sides: Sequence[int], generator) -> nn.Conv2d:
    """A side of one stays: with a stride of 2 it would too, but PyTorch on a processor then leaves part of a bfloat16 weight's
    gradient as it finds the memory."""
    return _convolution(inputs, outputs, generator, tuple(min(2, side) for side in sides))


def _convolution(inputs: int, outputs: int, generator, stride: int | tuple[int, ...] = 1) -> nn.Conv2d:
    return _he(nn.utils.skip_init(nn.Conv2d, inputs, outputs, 3, stride, padding=1), generator)


@torch.no_grad()
def _he(layer, generator):
    drawn = torch.randn(layer.weight.shape, generator=generator, dtype=torch.float32, device="cpu")
    layer.weight.copy_(drawn * math.sqrt(2 / layer.weight[0].numel()))
    nn.init.zeros_(layer.bias)
    return layer


def _zero(layer):
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer
