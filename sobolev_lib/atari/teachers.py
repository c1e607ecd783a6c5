"""The shipped teachers: trained weights that come with the library, and how they are written."""
from pathlib import Path

import torch
from torch import Tensor, nn

from sobolev_lib._tensor_files import read_tensors, write_tensors
from sobolev_lib.atari.policies import Teacher

_KIND = "sobolev_lib.atari.Teacher"


def load_teacher(game: str, path: str | Path | None = None) -> Teacher:
    """The trained teacher of a game, ready to use: evaluation mode, no gradients for its parameters.

    >>> teacher = load_teacher("pong")
    >>> teacher(torch.zeros(1, 4, 84, 84, dtype=torch.uint8)).shape
    torch.Size([1, 6])

    ``game``: pong, breakout or space_invaders; how each was trained and what it scores is in the record of
    ``atari-teachers``. ``path`` loads another file that ``save_teacher`` wrote. Stored as float16, used as float32. Raises
    ``ValueError`` for a game without a teacher, and for a damaged file.
    """
    if path is None:
        shipped = shipped_weights()
        path = shipped / f"{game}.safetensors"
        if not path.exists():
            known = sorted(file.stem for file in shipped.glob("*.safetensors"))
            raise ValueError(f"game: expected one with a trained teacher ({', '.join(known)}), got {game!r}; train your own "
                             "with sobolev_lib.atari.train_teacher")
    tensors, about = read_tensors(path, "path")
    weights = {name: tensor.float() for name, tensor in tensors.items()}
    if about.get("kind") != _KIND or about.get("game") != game:
        raise ValueError(f"path: expected a {_KIND} for {game!r}, got {about.get('kind')} for {about.get('game')!r} in {path}")
    try:
        if not all(tensor.is_floating_point() and tensor.isfinite().all() for tensor in tensors.values()):
            raise ValueError("weights that are not finite numbers")
        teacher = Teacher(int(about["num_actions"]))
        teacher.load_state_dict(weights)
    except (KeyError, ValueError, RuntimeError) as error:
        raise ValueError(f"path: expected a teacher's weights in {path}, got others: {error}") from None
    return teacher.eval().requires_grad_(False)


def save_teacher(teacher: Teacher, game: str, path: str | Path) -> None:
    """Write a teacher's weights as float16 (3.4 MB), whole or not at all.

    >>> save_teacher(teacher, "pong", "pong.safetensors")   # doctest: +SKIP

    Raises ``ValueError`` for weights that are not finite in float16, whose largest number is 65,504.
    """
    about = {"kind": _KIND, "game": game, "num_actions": str(teacher.num_actions)}
    write_tensors(path, in_half(teacher, "teacher"), about)


def in_half(policy: nn.Module, what: str) -> dict[str, Tensor]:
    """A policy's weights as float16, by name; raises ``ValueError``, which begins with ``what``, where that can't hold them.

    >>> in_half(torch.nn.Linear(2, 1), "policy")["bias"].dtype
    torch.float16
    """
    weights = {name: tensor.detach().half() for name, tensor in policy.state_dict().items()}
    for name, tensor in weights.items():
        if not tensor.isfinite().all():
            largest = policy.state_dict()[name].abs().max().item()
            raise ValueError(f"{what}: expected weights that float16 can hold, up to "
                             f"{torch.finfo(torch.float16).max:,.0f}, got {largest:g} in {name}")
    return weights


def shipped_weights() -> Path:
    """The folder of the shipped weights, where ``experiments run atari-teachers`` writes them."""
    return Path(__file__).resolve().parent / "weights"
