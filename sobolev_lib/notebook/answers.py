"""Readers' answers as numbers, in whatever form they come, for the self-checks of the exercises."""
from collections.abc import Iterator

import numpy as np
import torch


def as_array(answer, shape: tuple[int, ...] | None = None) -> np.ndarray:
    """The finite numbers of an answer, a number or nested numbers of any kind, as a float64 array.

    >>> as_array([torch.tensor(0.5, requires_grad=True), 2])
    array([0.5, 2. ])
    >>> as_array(np.array([[0.5], [2.0]]), (2,))
    array([0.5, 2. ])
    >>> as_array("two", ())
    Traceback (most recent call last):
    ValueError: expected one number, got 'two'

    ``answer`` may be a number, tensor or array, or a list, tuple or iterator of these. ``shape`` is what it must have, ``()``
    for one number; only axes of length one may be more or fewer. Raises ``ValueError`` for anything else: text, None, NaN,
    infinity, rows of unequal length, another shape.
    """
    wanted = "numbers" if shape is None else _counted(shape)
    try:
        array = np.array(_floats(answer), dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"expected {wanted}, got {_short(answer)}") from None
    if shape is not None:
        if [n for n in array.shape if n != 1] != [n for n in shape if n != 1]:
            raise ValueError(f"expected {wanted}, got {_counted(array.shape)}")
        array = array.reshape(shape)
    if not np.isfinite(array).all():
        raise ValueError(f"expected finite numbers, got {array[~np.isfinite(array)][0]}")
    return array


def _floats(part):
    if isinstance(part, torch.Tensor):
        # NumPy has no bfloat16
        part = (part.double() if part.is_floating_point() else part).numpy(force=True)
    if isinstance(part, (list, tuple, range, Iterator)):
        return np.array([_floats(one) for one in part], dtype=np.float64)
    if hasattr(part, "__array__"):
        array = np.asarray(part)
        if array.dtype.kind == "O":
            return _floats(array.tolist())
        if array.dtype.kind not in "biuf":          # text and complex numbers, which NumPy would convert
            raise TypeError
        return array
    if not hasattr(part, "__float__"):              # text, which float would read, and None
        raise TypeError
    return float(part)


def _counted(shape) -> str:
    if all(n == 1 for n in shape):
        return "one number"
    return f"{shape[0]} numbers" if len(shape) == 1 else f"numbers of shape {tuple(shape)}"


def _short(answer) -> str:
    text = " ".join(repr(answer).split())
    return text if len(text) <= 60 else text[:60] + "…"
