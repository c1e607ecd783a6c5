"""One file that holds all of a training run: weights, optimiser, random states, history. No pickle."""
import contextlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from sobolev_lib._tensor_files import read_about, read_tensors, write_tensors


def save_checkpoint(path: Path, *, model: nn.Module, optimizer: Optimizer | Sequence[Optimizer],
                    tensors: dict[str, Tensor], progress: dict, fingerprint: str | dict[str, str]) -> None:
    """Write the run's state, whole or not at all. ``tensors`` are extra ones, ``progress`` is anything JSON holds.

    Raises ``ValueError`` where another run has begun to write to ``path``, and leaves its file.
    """
    _check_own(path, fingerprint)
    contents = {f"model.{name}": tensor for name, tensor in model.state_dict().items()} | tensors
    rest = []                                              # of each optimiser: all that is no tensor
    for number, each in enumerate(_several(optimizer)):
        state, numbers = each.state_dict(), {}
        for index, entries in state["state"].items():
            for key, entry in entries.items():
                name = f"{_prefix(number)}.{index}.{key}"
                if isinstance(entry, Tensor):
                    contents[name] = entry
                elif isinstance(entry, list) and any(isinstance(item, Tensor) for item in entry):
                    contents |= {f"{name}.{k}": item for k, item in enumerate(entry) if isinstance(item, Tensor)}
                    numbers.setdefault(str(index), {})[key] = [{"tensor": k} if isinstance(item, Tensor) else item
                                                               for k, item in enumerate(entry)]
                else:
                    numbers.setdefault(str(index), {})[key] = entry
        # a learning rate can be a tensor
        groups = [{key: {"tensor": value.tolist()} if isinstance(value, Tensor) else value for key, value in group.items()}
                  for group in state["param_groups"]]
        rest.append({"groups": groups, "numbers": numbers})
    header = {"progress": progress, "fingerprint": fingerprint, "optimizers": rest}
    try:
        text = json.dumps(header, default=_as_json)
    except TypeError as error:
        raise TypeError("checkpoint: expected on_step to return what JSON holds (numbers, text, lists of them), got something "
                        f"else: {error}") from None
    write_tensors(path, contents, {"sobolev_lib": text})


def load_checkpoint(path: Path, *, model: nn.Module, optimizer: Optimizer | Sequence[Optimizer],
                    fingerprint: str | dict[str, str]) -> tuple[dict, dict]:
    """Put model and optimisers back as they were; returns the extra tensors and the progress.

    ``fingerprint`` says what makes the run this one: a text, or a hash for each part (see ``identity.digest``). Raises
    ``ValueError`` naming the file, and the parts that differ, for a checkpoint of another run; and for what is no
    checkpoint, or a damaged one.
    """
    contents, about = read_tensors(path, "checkpoint")
    try:
        header = json.loads(about["sobolev_lib"])
        progress, rests, found = header["progress"], header["optimizers"], header["fingerprint"]
    except (KeyError, ValueError, TypeError, RecursionError):
        raise ValueError(f"checkpoint: expected a file that a training wrote, got another one in {path}") from None
    _check_same(path, found, fingerprint)
    with taken_over(path):
        if not isinstance(progress, dict):
            raise TypeError(f"progress: expected a dictionary, got {type(progress).__name__}")
        # in memory of their own: a sum's last digit can hang on where in memory its terms begin
        contents = {name: tensor.clone() for name, tensor in contents.items()}
        return _put_back(contents, rests, model, _several(optimizer)), progress


@contextlib.contextmanager
def taken_over(path: Path) -> Iterator[None]:
    """Within it a checkpoint's contents are put to use. What then goes wrong says that they are not what this call writes.

    >>> with taken_over(Path("run.safetensors")):
    ...     {}["step"]
    Traceback (most recent call last):
    ValueError: checkpoint: expected what this call writes, got other contents in run.safetensors: KeyError 'step'
    """
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except (AttributeError, LookupError, OverflowError, RuntimeError, TypeError, ValueError) as error:
        raise ValueError(f"checkpoint: expected what this call writes, got other contents in {path}: "
                         f"{type(error).__name__} {error}") from error


def _put_back(contents: dict[str, Tensor], rests: list[dict], model: nn.Module,
              optimizers: list[Optimizer]) -> dict[str, Tensor]:
    """Fill model and optimisers; returns the other tensors."""
    if len(rests) != len(optimizers):
        raise ValueError(f"expected {len(optimizers)} optimisers, got {len(rests)}")
    extra, weights = {}, {}
    states = [{int(index): dict(entries) for index, entries in rest["numbers"].items()} for rest in rests]
    numbers = {_prefix(number): number for number in range(len(optimizers))}
    for name, tensor in contents.items():
        kind, _, rest = name.partition(".")
        if kind == "model":
            weights[rest] = tensor
        elif kind in numbers:
            index, _, key = rest.partition(".")
            key, _, place = key.partition(".")
            entries = states[numbers[kind]].setdefault(int(index), {})
            if place:
                entries[key][int(place)] = tensor          # of a list, as L-BFGS keeps its steps
            else:
                entries[key] = tensor
        else:
            extra[name] = tensor
    model.load_state_dict(weights)
    for each, state, rest in zip(optimizers, states, rests):
        groups = [{key: _restored(value, now.get(key)) for key, value in group.items()}
                  for group, now in zip(rest["groups"], each.param_groups)]
        each.load_state_dict({"state": state, "param_groups": groups})
    return extra


def _as_json(value):
    if isinstance(value, (np.generic, np.ndarray)):
        return value.tolist()
    raise TypeError(f"a {type(value).__name__}")


def _check_own(path: Path, fingerprint: str | dict[str, str]) -> None:
    try:
        found = json.loads(read_about(path)["sobolev_lib"])["fingerprint"]
    except (KeyError, ValueError, TypeError, RecursionError):
        return                                             # no checkpoint, or a damaged one
    _check_same(path, found, fingerprint)


def _check_same(path: Path, found, expected) -> None:
    if found != expected:
        raise ValueError(f"checkpoint: {path} belongs to another run ({_differing(found, expected)}); expected the same "
                         "call that made it. Choose another path or delete the file")


def _restored(value, now):
    """An entry of an optimiser's group as it was, before JSON made lists of tuples."""
    if isinstance(value, dict) and "tensor" in value:
        return torch.tensor(value["tensor"], dtype=now.dtype, device=now.device)
    return tuple(value) if isinstance(value, list) and isinstance(now, tuple) else value


def _differing(found, expected) -> str:
    if isinstance(found, dict) and isinstance(expected, dict):
        return ", ".join(name for name in expected if expected[name] != found.get(name)) + " differ"
    if isinstance(expected, dict):
        return "an earlier version wrote it, which noted too little to tell"
    return "model, data, loss, optimiser, seed, batch size or number of steps differ"


def _several(optimizer: Optimizer | Sequence[Optimizer]) -> list[Optimizer]:
    return [optimizer] if isinstance(optimizer, Optimizer) else list(optimizer)


def _prefix(number: int) -> str:
    return f"optimizer{number or ''}"
