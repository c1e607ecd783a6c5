"""``python -m sobolev_lib.atari``: what it prints, and wrong arguments that exit with 2 and say why."""
import importlib
import sys

import numpy as np
import pytest
from arcade import Tiny, count_games, tiny

from sobolev_lib.atari import RecordedStates, Student, __main__, load_teacher, play, save_teacher, states, teachers


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """One tiny teacher is shipped, for a game without an emulator."""
    monkeypatch.setattr(teachers, "Teacher", Tiny)
    monkeypatch.setattr(teachers, "shipped_weights", lambda: tmp_path / "weights")
    monkeypatch.setenv("SOBOLEV_CACHE", str(tmp_path / "cache"))
    for module in (states, importlib.import_module("sobolev_lib.atari.play")):
        count_games(monkeypatch, module)
    save_teacher(tiny(seed=9), "pong", tmp_path / "weights" / "pong.safetensors")
    return tmp_path


def test_play_prints_the_mean_and_the_range_of_the_scores(capsys):
    assert __main__.main(["play", "pong", "--episodes", "4", "--seed", "3"]) == 0
    scores = play(load_teacher("pong"), "pong", episodes=4, seed=3)
    assert capsys.readouterr().out == (f"mean score {np.mean(scores):.1f} over 4 episodes "
                                       f"(lowest {min(scores):.0f}, highest {max(scores):.0f})\n")


def test_record_says_where_the_states_lie(folder, capsys):
    for arguments, place in ((["--states", "200"], folder / "cache" / "atari"),
                             (["--states", "150", "--folder", str(folder / "here"), "--seed", "2"], folder / "here")):
        assert __main__.main(["record", "pong", *arguments]) == 0
        first, path = capsys.readouterr().out.splitlines()
        made = RecordedStates(path)
        assert made.folder.parent == place and str(len(made)) in arguments
        whole = [score for score in made.about["scores"] if score is not None]
        assert first == f"{len(made)} states of {len(made.starts)} episodes, mean score {np.mean(whole):.1f}"
    assert made.about["seed"] == 2
    assert __main__.main(["record", "pong", "--states", "3"]) == 0
    assert capsys.readouterr().out.startswith("3 states, no whole episode\n")


@pytest.mark.parametrize("arguments, message", [
    ([], "required"), (["erase", "pong"], "erase"), (["play"], "game"), (["play", "pong", "--episodes", "many"], "many"),
    (["play", "chess"], "trained teacher (pong), got 'chess'"),
    (["record", "chess"], "trained teacher (pong), got 'chess'"),
    (["copies", "chess"], "trained teacher (pong), got 'chess'"),
    (["play", "pong", "--episodes", "0"], "episodes: expected a positive number, got 0"),
    (["record", "pong", "--states", "-5"], "count: expected a positive number of states, got -5"),
    (["play", "pong", "--device", "gpu"], "device: expected cpu, or a cuda or cuda:N that this machine has, got 'gpu'"),
    (["record", "pong", "--device", "cuda:99"], "that this machine has, got 'cuda:99'"),
], ids=lambda value: " ".join(value) if isinstance(value, list) else "")
def test_wrong_arguments_exit_with_2_and_say_why(arguments, message, capsys):
    try:
        code = __main__.main(arguments)
    except SystemExit as stop:
        code = stop.code
    printed = capsys.readouterr()
    assert code == 2 and message in printed.err and not printed.out


def test_without_an_emulator_it_says_what_to_install(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "ale_py", None)  # as if it were not installed
    assert __main__.main(["record", "pong", "--states", "5"]) == 2
    assert "pip install 'ale-py" in capsys.readouterr().err


def test_copies_writes_both_students_and_names_the_files(folder, capsys, monkeypatch):
    asked = {}

    def train(game, **settings):
        asked.update(settings, game=game)
        return {"kl": Student(4), "sobolev": Student(4)}

    monkeypatch.setattr(__main__, "train_copies", train)
    assert __main__.main(["copies", "pong", "--steps", "7", "--folder", str(folder)]) == 0
    assert asked == {"game": "pong", "states": 100_000, "steps": 7}
    printed = capsys.readouterr().out.split()
    assert printed == [str(folder / f"pong-{method}.safetensors") for method in ("kl", "sobolev")]
    assert all((folder / f"pong-{method}.safetensors").exists() for method in ("kl", "sobolev"))
