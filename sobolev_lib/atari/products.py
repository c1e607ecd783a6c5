"""A policy's forward pass as matrix products, which many students' weights can go through side by side."""
from typing import Callable, Mapping

import torch
from torch import Tensor, nn

from sobolev_lib.atari.policies import BLOCK, Policy


def as_products(policy: Policy) -> Callable[[Mapping[str, Tensor], Tensor], Tensor]:
    """The function (parameters, x) -> logits of a policy, for x as ``blocks`` (N, 64, 21, 21).

    >>> policy = Student(num_actions=6)
    >>> run, x = as_products(policy), blocks(torch.zeros(2, 4, 84, 84, dtype=torch.uint8))
    >>> torch.allclose(run(dict(policy.named_parameters()), x), policy(x), atol=1e-5)
    True

    A batch of convolutions, each with weights of its own, is a grouped convolution, which GPUs do slowly; a batch of
    matrix products they do at full speed. Here a convolution is one product, and a sum of shifted parts of it. That needs
    kernels that are whole multiples of their strides, as all of a policy's are.
    """
    convolutions = [(f"features.{k}", module.kernel_size[0], module.stride[0])
                    for k, module in enumerate(policy.features) if isinstance(module, nn.Conv2d)]
    dense = next(f"features.{k}" for k, module in enumerate(policy.features) if isinstance(module, nn.Linear))

    def run(parameters, x):
        x, known = x.permute(0, 2, 3, 1), BLOCK            # channels last; the first layer's pixels come in blocks
        for name, kernel, stride in convolutions:
            x = _convolve(x, parameters[f"{name}.weight"], parameters[f"{name}.bias"], kernel, stride, known).relu()
            known = 1
        x = x.permute(0, 3, 1, 2).flatten(1)
        x = (x @ parameters[f"{dense}.weight"].T + parameters[f"{dense}.bias"]).relu()
        return x @ parameters["head.weight"].T + parameters["head.bias"]

    return run


def _convolve(x: Tensor, weight: Tensor, bias: Tensor, kernel: int, stride: int, known: int) -> Tensor:
    """A convolution of (N, H, W, C), whose C are ``known`` x ``known`` pixels of each channel, to (N, H', W', out)."""
    if kernel % stride or stride % known:
        raise ValueError(f"kernel: expected a multiple of the stride, and that a multiple of {known}, got {kernel} and {stride}")
    # blocks of stride x stride pixels turn it into a convolution with stride 1 and a kernel of reach x reach blocks
    side, reach = stride // known, kernel // stride
    size = x.shape[1] // side
    x = x[:, :size * side, :size * side].unflatten(2, (size, side)).unflatten(1, (size, side))   # (N, Y, y, X, x, C)
    x = x.unflatten(5, (-1, known, known)).permute(0, 1, 3, 5, 2, 6, 4, 7).flatten(3)            # (N, Y, X, c y y' x x')
    weight = weight.unflatten(3, (reach, stride)).unflatten(2, (reach, stride))                  # (out, c, Y, y, X, x)
    weight = weight.permute(1, 3, 5, 2, 4, 0).flatten(0, 2).flatten(1)                           # (c y x, Y X out)
    # each block times its weights at all places of the kernel, then moved there: patches would be reach^2 times as large.
    # A product for each state: one for all has a weight gradient that sums 90,000 terms in one place
    product = torch.bmm(x.flatten(1, 2), weight.expand(len(x), -1, -1)).unflatten(1, (size, size))
    pieces, wide = product.chunk(reach**2, dim=3), size - reach + 1
    moved = [piece[:, k // reach:k // reach + wide, k % reach:k % reach + wide] for k, piece in enumerate(pieces)]
    return sum(moved[1:], moved[0]) + bias
