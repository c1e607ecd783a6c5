"""Z-scoring of inputs and values, with derivatives following by the chain rule."""
import math

import torch
from torch import Tensor, nn

from sobolev_lib.data import SobolevData


class Standardized(nn.Module):
    """A model in original units around a network that sees only z-scored inputs and values.

    >>> data = sobolev_lib.label(sobolev_lib.functions.booth, sobolev_lib.functions.booth.sample(50))
    >>> model = Standardized(sobolev_lib.models.MLP(2, 64, 1), data)
    >>> history = sobolev_lib.fit(model, data, steps=10, progress=False)
    >>> model(data.inputs).shape
    torch.Size([50, 1])

    With z = (x - mean) / std for each input and output, a derivative of order k in z-scores is the original one times
    k input scales over the output scale. ``standardize(data)`` does that to labels; calling the model undoes it, so
    autodiff through the model gives derivatives in original units. ``fit`` trains the inner network on z-scored data.
    Entries that don't vary keep scale 1. Raises ``ValueError`` for data whose shapes differ from the first ones.
    """

    def __init__(self, model: nn.Module, data: SobolevData):
        super().__init__()
        if not isinstance(data, SobolevData):
            raise TypeError(f"data: expected SobolevData, got {type(data).__name__}")
        self.model = model
        for name, tensor in (("input", data.inputs), ("output", data.values)):
            mean, std = _mean_and_std(tensor, name)
            self.register_buffer(f"{name}_mean", mean)
            self.register_buffer(f"{name}_std", std)

    def forward(self, x: Tensor) -> Tensor:
        y = self.model((x - self.input_mean) / self.input_std)
        mean, std = self.output_mean, self.output_std
        if y.ndim == 2 and y.shape[1] == 1 and mean.ndim == 0:  # scalar labels (N,), network output (N, 1)
            mean, std = mean.unsqueeze(0), std.unsqueeze(0)
        if y.shape[1:] != mean.shape:
            raise ValueError(f"model: expected outputs of shape {(len(x), *mean.shape)} as the data's values have, got "
                             f"{tuple(y.shape)}")
        return mean + std * y

    def standardize(self, data: SobolevData) -> SobolevData:
        """The same points with inputs, values and all derivatives in z-scores."""
        if data.in_shape != self.input_mean.shape or data.out_shape != self.output_mean.shape:
            raise ValueError(f"data: expected inputs {tuple(self.input_mean.shape)} and values "
                             f"{tuple(self.output_mean.shape)} a point, got {tuple(data.in_shape)} and "
                             f"{tuple(data.out_shape)}")
        scaled = [(data.values - self.output_mean) / self.output_std]
        m, d = math.prod(data.out_shape), math.prod(data.in_shape)
        for order, tensor in enumerate(data.derivatives[1:], start=1):
            table = tensor.reshape(len(data), m, *[d] * order) / self.output_std.reshape(m, *[1] * order)
            for axis in range(order):
                table = table * self.input_std.reshape(d, *[1] * axis)
            scaled.append(table.reshape(tensor.shape))
        return SobolevData.owning((data.inputs - self.input_mean) / self.input_std, *scaled)


def _mean_and_std(tensor: Tensor, name: str) -> tuple[Tensor, Tensor]:
    """Mean and scale of each entry over the points that have it; scale 1 where it doesn't vary."""
    dtype, missing = tensor.dtype, tensor.isnan()
    if missing.all(dim=0).any():
        raise ValueError(f"data: expected a value of each {name} at some point, got {int(missing.all(dim=0).sum())} without any")
    if dtype in (torch.float16, torch.bfloat16):
        tensor = tensor.float()                            # a tenth of their range would count as rounding
    largest = tensor.nan_to_num().abs().amax(dim=0)
    mean, std = tensor.mean(dim=0), tensor.std(dim=0, correction=0)
    if missing.any():
        count = (~missing).sum(dim=0)
        mean = tensor.nansum(dim=0) / count
        std = ((tensor - mean).square().nansum(dim=0) / count).sqrt()
    # squares of very large or small numbers leave the range: there, in units of the largest
    unit = torch.where(largest > 0, largest, 1.0)
    scaled = tensor / unit
    safe_mean = scaled.nanmean(dim=0)
    safe_std = (scaled - safe_mean).square().nanmean(dim=0).sqrt() * unit
    lost = ~(mean.isfinite() & std.isfinite()) | (std == 0)
    mean, std = torch.where(mean.isfinite(), mean, safe_mean * unit), torch.where(lost, safe_std, std)
    # a constant column has a std of rounding noise, which would blow it up
    noise = torch.finfo(tensor.dtype).eps * largest
    return mean.to(dtype), torch.where(std > 10 * noise, std, 1.0).to(dtype)
