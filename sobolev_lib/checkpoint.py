"""One file that holds all of a training run: weights, optimiser, random states, history. No pickle."""
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor, nn
from torch.optim import Optimizer

from sobolev_lib.data import SobolevData
from sobolev_lib.records import write_whole


def save_checkpoint(path: Path, *, model: nn.Module, optimizer: Optimizer | Sequence[Optimizer],
                    tensors: dict[str, Tensor], progress: dict, fingerprint: str) -> None:
    """Write the run's state, whole or not at all. ``tensors`` are extra ones, ``progress`` is anything JSON holds."""
    contents = {f"model.{name}": tensor for name, tensor in model.state_dict().items()} | tensors
    rest = []                                              # of each optimiser: all that is no tensor
    for number, each in enumerate(_several(optimizer)):
        state, numbers = each.state_dict(), {}
        for index, entries in state["state"].items():
            for key, entry in entries.items():
                if isinstance(entry, Tensor):
                    contents[f"{_prefix(number)}.{index}.{key}"] = entry
                else:
                    numbers.setdefault(str(index), {})[key] = entry
        groups = [{key: value for key, value in group.items() if not isinstance(value, Tensor)}
                  for group in state["param_groups"]]
        rest.append({"groups": groups, "numbers": numbers})
    header = {"progress": progress, "fingerprint": fingerprint, "optimizers": rest}
    # safetensors refuses tensors that share memory, as tied weights do: a copy each
    contents = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in contents.items()}
    write_whole(path, save(contents, metadata={"sobolev_lib": json.dumps(header)}))


def load_checkpoint(path: Path, *, model: nn.Module, optimizer: Optimizer | Sequence[Optimizer],
                    fingerprint: str) -> tuple[dict, dict]:
    """Put model and optimisers back as they were; returns the extra tensors and the progress."""
    with safe_open(path, framework="pt") as file:
        header = json.loads((file.metadata() or {}).get("sobolev_lib", "{}"))
        if header.get("fingerprint") != fingerprint:
            raise ValueError(f"checkpoint: {path} belongs to another run (model, data, loss, optimiser, seed, batch size "
                             "or number of steps differ); expected the same call that made it. Choose another path or "
                             "delete the file")
        contents = {name: file.get_tensor(name) for name in file.keys()}
    optimizers, extra, weights = _several(optimizer), {}, {}
    states = [{int(index): dict(entries) for index, entries in rest["numbers"].items()} for rest in header["optimizers"]]
    numbers = {_prefix(number): number for number in range(len(optimizers))}
    for name, tensor in contents.items():
        kind, _, rest = name.partition(".")
        if kind == "model":
            weights[rest] = tensor
        elif kind in numbers:
            index, _, key = rest.partition(".")
            states[numbers[kind]].setdefault(int(index), {})[key] = tensor
        else:
            extra[name] = tensor
    model.load_state_dict(weights)
    for each, state, rest in zip(optimizers, states, header["optimizers"]):
        groups = [{key: tuple(value) if isinstance(value, list) and key != "params" else value
                   for key, value in group.items()} for group in rest["groups"]]
        each.load_state_dict({"state": state, "param_groups": groups})
    return extra, header["progress"]


def fingerprint(model: nn.Module, data: SobolevData, optimizer: Optimizer, *settings) -> str:
    """A hash that two calls of ``fit`` share exactly if they describe the same run."""
    digest = hashlib.sha256()
    for name, tensor in model.state_dict().items():
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype};".encode())
    for tensor in data.tensors:
        digest.update(tensor.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes())
    digest.update(f"{type(optimizer).__name__} {sorted(map(str, optimizer.defaults.items()))} {settings}".encode())
    return digest.hexdigest()[:16]


def _several(optimizer: Optimizer | Sequence[Optimizer]) -> list[Optimizer]:
    return [optimizer] if isinstance(optimizer, Optimizer) else list(optimizer)


def _prefix(number: int) -> str:
    return f"optimizer{number or ''}"
