"""Teachers on disk: rounded to half precision and nothing else; and the ones that come with the library can play."""
import json

import numpy as np
import pytest
import torch
from arcade import Tiny, tiny
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from sobolev_lib.atari import GAMES, Games, Teacher, envs, load_teacher, play, save_teacher, teachers
from sobolev_lib.records import load_record


def seeded(seed):
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def small(monkeypatch):
    """Teachers are tiny here."""
    monkeypatch.setattr(teachers, "Teacher", Tiny)


# --- writing and reading ----------------------------------------------------------------------------------------

def test_a_teacher_comes_back_rounded_to_half_precision(tmp_path):
    teacher, path = Teacher(4, generator=seeded(0)), tmp_path / "new" / "teacher.safetensors"
    before = {name: tensor.clone() for name, tensor in teacher.state_dict().items()}
    save_teacher(teacher.to(memory_format=torch.channels_last), "breakout", path)
    again = load_teacher("breakout", path)
    assert type(again) is Teacher and again.num_actions == 4 and not again.training
    assert set(again.state_dict()) == set(before)
    for name, tensor in again.state_dict().items():
        assert tensor.dtype == torch.float32 and torch.equal(tensor, before[name].half().float())
        assert torch.equal(teacher.state_dict()[name], before[name]), "saving changed the teacher itself"
    assert not any(parameter.requires_grad for parameter in again.parameters())
    assert path.stat().st_size < 2.1 * sum(tensor.numel() for tensor in before.values())
    states = torch.randint(256, (5, 4, 84, 84), dtype=torch.uint8, generator=seeded(0))
    torch.testing.assert_close(again(states), teacher(states), rtol=0.01, atol=1e-5)


def test_what_was_rounded_once_stays_as_it_is(small, tmp_path):
    save_teacher(tiny(), "alley", tmp_path / "first")
    save_teacher(load_teacher("alley", tmp_path / "first"), "alley", tmp_path / "second")
    first, second = load_file(tmp_path / "first"), load_file(tmp_path / "second")
    assert first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)
    with safe_open(tmp_path / "first", framework="pt") as file:
        assert {str(file.get_tensor(name).dtype) for name in file.keys()} == {"torch.float16"}
        assert file.metadata()["num_actions"] == "3" and file.metadata()["game"] == "alley"


def test_another_games_teacher_is_refused(small, tmp_path):
    path = tmp_path / "teacher.safetensors"
    save_teacher(tiny(), "pong", path)
    with pytest.raises(ValueError, match="path: expected a .*Teacher for 'breakout', got .*Teacher for 'pong' in "):
        load_teacher("breakout", path)


@pytest.mark.parametrize("weight", [1e5, float("nan"), float("-inf")])
def test_weights_that_float16_cannot_hold_are_not_written(tmp_path, weight):
    teacher, path = tiny(), tmp_path / "teacher.safetensors"
    save_teacher(teacher, "alley", path)
    kept = path.read_bytes()
    name, parameter = next(iter(teacher.named_parameters()))
    torch.nn.init.constant_(parameter, weight)
    with pytest.raises(ValueError, match=rf"teacher: expected weights that float16 can hold, up to 65,504, got .* in {name}"):
        save_teacher(teacher, "alley", path)
    assert path.read_bytes() == kept


@pytest.mark.parametrize("metadata", [None, {"game": "pong"}, {"kind": "another", "game": "pong", "num_actions": "3"}],
                         ids=json.dumps)
def test_another_kind_of_file_is_refused(small, tmp_path, metadata):
    path = tmp_path / "file.safetensors"
    save_file(dict(tiny().state_dict()), path, metadata=metadata)
    with pytest.raises(ValueError, match="path: expected a sobolev_lib.atari.Teacher for 'pong', got (None|another) for "):
        load_teacher("pong", path)


def test_a_game_without_a_teacher_names_those_that_have_one(small, tmp_path, monkeypatch):
    monkeypatch.setattr(teachers, "shipped_weights", lambda: tmp_path)
    for game in ("pong", "breakout"):
        save_teacher(tiny(), game, tmp_path / f"{game}.safetensors")
    assert load_teacher("pong").num_actions == 3
    with pytest.raises(ValueError, match=r"trained teacher \(breakout, pong\), got 'chess'; train your own"):
        load_teacher("chess")


def test_saving_replaces_the_whole_file(small, tmp_path, monkeypatch):
    path = tmp_path / "teacher.safetensors"
    save_teacher(tiny(seed=0), "alley", path)
    kept = path.read_bytes()

    def fail(*_):
        raise OSError("disk full")

    with monkeypatch.context() as context:
        context.setattr("sobolev_lib.files.os.replace", fail)
        with pytest.raises(OSError, match="disk full"):
            save_teacher(tiny(seed=1), "alley", path)
    assert path.read_bytes() == kept
    save_teacher(tiny(seed=1), "alley", path)
    assert path.read_bytes() != kept and [file.name for file in tmp_path.iterdir()] == [path.name]


# --- the shipped ones -------------------------------------------------------------------------------------------

@pytest.mark.parametrize("game", GAMES)
def test_a_shipped_teacher_loads_and_is_trained(game):
    teacher = load_teacher(game)
    assert isinstance(teacher, Teacher) and not teacher.training
    assert all(parameter.isfinite().all() for parameter in teacher.parameters())
    assert teacher.head.weight.std() > 10 * 0.01 / 512**0.5, "the last layer is as small as before training"
    assert (teachers.shipped_weights() / f"{game}.safetensors").stat().st_size < 3.6e6
    games = Games(game)
    assert teacher.num_actions == games.num_actions
    games.close()


# in the other games a teacher that plays as recorded is far above chance
@pytest.mark.parametrize("game", ["space_invaders"])
def test_a_shipped_teacher_beats_chance_in_a_short_game(game, monkeypatch):
    monkeypatch.setattr(envs, "MAX_FRAMES", 1_600)
    teacher = load_teacher(game)
    ours = play(teacher, game, episodes=1, seed=500)
    chance = play(tiny(teacher.num_actions, sure=1.0), game, episodes=1, seed=500)
    assert np.mean(ours) > np.mean(chance), (ours, chance)


def recorded(game):
    return load_record("atari-teachers")["results"][game]


def is_as_recorded(scores, game):
    """Whether the mean is at least the recorded one, less three standard errors of both."""
    before = recorded(game)["scores"]
    error = np.std(before, ddof=1) * (1 / len(scores) + 1 / len(before)) ** 0.5
    return np.mean(scores) > np.mean(before) - 3 * error


@pytest.mark.slow
@pytest.mark.parametrize("game", GAMES)
def test_a_shipped_teacher_plays_as_recorded(game):
    scores = play(load_teacher(game), game, episodes=1 if game == "pong" else 3, seed=30_000)      # its games are long
    assert is_as_recorded(scores, game), scores
    assert not is_as_recorded([-21 if game == "pong" else 0] * 3, game), "a test that can't fail"


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("greedy", [False, True])
@pytest.mark.parametrize("game", GAMES)
def test_a_shipped_teacher_plays_as_recorded_over_thirty_episodes(game, greedy):
    scores = play(load_teacher(game), game, episodes=30, seed=10_000, greedy=greedy)
    before = recorded(game)["greedy_scores" if greedy else "scores"]
    error = np.std(before, ddof=1) * (2 / 30) ** 0.5
    assert abs(np.mean(scores) - np.mean(before)) <= max(3 * error, 0.5)


def test_a_damaged_file_is_refused_by_name(small, tmp_path):
    path = tmp_path / "teacher"
    save_teacher(tiny(), "alley", path)
    whole = path.read_bytes()
    for broken in (whole[:-5], whole[:-40] + bytes([whole[-40] ^ 8]) + whole[-39:], b""):
        path.write_bytes(broken)
        with pytest.raises(ValueError, match=f"path: expected .*{path}"):
            load_teacher("alley", path)
    weights = {name: tensor.half() for name, tensor in tiny().state_dict().items()}
    about = {"kind": "sobolev_lib.atari.Teacher", "game": "alley", "num_actions": "3"}
    save_file(weights, path, metadata=about)
    load_teacher("alley", path)                            # an earlier version's file has no sum
    for wrong in ({**weights, "head.bias": torch.full((3,), torch.nan)}, {**weights, "head.bias": torch.zeros(3).long()},
                  {**weights, "head.bias": torch.zeros(4)}, {name: weights[name] for name in list(weights)[:-1]}):
        save_file(wrong, path, metadata=about)
        with pytest.raises(ValueError, match="path: expected a teacher's weights in"):
            load_teacher("alley", path)
