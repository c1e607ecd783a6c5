"""Z-scoring of inputs and values, with derivatives following by the chain rule."""
import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from sobolev_lib.data import SobolevData
from sobolev_lib.teacher import Teacher


@dataclass(frozen=True)
class ZScores:
    """Means and scales of inputs and values, and what they do to points, predictions and labels.

    >>> data = sobolev_lib.label(sobolev_lib.functions.booth, sobolev_lib.functions.booth.sample(50))
    >>> scores = ZScores.of(data)
    >>> scaled = scores.standardize(data)
    >>> torch.allclose(scores.outputs(scaled.values), data.values, rtol=1e-3)
    True

    ``input_mean`` and ``input_std`` have the shape of one input, (*in), ``output_mean`` and ``output_std`` of one value,
    (*out). With z = (x - mean) / std for each input and output, a derivative of order k in z-scores is the original one
    times k input scales over the output scale.
    """

    input_mean: Tensor
    input_std: Tensor
    output_mean: Tensor
    output_std: Tensor

    @classmethod
    def of(cls, data: SobolevData) -> "ZScores":
        """Over the points that have them. An entry that doesn't vary has the scale that its slopes tell, else 1.

        So no answer depends on its unit. In z-scores such an input has slopes of size 1, and such an output the length 1 of
        its slopes along the inputs that vary.
        """
        if not isinstance(data, SobolevData):
            raise TypeError(f"data: expected SobolevData, got {type(data).__name__}")
        (input_mean, input_std), (output_mean, output_std) = [
            _mean_and_std(table, name, data.weights) for table, name in ((data.inputs, "input"), (data.values, "output"))]
        input_std, output_std = _told_by_slopes(data, input_std, output_std)
        return cls(input_mean, input_std, output_mean, output_std)

    def inputs(self, x: Tensor) -> Tensor:
        """Points (..., *in) in z-scores."""
        own = tuple(self.input_mean.shape)
        if own and tuple(x.shape[-len(own):]) != own:      # (N, 1) would become (N, d)
            raise ValueError(f"inputs: expected shape (..., {', '.join(map(str, own))}) as the data have, got {tuple(x.shape)}")
        return (x - self.input_mean) / self.input_std

    def outputs(self, z: Tensor) -> Tensor:
        """Values (N, *out) in original units, from z-scores; (N, 1) may stand for (N,)."""
        mean, std = self.output_mean, self.output_std
        if z.ndim == 2 and z.shape[1] == 1 and mean.ndim == 0:  # scalar labels (N,), network output (N, 1)
            mean, std = mean.unsqueeze(0), std.unsqueeze(0)
        if z.shape[1:] != mean.shape:
            raise ValueError(f"model: expected outputs of shape {(len(z), *mean.shape)} as the data's values have, got "
                             f"{tuple(z.shape)}")
        return mean + std * z

    def jacobian(self, z: Tensor) -> Tensor:
        """A Jacobian (N, *out, *in) in original units, from z-scores."""
        scale = self.output_std.reshape(*self.output_std.shape, *[1] * self.input_std.ndim)
        return z * scale / self.input_std

    def standardize(self, source: SobolevData | Teacher) -> SobolevData | Teacher:
        """The same points with inputs, values and all derivatives in z-scores; raises ``ValueError`` for other shapes.

        Noise levels are scaled as their labels are. Directions turn with the inputs and keep their lengths.
        """
        if source.in_shape != self.input_mean.shape or source.out_shape != self.output_mean.shape:
            raise ValueError(f"data: expected inputs {tuple(self.input_mean.shape)} and values "
                             f"{tuple(self.output_mean.shape)} a point, got {tuple(source.in_shape)} and "
                             f"{tuple(source.out_shape)}")
        if isinstance(source, Teacher):                    # its derivatives follow by the chain rule
            return Teacher.at(lambda z: (source.answers(self.input_mean + self.input_std * z) - self.output_mean)
                              / self.output_std, self.inputs(source.inputs))
        q, d = math.prod(source.out_shape), math.prod(source.in_shape)
        directions, stretched = None, None
        if source.directions is not None:
            directions, stretched = self._directions(source.directions)

        def in_z_scores(tensor: Tensor, order: int) -> Tensor:
            along = source.directions is not None and order == source.order
            axes = [stretched.shape[1], *[d] * (order - 1)] if along else [d] * order
            table = tensor.reshape(len(source), q, *axes) / self.output_std.reshape(q, *[1] * order)
            if along:
                table = table * stretched.reshape(len(source), 1, -1, *[1] * (order - 1))
            for axis in range(order - along):
                table = table * self.input_std.reshape(d, *[1] * axis)
            return table.reshape(tensor.shape)

        values = (source.values - self.output_mean) / self.output_std
        derivatives = [in_z_scores(tensor, k) for k, tensor in enumerate(source.derivatives[1:], start=1)]
        noise = None if source.noise is None else [in_z_scores(tensor, k) for k, tensor in enumerate(source.noise)]
        return SobolevData.owning(self.inputs(source.inputs), values, *derivatives, weights=source.weights,
                                  directions=directions, noise=noise)

    def _directions(self, directions: Tensor) -> tuple[Tensor, Tensor]:
        """Directions (N, k, *in) in z-scores, and what the labels along them (N, k) are multiplied by for that.

        Each keeps its length: so unit vectors stay what they are, and count as the columns of a whole Jacobian do.
        """
        scaled = (directions / self.input_std).reshape(*directions.shape[:2], -1)
        before = torch.linalg.vector_norm(directions.reshape(scaled.shape), dim=2)
        after = torch.linalg.vector_norm(scaled, dim=2)
        factor = torch.where(after > 0, before / torch.where(after > 0, after, 1.0), 1.0)
        return (scaled * factor.unsqueeze(2)).reshape(directions.shape), factor


class Standardized(nn.Module):
    """A model in original units around a network that sees only z-scored inputs and values.

    >>> data = sobolev_lib.label(sobolev_lib.functions.booth, sobolev_lib.functions.booth.sample(50))
    >>> model = Standardized(sobolev_lib.models.MLP(2, 64, 1), data)
    >>> history = sobolev_lib.fit(model, data, steps=10, progress=False)
    >>> model(data.inputs).shape
    torch.Size([50, 1])

    ``data`` gives the ``ZScores``, or is such. ``standardize(data)`` turns labels into z-scores; calling the model undoes
    it, so autodiff through the model gives derivatives in original units. ``fit`` trains the inner network on z-scored data.
    Entries that don't vary have the scale that their slopes tell, else 1. Raises ``ValueError`` for data whose shapes differ
    from the first ones.
    """

    def __init__(self, model: nn.Module, data: SobolevData | ZScores):
        super().__init__()
        scores = data if isinstance(data, ZScores) else ZScores.of(data)
        self.model = model
        for name, tensor in vars(scores).items():
            self.register_buffer(name, tensor)

    @property
    def scores(self) -> ZScores:
        return ZScores(self.input_mean, self.input_std, self.output_mean, self.output_std)

    def forward(self, x: Tensor) -> Tensor:
        scores = self.scores
        return scores.outputs(self.model(scores.inputs(x)))

    def standardize(self, source: SobolevData | Teacher) -> SobolevData | Teacher:
        """The same points with inputs, values and all derivatives in z-scores."""
        return self.scores.standardize(source)


def _mean_and_std(tensor: Tensor, name: str, weights: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Mean and scale of each entry over the points that have it, and a weight; scale 0 where it doesn't vary."""
    if weights is not None:                                # a point that doesn't count has no say in what rounding is, either
        tensor = tensor.masked_fill((weights == 0).reshape(-1, *[1] * (tensor.ndim - 1)), torch.nan)
    dtype, missing = tensor.dtype, tensor.isnan()
    if missing.all(dim=0).any():
        raise ValueError(f"data: expected a value of each {name} at some point, got {int(missing.all(dim=0).sum())} without")
    if dtype in (torch.float16, torch.bfloat16):
        tensor = tensor.float()                            # a tenth of their range would count as rounding
    largest = tensor.nan_to_num().abs().amax(dim=0)

    def moments(table: Tensor) -> tuple[Tensor, Tensor]:
        if weights is not None:
            share = torch.where(missing, 0.0, weights.to(table).reshape(-1, *[1] * (table.ndim - 1)))
            share = share / share.sum(dim=0)
            mean = (share * table.nan_to_num()).sum(dim=0)
            return mean, (share * (table - mean).nan_to_num().square()).sum(dim=0).sqrt()
        if missing.any():
            count = (~missing).sum(dim=0)
            mean = table.nansum(dim=0) / count
            return mean, ((table - mean).square().nansum(dim=0) / count).sqrt()
        return table.mean(dim=0), table.std(dim=0, correction=0)

    mean, std = moments(tensor)
    # squares of very large or small numbers leave the range: there, in units of the largest
    unit = torch.where(largest > 0, largest, 1.0)
    safe_mean, safe_std = moments(tensor / unit)
    lost = ~(mean.isfinite() & std.isfinite()) | (std == 0)
    mean, std = torch.where(mean.isfinite(), mean, safe_mean * unit), torch.where(lost, safe_std * unit, std)
    # a constant column has a std of rounding noise, which would blow it up
    noise = torch.finfo(tensor.dtype).eps * largest
    return mean.to(dtype), torch.where(std > 10 * noise, std, 0.0).to(dtype)


def _told_by_slopes(data: SobolevData, input_std: Tensor, output_std: Tensor) -> tuple[Tensor, Tensor]:
    """Scales of inputs and outputs, those that are 0 replaced: by what slopes tell, else by 1."""
    x, y = input_std.double().reshape(-1), output_std.double().reshape(-1)
    if (x > 0).all() and (y > 0).all():
        return input_std, output_std
    steep = torch.zeros(len(y), len(x), dtype=torch.float64, device=x.device)            # root mean squares of slopes
    if data.order > 1 or data.order == 1 and data.directions is None:
        slopes = data.derivatives[1].double().reshape(len(data), len(y), len(x))
        if data.weights is not None:
            slopes = slopes.masked_fill((data.weights == 0).reshape(-1, 1, 1), torch.nan)
        largest = slopes.nan_to_num().abs().amax(dim=0)
        steep = (slopes / torch.where(largest > 0, largest, 1.0)).square().nanmean(dim=0).sqrt().nan_to_num() * largest
    rise = torch.linalg.vector_norm(steep * x, dim=1)      # along the inputs that vary
    y = torch.where(y > 0, y, torch.where(rise > 0, rise, 1.0))
    share = torch.linalg.vector_norm(steep / y[:, None], dim=0) / len(y) ** 0.5
    x = torch.where(x > 0, x, torch.where(share > 0, 1 / share, 1.0))
    x, y = x.to(input_std.dtype), y.to(output_std.dtype)   # in which a scale may be out of range
    x, y = [torch.where(scale.isfinite() & (scale > 0), scale, 1.0) for scale in (x, y)]
    return x.reshape(input_std.shape), y.reshape(output_std.shape)
