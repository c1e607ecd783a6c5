"""Mean squared errors of a model's values and derivatives, over the labels that are there."""
import math
from contextlib import contextmanager
from typing import Iterator

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from sobolev_lib._rows import Model
from sobolev_lib.data import SobolevData, derivative_name
from sobolev_lib.derivatives import value_and_derivatives
from sobolev_lib.losses.protocol import fitted
from sobolev_lib.products import value_and_products

ROWS, ENTRIES = 4096, 2**20                                # at once: points, and entries of the highest derivative


def errors(model: Model, data: SobolevData, *, per_output: bool = False) -> dict[str, float | np.ndarray]:
    """Mean squared errors by order, "value_mse", "jacobian_mse", "hessian_mse" and so on, in the data's units.

    >>> f = sobolev_lib.functions.booth
    >>> data = sobolev_lib.label(f, torch.tensor([[1.0, 3.0], [0.0, 0.0]]))
    >>> errors(lambda x: f(x) + x[:, 0], data)              # off by 1 and 0 in value, by (1, 0) in gradient
    {'value_mse': 0.5, 'jacobian_mse': 1.0}

    ``model`` maps (N, *in) to (N, *out). Each entry's squared error is averaged over the points that have a label for it,
    and an order's error is the sum of these means over its entries. So with complete labels it is the squared L2 norm over
    a point's entries, mean over points, which ``SobolevLoss`` minimises with "mse". Unlike in the loss, a missing (NaN)
    label is no error of zero: labels at 2 of 20 points are averaged over the two. An entry without a label at any point
    takes no part; an order without any label is NaN.

    Where data have ``directions``, the last is "jacobian_product_mse" (or "hessian_product_mse", ...): the same along each
    direction, the sum over a point's directions. It grows with their number and the squares of their lengths.

    ``per_output=True`` gives arrays of shape (*out) instead of numbers, one error an output. Up to the order of ``data``;
    ``SobolevData(inputs, values)`` measures values alone. Modules are measured in evaluation mode and left each in its own;
    points go through in batches, each on the model's device; no parameter's ``grad`` changes, and sums are in float64.

    Raises ``TypeError`` for data that are not ``SobolevData`` or of another dtype than the model's, ``ValueError`` for
    outputs of another shape or a model that does not depend on its input. Source: section 4.1, which compares such test
    errors.
    """
    if not isinstance(data, SobolevData):
        raise TypeError(f"data: expected SobolevData (see sobolev_lib.label), got {type(data).__name__}")
    if len(data) == 0:
        raise ValueError("data: expected at least one point, got none")
    parameters = model.parameters() if isinstance(model, nn.Module) and data.order > 0 else ()
    if any(not is_lazy(p) and p.is_inference() for p in parameters):
        raise ValueError("model: expected parameters that derivatives can go through, got some that were made in "
                         "torch.inference_mode")
    sums, counts = None, None
    with evaluating(model), torch.inference_mode(False):
        for batch in _batches(model, data):
            found = [_squares(*pair) for pair in zip(fitted(_predictions(model, batch), batch.values), batch.derivatives)]
            here, present = zip(*found)
            sums = here if sums is None else [a + b for a, b in zip(sums, here)]
            counts = present if counts is None else [a + b for a, b in zip(counts, present)]
    outputs = math.prod(data.out_shape)
    result = {}
    for name, total, count in zip(error_names(data.order, data), sums, counts):
        means = (total / count).reshape(outputs, -1).cpu()                   # 0 / 0 where an entry has no label: NaN
        labelled = (count > 0).reshape(outputs, -1).cpu()
        by_output = torch.where(labelled, means, 0.0).sum(1)                 # a NaN prediction stays one
        by_output[~labelled.any(1)] = math.nan
        if per_output:
            result[name] = by_output.double().numpy().reshape(data.out_shape)
        else:
            result[name] = float(by_output[labelled.any(1)].sum()) if labelled.any() else math.nan
    return result


def error_names(order: int, data: SobolevData | None = None) -> list[str]:
    """What ``errors`` calls the errors up to ``order``, of ``data`` that may have some along directions.

    >>> error_names(2)
    ['value_mse', 'jacobian_mse', 'hessian_mse']
    """
    names = ["value", *[derivative_name(k) for k in range(1, order + 1)]]
    if data is not None and data.directions is not None and order == data.order:
        names[-1] += "_product"
    return [f"{name}_mse" for name in names]


@contextmanager
def evaluating(model: Model) -> Iterator[None]:
    """Evaluation mode for all modules of ``model``; afterwards each has the mode that it had, whatever happens.

    >>> model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Dropout().eval())
    >>> with evaluating(model):
    ...     y = model(torch.rand(3, 2))                     # (N, d) -> (N, q), without dropout or batch statistics
    >>> [module.training for module in model.modules()]
    [True, True, False]
    """
    modes = [(module, module.training) for module in model.modules()] if isinstance(model, nn.Module) else []
    try:
        if modes:
            model.eval()
        yield
    finally:
        for module, mode in modes:
            module.training = mode


def _batches(model: Model, data: SobolevData) -> Iterator[SobolevData]:
    """A few thousand points at a time, where the model is."""
    parameter = next(model.parameters(), None) if isinstance(model, nn.Module) else None
    place = data.inputs.device if parameter is None else parameter.device
    rows = max(1, min(ROWS, ENTRIES // max(1, data.derivatives[-1][0].numel())))
    for start in range(0, len(data), rows):
        batch = [tensor[start:start + rows].to(place) for tensor in data.tables]
        # what was made in inference mode can't be differentiated; a copy can
        yield SobolevData.of_tables([tensor.clone() if tensor.is_inference() else tensor for tensor in batch], data.order,
                                    data.extras)


def _predictions(model: Model, batch: SobolevData) -> list[Tensor]:
    with torch.set_grad_enabled(batch.order > 0):          # derivatives want a graph, even if the caller has switched it off
        x = batch.inputs.detach()
        if batch.directions is None:
            found = value_and_derivatives(model, x, batch.order)
        else:
            found = value_and_products(model, x, batch.directions, batch.order)
        return [tensor.detach() for tensor in found]


def _squares(prediction: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
    """Of each entry: the sum over points of its squared error, and the number of its labels."""
    precise = torch.float32 if label.device.type == "mps" else torch.float64
    present = ~label.isnan()
    difference = torch.where(present, prediction.to(precise) - label.to(precise), 0.0)
    return difference.square().sum(0), present.sum(0)
