"""Networks that can share one computation: what they must have in common, and how many of them at once."""
import os
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from sobolev_lib.data import SobolevData
from sobolev_lib.identity import describe

DRAWING = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout, nn.FeatureAlphaDropout)


def check_alike(models: Sequence[nn.Module], data: Sequence[SobolevData], order: int, remedy: str = "") -> None:
    """Raises ``ValueError`` unless one module computes for all, and their data have one shape."""
    for model in models:
        # buffers and frozen parameters of the others would be lost without a word
        held = [name for name, _ in model.named_buffers()]
        held += [name for name, p in model.named_parameters() if not p.requires_grad]
        if held:
            raise ValueError(f"models: expected trainable parameters only, got {held}{remedy}")
        drawing = [type(part).__name__ for part in model.modules() if isinstance(part, DRAWING) and part.training and part.p]
        if drawing:
            raise ValueError(f"models: expected none that draws at random, got {drawing[0]}; train such ones with fit")
    owner: dict[int, int] = {}
    shared = next(((owner[id(p)], k) for k, model in enumerate(models) for p in model.parameters()
                   if owner.setdefault(id(p), k) != k), None)
    if shared:
        raise ValueError(f"models: expected a network of its own for each, got parameters that numbers {shared[0]} and "
                         f"{shared[1]} share")
    # what a model prints need not be all that it does
    try:
        kinds = [[describe(model, "models", named=False), [(name, tuple(p.shape)) for name, p in model.named_parameters()]]
                 for model in models]
    except ValueError as error:                            # it speaks of checkpoints, for which it is there
        raise ValueError(f"models: {str(error).removeprefix('checkpoint: ')}; fit takes such models") from None
    other = next((k for k, kind in enumerate(kinds) if kind != kinds[0]), 0)
    if other:
        raise ValueError(f"models: expected one architecture with the same constants, got {models[0]!r} and, as number "
                         f"{other}, {models[other]!r}")
    shapes = {tuple(t.shape for t in d.up_to(order).tables) for d in data}
    if len(shapes) != 1:
        raise ValueError(f"data: expected data sets of equal shapes, got {sorted(map(str, shapes))}")
    extras = {d.up_to(order).extras for d in data}
    if len(extras) != 1:
        raise ValueError(f"data: expected all data sets with the same beside points and labels, got {sorted(extras)}")


def bounds_of(count: int, at_once: int) -> list[int]:
    """Where parts of at most ``at_once`` begin and end; of equal size, so that each shape is compiled once.

    >>> bounds_of(5, 2)
    [0, 2, 3, 5]
    """
    parts = -(-count // at_once)
    return [round(k * count / parts) for k in range(parts + 1)]


def that_fit(model: nn.Module, table: Sequence[Tensor], size: int) -> int:
    """How many networks' steps half of the free memory holds."""
    inputs = table[0]
    # each layer keeps about six tensors a point and derivative: values, slopes, adjoints, tangents, and what comes of them
    widths = sum(p.shape[0] for p in model.parameters())
    derivatives = max(1, table[1][0].numel())
    needed = inputs.element_size() * (6 * size * widths * derivatives + 5 * sum(p.numel() for p in model.parameters()))
    return max(1, int(_free_memory(inputs.device) / 2 // needed))


def _free_memory(device: torch.device) -> float:
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, AttributeError):                   # not every system tells
        return 2 ** 31
