"""Numbers as arguments: Python's and NumPy's alike, and what to say where one is neither."""
import math
import numbers

import torch


def integer(value, name: str, expected: str = "a positive integer", *, least: int = 1) -> int:
    """``value`` as an ``int``; raises ``ValueError`` if it is no whole number of at least ``least``.

    >>> integer(np.int64(5), "steps")
    5
    """
    if not isinstance(value, numbers.Integral) or isinstance(value, bool) or value < least:
        raise ValueError(f"{name}: expected {expected}, got {value!r}")
    return int(value)


def seed_of(value, name: str = "seed") -> int:
    """``value`` as a seed that PyTorch's generators take; raises ``ValueError`` if it is none.

    >>> seed_of(np.int64(5))
    5
    """
    found = integer(value, name, "an integer", least=-2**63)
    if found >= 2**63 - 1:                                 # the next one is taken too
        raise ValueError(f"{name}: expected an integer of 64 bits, got {value!r}")
    return found


def device_of(value, name: str = "device") -> torch.device | None:
    """``value`` as a device that this machine has and that holds numbers, None as None; raises ``ValueError`` else.

    >>> device_of("cpu")
    device(type='cpu')
    """
    if value is None:
        return None
    try:
        device = torch.empty(0, device=value).device
    except (RuntimeError, AssertionError, NotImplementedError, TypeError):  # the second where PyTorch was built without CUDA
        raise ValueError(f"{name}: expected a device that this machine has, as 'cpu' or 'cuda', got {value!r}") from None
    if device.type == "meta":
        raise ValueError(f"{name}: expected a device that holds numbers, got {value!r}")
    return device


def check_callable(value, name: str, what: str) -> None:
    """Raises ``TypeError`` unless ``value`` is None or can be called; ``what`` says what is expected.

    >>> check_callable(None, "on_step", "a function of step and model")
    """
    if value is not None and not callable(value):
        raise TypeError(f"{name}: expected {what}, got {type(value).__name__}")


def number(value, name: str, expected: str = "a positive number", *, zero: bool = False) -> float:
    """``value`` itself; raises ``ValueError`` if it is no finite number above zero (or, with ``zero``, zero).

    >>> number(np.float64(0.5), "lr")
    0.5
    """
    if not isinstance(value, numbers.Real) or isinstance(value, bool) or not math.isfinite(value) or value < 0 or \
            not zero and value == 0:
        raise ValueError(f"{name}: expected {expected}, got {value!r}")
    return value if isinstance(value, (int, float)) and type(value) in (int, float) else float(value)


def several(values, name: str, expected: str = "a list or tuple") -> list:
    """``values`` in their order, as a list; raises ``ValueError`` for what has none, as a set or a single number.

    >>> several(np.array([1.0, 0.5]), "weights")
    [1.0, 0.5]
    """
    if isinstance(values, (str, bytes, set, frozenset, dict)) or not hasattr(values, "__len__") or \
            not hasattr(values, "__getitem__"):
        raise ValueError(f"{name}: expected {expected}, got {values!r}")
    return values.tolist() if hasattr(values, "tolist") else list(values)


def several_numbers(values, name: str, count: int, expected: str, each: str, *, zero: bool = False) -> tuple[float, ...]:
    """``count`` numbers in their order; raises ``ValueError`` saying what was ``expected`` of all, or of ``each``.

    >>> several_numbers([1, 0.5], "weights", 2, "2 numbers", "numbers above zero")
    (1, 0.5)
    """
    found = several(values, name, expected)
    if len(found) != count:
        raise ValueError(f"{name}: expected {expected}, got {values!r}")
    try:
        return tuple(number(value, name, zero=zero) for value in found)
    except ValueError:
        raise ValueError(f"{name}: expected {each}, got {values!r}") from None
