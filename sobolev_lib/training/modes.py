"""Training needs gradients, whatever mode the caller is in."""
import functools
from collections.abc import Callable
from typing import Any, TypeVar, cast

import torch

Function = TypeVar("Function", bound=Callable[..., Any])


def with_gradients(function: Function) -> Function:
    """The same function, which computes gradients also within ``torch.no_grad`` and ``torch.inference_mode``.

    >>> with torch.no_grad():
    ...     with_gradients(torch.is_grad_enabled)()
    True
    """
    # not by PyTorch's own decorators: warnings that look for the caller's line pass over this package's frames only
    @functools.wraps(function)
    def call(*arguments, **settings):
        with torch.inference_mode(False), torch.enable_grad():
            return function(*arguments, **settings)

    return cast(Function, call)
