"""The shipped teachers: trained weights that come with the library, and how they are written."""
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save

from sobolev_lib.atari.policies import Teacher
from sobolev_lib.records import write_whole

_KIND = "sobolev_lib.atari.Teacher"


def load_teacher(game: str, path: str | Path | None = None) -> Teacher:
    """The trained teacher of a game, ready to use: evaluation mode, no gradients for its parameters.

    >>> teacher = load_teacher("pong")
    >>> teacher(torch.zeros(1, 4, 84, 84, dtype=torch.uint8)).shape
    torch.Size([1, 6])

    ``game``: pong, breakout or space_invaders; how each was trained and what it scores is in the record of
    ``atari-teachers``. ``path`` loads another file that ``save_teacher`` wrote. Stored as float16, used as float32. Raises
    ``ValueError`` for a game without a teacher.
    """
    if path is None:
        shipped = shipped_weights()
        path = shipped / f"{game}.safetensors"
        if not path.exists():
            known = sorted(file.stem for file in shipped.glob("*.safetensors"))
            raise ValueError(f"game: expected one with a trained teacher ({', '.join(known)}), got {game!r}; train your own "
                             "with sobolev_lib.atari.train_teacher")
    with safe_open(path, framework="pt") as file:
        about = file.metadata() or {}
        weights = {name: file.get_tensor(name).float() for name in file.keys()}
    if about.get("kind") != _KIND or about.get("game") != game:
        raise ValueError(f"path: expected a {_KIND} for {game!r}, got {about.get('kind')} for {about.get('game')!r} in {path}")
    teacher = Teacher(int(about["num_actions"]))
    teacher.load_state_dict(weights)
    return teacher.eval().requires_grad_(False)


def save_teacher(teacher: Teacher, game: str, path: str | Path) -> None:
    """Write a teacher's weights as float16 (3.4 MB), whole or not at all.

    >>> save_teacher(teacher, "pong", "pong.safetensors")   # doctest: +SKIP
    """
    weights = {name: tensor.detach().cpu().half().contiguous() for name, tensor in teacher.state_dict().items()}
    about = {"kind": _KIND, "game": game, "num_actions": str(teacher.num_actions)}
    write_whole(Path(path), save(weights, metadata=about))


def shipped_weights() -> Path:
    """The folder of the shipped weights, where ``experiments run atari-teachers`` writes them."""
    return Path(__file__).resolve().parent / "weights"
