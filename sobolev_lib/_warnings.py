"""Warnings that name the caller's line."""
import sys
import warnings


def warn_outside(message: str) -> None:
    """A warning at the line outside this package that led here, PyTorch's own lines passed over.

    >>> warn_outside("Look here.")                                          # doctest: +SKIP
    """
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] in ("sobolev_lib", "torch"):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, UserWarning, stacklevel=level)
