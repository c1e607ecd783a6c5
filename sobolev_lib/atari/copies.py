"""The shipped students: for a film, one that was shown the teacher's policy and one that was shown its slopes too."""
from pathlib import Path

from sobolev_lib._tensor_files import read_tensors, write_tensors
from sobolev_lib.atari.answers import Answers
from sobolev_lib.atari.distillation import Run, distill
from sobolev_lib.atari.policies import Student
from sobolev_lib.atari.states import record_states
from sobolev_lib.atari.teachers import in_half, load_teacher, shipped_weights

_KIND = "sobolev_lib.atari.Student"
SHARE, STEPS, WARMUP, CLIP = 0.01, 2_000, 100, 1.0
RUNS = {"kl": Run("kl", lr=5e-3), "sobolev": Run("sobolev", lr=6e-3, strength=0.01)}


def train_copies(game: str, *, states: int = 100_000, games: int = 16, share: float = SHARE, steps: int = STEPS,
                 progress: bool = True) -> dict[str, Student]:
    """Train both students on the same few states, from the same weights and with the same batches; by method.

    >>> copies = train_copies("breakout")                                                      # doctest: +SKIP
    >>> sorted(copies)                                                                         # doctest: +SKIP
    ['kl', 'sobolev']

    The first ``share`` of the training episodes of ``states`` recorded ones, ``games`` played side by side, ``steps`` steps
    of 200 states. Learning rates and alpha are those that the records of ``atari-distillation`` found, rounded. Half an
    hour on one core.
    """
    teacher = load_teacher(game)
    recorded = record_states(teacher, game, count=states, games=games, progress=progress)
    train, _, _ = recorded.split(share, seed=0)
    answers = {0: Answers(teacher, recorded, train, jacobian=True)}
    students = distill(list(RUNS.values()), answers, steps=steps, warmup=WARMUP, clip=CLIP, progress=progress)
    return dict(zip(RUNS, students))


def save_copy(student: Student, game: str, method: str, path: str | Path) -> None:
    """Write a student's weights as float16 (1.3 MB), whole or not at all.

    >>> save_copy(student, "breakout", "sobolev", "sobolev.safetensors")                       # doctest: +SKIP

    Raises ``ValueError`` for weights that are not finite in float16, whose largest number is 65,504.
    """
    about = {"kind": _KIND, "game": game, "method": method, "num_actions": str(student.num_actions)}
    write_tensors(path, in_half(student, "student"), about)


def load_copy(game: str, method: str) -> Student:
    """A shipped student, ready to use: evaluation mode, no gradients for its parameters.

    >>> student = load_copy("breakout", "sobolev")
    >>> student(torch.zeros(1, 4, 84, 84, dtype=torch.uint8)).shape
    torch.Size([1, 4])

    ``method``: "kl" (shown the teacher's policy) or "sobolev" (its slopes too). ``train_copies`` says how they came about.
    Raises ``ValueError`` where there is none, and for a damaged file.
    """
    path = copies_folder() / f"{game}-{method}.safetensors"
    if not path.exists():
        known = ", ".join(sorted(file.stem for file in copies_folder().glob("*.safetensors")))
        raise ValueError(f"game, method: expected one of the students {known}, got {game!r} and {method!r}")
    tensors, about = read_tensors(path, "path")
    found = about.get("kind"), about.get("game"), about.get("method")
    if found != (_KIND, game, method):
        raise ValueError(f"path: expected a {_KIND} for {game!r}, {method!r}, got {found[0]} for "
                         f"{found[1]!r}, {found[2]!r} in {path}")
    try:
        if not all(tensor.is_floating_point() and tensor.isfinite().all() for tensor in tensors.values()):
            raise ValueError("weights that are not finite numbers")
        student = Student(int(about["num_actions"]))
        student.load_state_dict({name: tensor.float() for name, tensor in tensors.items()})
    except (KeyError, ValueError, RuntimeError) as error:
        raise ValueError(f"path: expected a student's weights in {path}, got others: {error}") from None
    return student.eval().requires_grad_(False)


def copies_folder() -> Path:
    """Where the shipped students lie."""
    return shipped_weights() / "students"
