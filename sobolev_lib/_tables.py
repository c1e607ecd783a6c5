"""What the tables of a data set must be: numbers of one dtype, in shapes that fit each other."""
import math
import numbers

import numpy as np
import torch
from torch import Tensor

_NAMES = ("values", "jacobian", "hessian")
_DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


def derivative_name(order: int) -> str:
    """"values", "jacobian", "hessian", then "derivative 3" and so on."""
    return _NAMES[order] if order < len(_NAMES) else f"derivative {order}"


def check_order_of_tables(inputs, values, jacobian=None, weights=None) -> None:
    """Raises ``ValueError`` where tables (of pandas and the like) say that columns or rows are in another order.

    >>> check_order_of_tables(torch.rand(3, 2), torch.rand(3))                                 # tensors say nothing
    """
    columns, slopes = [list(getattr(table, "columns", ())) for table in (inputs, jacobian)]
    moved = [name for k, name in enumerate(slopes) if name in columns and columns.index(name) != k]
    if moved:
        raise ValueError(f"jacobian: expected columns in the order of the inputs', {columns}, got {slopes}")
    for name, table in (("values", values), ("jacobian", jacobian), ("weights", weights)):
        rows, own = getattr(inputs, "index", None), getattr(table, "index", None)
        if rows is None or own is None or callable(rows) or callable(own) or len(rows) != len(own):
            continue
        if list(rows) != list(own) and set(rows) == set(own):
            raise ValueError(f"{name}: expected rows in the order of the inputs', {list(rows[:3])} ..., got the "
                             f"same rows in another, {list(own[:3])} ...")


def check_square(square: float, largest: float, order: int, dtype: torch.dtype) -> None:
    """Raises ``ValueError`` where the mean square of labels up to ``largest`` has left the range of their dtype.

    >>> check_square(4.0, 2.0, order=0, dtype=torch.float32)
    """
    if not math.isfinite(square) or square == 0 < largest:
        raise ValueError(f"normalize: expected {derivative_name(order)} whose squares {dtype} can hold, got numbers up to "
                         f"{largest:.1e}; choose other units, float64, or Standardized")


def as_tensor(value, name: str) -> Tensor:
    if value is None:
        raise TypeError(f"{name}: expected a tensor, got None")
    if isinstance(value, np.ma.MaskedArray):
        value = value.filled(np.nan) if value.dtype.kind == "f" else value.data
    try:
        # a copy: later changes to what was given must not reach the data, and PyTorch can't take read-only arrays
        array = not isinstance(value, Tensor) and hasattr(value, "__array__")
        with torch.inference_mode(False):                  # else nothing could be trained on what is made in that mode
            tensor = value.detach().clone() if isinstance(value, Tensor) else torch.as_tensor(
                np.array(value) if array else value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise TypeError(f"{name}: expected a tensor or array of numbers, got {type(value).__name__} ({error})") from None
    if not tensor.is_floating_point():
        raise TypeError(f"{name}: expected a floating-point tensor, got {tensor.dtype}")
    if tensor.dtype not in _DTYPES or tensor.layout != torch.strided:
        raise TypeError(f"{name}: expected a dense tensor of numbers, of 16 to 64 bits each, got {tensor.dtype}, "
                        f"{tensor.layout}")
    return tensor


def checked_weights(weights: Tensor, inputs: Tensor) -> Tensor:
    if weights.shape != inputs.shape[:1]:
        raise ValueError(f"weights: expected shape ({len(inputs)},), one a point, got {tuple(weights.shape)}")
    if not (weights.isfinite() & (weights >= 0)).all() or not (weights > 0).any():
        raise ValueError("weights: expected finite numbers >= 0, not all 0, got "
                         f"{'zeros only' if (weights == 0).all() else f'numbers from {weights.min()} to {weights.max()}'}")
    if weights.dtype != inputs.dtype or weights.device != inputs.device:
        raise TypeError(f"weights: expected {inputs.dtype} on {inputs.device} as the inputs are, got {weights.dtype} on "
                        f"{weights.device}")
    return weights


def checked_noise(noise, derivatives) -> tuple[Tensor, ...]:
    """Standard deviations as tables of the labels' shapes, 1 where there is no label."""
    rule = f"{len(derivatives)} standard deviations or tables of them, one an order"
    if not isinstance(noise, (list, tuple)) or len(noise) != len(derivatives):
        raise ValueError(f"noise: expected {rule}, got {len(noise) if isinstance(noise, (list, tuple)) else noise!r}")
    found = []
    for k, (given, labels) in enumerate(zip(noise, derivatives)):
        name = f"noise of {derivative_name(k)}"
        if isinstance(given, numbers.Real) and not isinstance(given, bool):
            table = torch.full_like(labels, float(given))
        else:
            table = as_tensor(given, name)
            if table.dtype != labels.dtype or table.device != labels.device:
                raise TypeError(f"{name}: expected {labels.dtype} on {labels.device} as the labels are, got "
                                f"{table.dtype} on {table.device}")
        if table.shape != labels.shape:
            raise ValueError(f"{name}: expected a number or shape {tuple(labels.shape)} as the labels have, got "
                             f"{tuple(table.shape)}")
        table = torch.where(labels.isnan(), 1.0, table)
        if not (table.isfinite() & (table > 0)).all():
            raise ValueError(f"{name}: expected finite standard deviations above zero, got "
                             f"{int((~(table.isfinite() & (table > 0))).sum())} others")
        found.append(table)
    return tuple(found)


def check_tables(tensors: list[Tensor], names: list[str], directions: Tensor | None = None) -> None:
    """Raises unless inputs, values and derivatives fit, of which the highest may be along directions (N, k, *in)."""
    inputs, values = tensors[:2]
    if inputs.ndim == 0 or len(inputs) == 0:
        raise ValueError(f"inputs: expected shape (N, ...) with N >= 1, got {tuple(inputs.shape)}")
    if not inputs[0].numel():
        raise ValueError(f"inputs: expected at least one number a point, got shape {tuple(inputs.shape)}")
    if values.ndim == 0 or len(values) != len(inputs):
        raise ValueError(f"values: expected shape ({len(inputs)}, ...), one row per input, got {tuple(values.shape)}")
    if not values[0].numel():
        raise ValueError(f"values: expected at least one number a point, got shape {tuple(values.shape)}")
    if directions is not None:
        if len(tensors) < 3:
            raise ValueError("directions: expected derivative labels along them, got values only")
        check_shape_of_directions(directions, inputs)
    for k, (tensor, name) in enumerate(zip(tensors[1:], names[1:])):
        axes, more = tuple(inputs.shape[1:]) * k, ""
        if directions is not None and k == len(tensors) - 2:
            axes, more = (directions.shape[1], *axes[inputs.ndim - 1:]), f" and directions {tuple(directions.shape)}"
        expected = (*values.shape, *axes)
        if tuple(tensor.shape) != expected:
            raise ValueError(f"{name}: expected shape {expected} for values {tuple(values.shape)} and inputs "
                             f"{tuple(inputs.shape)}{more}, got {tuple(tensor.shape)}")
    if not inputs.is_floating_point():
        raise TypeError(f"inputs: expected a floating-point tensor, got {inputs.dtype}")
    also = [] if directions is None else [(directions, "directions")]
    for tensor, name in [*zip(tensors[1:], names[1:]), *also]:
        if tensor.dtype != inputs.dtype:
            raise TypeError(f"{name}: expected {inputs.dtype} as the inputs have, got {tensor.dtype}")
        if tensor.device != inputs.device:
            raise ValueError(f"{name}: expected device {inputs.device} as the inputs have, got {tensor.device}")
    if inputs.is_meta:
        raise TypeError("inputs: expected tensors of numbers, got meta tensors, which hold none")
    unlabelled = values.reshape(len(values), -1).isnan().any(1)
    for tensor in tensors[2:]:                             # a missing value is fine where a slope is known
        unlabelled = unlabelled & tensor.reshape(len(tensor), -1).isnan().all(1)
    unlabelled = unlabelled | values.reshape(len(values), -1).isinf().any(1)
    more = " (a value may be missing only where a derivative is known)" if len(tensors) > 2 else ""
    for name, bad, note in (("inputs", ~inputs.isfinite(), ""), ("values", unlabelled, more)):
        if bad.any():
            raise ValueError(f"{name}: expected finite numbers, got {int(bad.sum())} NaN or infinite{note}")
    for tensor, name in zip(tensors[2:], names[2:]):
        if tensor.isinf().any():
            raise ValueError(f"{name}: expected finite numbers (NaN for missing ones), got "
                             f"{int(tensor.isinf().sum())} infinite")
    if directions is not None:
        _check_directions(directions, tensors[-1], tuple(values.shape))


def check_shape_of_directions(directions: Tensor, inputs: Tensor) -> None:
    """Raises ``ValueError`` unless there are directions (N, k, *in), at least one at each of the inputs (N, *in).

    >>> check_shape_of_directions(torch.rand(5, 1, 2), torch.rand(5, 2))
    """
    rule = f"({len(inputs)}, k, {', '.join(map(str, inputs.shape[1:]))})".replace(", )", ")")
    if directions.ndim != inputs.ndim + 1 or len(directions) != len(inputs) or not directions.shape[1] or \
            directions.shape[2:] != inputs.shape[1:]:
        raise ValueError(f"directions: expected shape {rule}, k >= 1 of them a point, got {tuple(directions.shape)}")


def _check_directions(directions: Tensor, labels: Tensor, values_shape: tuple[int, ...]) -> None:
    if not directions.isfinite().all():
        raise ValueError(f"directions: expected finite numbers, got {int((~directions.isfinite()).sum())} NaN or infinite "
                         "(a direction without a label is zeros, and its label NaN)")
    n, k = directions.shape[:2]
    zero = ~directions.reshape(n, k, -1).any(2)
    labelled = ~labels.reshape(n, math.prod(values_shape[1:]), k, -1).isnan().all(3).all(1)
    if (zero & labelled).any():
        raise ValueError("directions: expected none that is zero where there is a label, since any derivative along it is "
                         f"zero, got {int((zero & labelled).sum())}")
