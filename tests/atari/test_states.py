"""Recorded states: stacks exactly as the teacher saw them, splits by whole episodes, recordings whole or not at all."""
import json
import os
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
import torch
from arcade import Alley, Rule, count_games, recording, tiny
from torch import nn

from sobolev_lib.atari import RecordedStates, record_states, states
from sobolev_lib.atari.envs import Games


@pytest.fixture
def alley(monkeypatch):
    """A game without an emulator; the list holds every set of games that was started."""
    return count_games(monkeypatch, states)


def record(teacher, folder, game="pong", **kwargs):
    return record_states(teacher, game, **{"count": 60, "games": 3, "folder": folder, "progress": False} | kwargs)


def files(folder):
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


# --- what is recorded -------------------------------------------------------------------------------------------

def logged(kind):
    """Games of that kind which keep a list of all that they returned."""
    class Logged(kind):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            self.log = []

        def step(self, actions):
            self.log.append(super().step(actions))
            return self.log[-1]

    return Logged


def episodes_seen(shown, log):
    """Stacks and scores of whole episodes in the order in which they ended, from what the teacher was shown."""
    games = shown[0].shape[0]
    whole, current, points = [], [[] for _ in range(games)], [0.0] * games
    for stacks, after in zip(shown, log):
        for k in range(games):
            current[k].append(stacks[k])
            points[k] += after.rewards[k]
            if after.ended[k]:
                whole.append((torch.stack(current[k]), points[k]))
                current[k], points[k] = [], 0.0
    return whole


@pytest.mark.parametrize("game, actions, kind, count", [("asterix", 9, Games, 450), ("pong", 3, Alley, 75)],
                         ids=["an emulator", "a game of our own"])
def test_stacks_are_exactly_what_the_teacher_saw(tmp_path, monkeypatch, game, actions, kind, count):
    made, rule = count_games(monkeypatch, states, logged(kind)), Rule(actions)
    recorded = record(rule, tmp_path, game, count=count, games=2)
    whole = episodes_seen(rule.seen, made[0].log)
    stacks = torch.cat([stacks for stacks, _ in whole])[:count]
    assert len(recorded) == count and len(stacks) == count
    assert torch.equal(recorded[np.arange(count)], stacks)
    shuffled = np.random.default_rng(0).permutation(count)[:50]
    assert torch.equal(recorded[shuffled], stacks[shuffled]) and recorded[shuffled].dtype == torch.uint8
    # starts, lengths and scores; the last episode is cut to make the count exact
    ends = np.cumsum([len(stacks) for stacks, _ in whole]).tolist()
    assert recorded.starts.tolist() == [0, *[end for end in ends if end < count]] and ends[-1] > count > ends[0]
    kept = len(recorded.starts)
    assert recorded.about["scores"] == [score for _, score in whole[:kept - 1]] + [None]
    assert all(not recorded[[start]][0, :3].any() for start in recorded.starts), "no black frames before an episode"
    assert recorded.about["count"] == count and recorded.about["game"] == game


def test_a_last_episode_that_just_fits_is_whole(alley, tmp_path):
    first = record(tiny(), tmp_path)
    exact = int(first.starts[3])
    again = record(tiny(), tmp_path, count=exact)
    assert again.starts.tolist() == first.starts[:3].tolist()
    assert again.about["scores"] == first.about["scores"][:3] and None not in again.about["scores"]
    one_more = record(tiny(), tmp_path, count=exact + 1)
    assert one_more.starts.tolist() == first.starts[:4].tolist() and one_more.about["scores"][3] is None
    assert torch.equal(one_more[np.arange(exact)], again[np.arange(exact)])


def test_actions_are_drawn_from_the_teacher(alley, tmp_path, monkeypatch):
    taken = []
    step = Alley.step
    monkeypatch.setattr(Alley, "step", lambda self, actions: taken.extend(actions) or step(self, actions))
    record(tiny(sure=1.0), tmp_path)
    assert min(np.bincount(taken, minlength=3)) > 10, "a teacher near to uniform does everything"


def test_the_same_call_records_the_same_states(alley, tmp_path):
    one, two = [record(tiny(), tmp_path / name) for name in ("one", "two")]
    assert files(tmp_path / "one") == files(tmp_path / "two") == ["about.json", "screens.npy"]
    assert (one.folder / "screens.npy").read_bytes() == (two.folder / "screens.npy").read_bytes()
    assert one.about == two.about and one.folder.name == two.folder.name
    assert len(alley) == 2 and all(games.closed for games in alley)


@pytest.mark.parametrize("changes", [dict(seed=1), dict(games=2), dict(count=61), dict(game="breakout"), dict()], ids=str)
def test_another_call_is_another_recording(alley, tmp_path, changes):
    first = record(tiny(), tmp_path)
    other = record(tiny(seed=0 if changes else 1), tmp_path, **changes)
    assert other.folder != first.folder and other.folder.parent == first.folder.parent
    assert [games.seed for games in alley] == [0, changes.get("seed", 0)]
    assert [games.count for games in alley] == [3, changes.get("games", 3)]


def test_a_recording_that_is_there_is_opened_without_playing(alley, tmp_path):
    first = record(tiny(), tmp_path)
    again = record(tiny().to(memory_format=torch.channels_last), tmp_path)  # the same weights, laid out otherwise
    assert len(alley) == 1 and again.folder == first.folder
    assert torch.equal(again[np.arange(60)], first[np.arange(60)])
    opened = RecordedStates(str(first.folder))
    assert isinstance(opened.screens, np.memmap), "the whole file was read"
    assert torch.equal(opened[[5]], first[[5]])


class Stopping(nn.Module):
    """A teacher that is interrupted after some steps."""

    def __init__(self, steps, error):
        super().__init__()
        self.inner, self.left, self.error = tiny(), steps, error

    def forward(self, x):
        self.left -= 1
        if self.left < 0:
            raise self.error
        return self.inner(x)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), RuntimeError("out of memory")], ids=["interrupt", "error"])
def test_an_interrupted_recording_does_not_count(alley, tmp_path, error):
    with pytest.raises(type(error)):
        record(Stopping(15, error), tmp_path)
    assert files(tmp_path) == []
    folder, = tmp_path.iterdir()
    with pytest.raises(FileNotFoundError, match="no recorded states in .*python -m sobolev_lib.atari record"):
        RecordedStates(folder)
    whole = record(Stopping(10_000, error), tmp_path)
    assert whole.folder == folder and len(whole) == 60 and files(tmp_path) == ["about.json", "screens.npy"]


def test_a_recording_that_could_not_be_described_does_not_count(alley, tmp_path, monkeypatch):
    """Killed between the two files: the screens are there, what they are is not."""
    def fail(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as context:
        context.setattr(states, "write_whole", fail)
        with pytest.raises(KeyboardInterrupt):
            record(tiny(), tmp_path)
    assert files(tmp_path) == ["screens.npy"]
    assert len(record(tiny(), tmp_path)) == 60 and len(alley) == 2


def test_recordings_lie_in_the_cache_unless_told_otherwise(alley, tmp_path, monkeypatch):
    monkeypatch.setenv("SOBOLEV_CACHE", str(tmp_path))
    assert record(tiny(), None).folder.parent == tmp_path / "atari"
    monkeypatch.delenv("SOBOLEV_CACHE")
    assert states.cache_folder() == Path.home() / ".cache" / "sobolev_lib" / "atari"


# --- reading ----------------------------------------------------------------------------------------------------

def test_stacks_are_rebuilt_within_their_episode(tmp_path):
    made = recording(tmp_path, [1, 2, 6, 3])
    assert len(made) == 12
    for index, start in enumerate([0, 1, 1, 3, 3, 3, 3, 3, 3, 9, 9, 9]):
        expected = [made.screens[k] if k >= start else np.zeros((84, 84)) for k in range(index - 3, index + 1)]
        assert np.array_equal(made[[index]][0], expected), index
    assert torch.equal(made[[7, 3, 7]], torch.cat([made[[7]], made[[3]], made[[7]]]))
    assert made[np.array([], dtype=int)].shape == (0, 4, 84, 84)


@pytest.mark.parametrize("indices, error, message", [
    (3, TypeError, r"got int64 of shape \(\)"), ([0.5], TypeError, "got float64"), ([[0]], TypeError, r"shape \(1, 1\)"),
    (slice(0, 2), TypeError, "list or vector of integers, got object"), ([True], TypeError, "got bool"),
    ([0, 12], IndexError, "from 0 to 11, got 0 to 12"), ([-1], IndexError, "from 0 to 11, got -1"),
], ids=str)
def test_other_indices_are_refused(tmp_path, indices, error, message):
    with pytest.raises(error, match=f"states: expected .*{message}"):
        recording(tmp_path, [5, 7])[indices]


# --- splitting --------------------------------------------------------------------------------------------------

def uneven(tmp_path):
    return recording(tmp_path, np.random.default_rng(3).integers(3, 15, 40).tolist())


def episodes(made, indices):
    return set((np.searchsorted(made.starts, indices, side="right") - 1).tolist())


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("share", [0.01, 0.2, 0.5])
def test_no_episode_is_in_two_parts_of_a_split(tmp_path, seed, share):
    made = uneven(tmp_path)
    train, validation, test = made.split(share, seed=seed)
    parts = [episodes(made, part) for part in (train, validation, test)]
    assert not parts[0] & parts[1] and not parts[0] & parts[2] and not parts[1] & parts[2]
    assert len(train) == round(share * len(made)) and len(set(train.tolist())) == len(train)
    for part, size in ((validation, 0.10), (test, 0.35)):
        # whole episodes, no more of them than it takes
        expected = [k for k in range(len(made)) if episodes(made, [k]) <= episodes(made, part)]
        assert part.tolist() == expected
        longest = max(np.diff([*made.starts, len(made)]))
        assert size * len(made) <= len(part) < size * len(made) + longest
    # of the training episodes only the last is cut, and at its end
    bounds = [*made.starts.tolist(), len(made)]
    cut = [e for e in parts[0] if set(range(bounds[e], bounds[e + 1])) - set(train.tolist())]
    assert len(cut) <= 1
    for e in cut:
        own = train[(train >= bounds[e]) & (train < bounds[e + 1])]
        assert own.tolist() == list(range(bounds[e], bounds[e] + len(own)))
        assert train[-1] == own[-1]


def test_larger_shares_hold_smaller_ones_and_all_have_the_same_test_states(tmp_path):
    made = uneven(tmp_path)
    splits = [made.split(share, seed=1) for share in (0.02, 0.1, 0.3, 0.5)]
    for (small, validation, test), (large, other_validation, other_test) in zip(splits, splits[1:]):
        assert large[:len(small)].tolist() == small.tolist() and len(large) > len(small)
        assert test.tolist() == other_test.tolist() and validation.tolist() == other_validation.tolist()


def test_the_seed_decides_which_episodes_are_trained_on_and_never_what_is_tested(tmp_path):
    made = uneven(tmp_path)
    first, again, other = made.split(0.3, seed=0), made.split(0.3, seed=0), made.split(0.3, seed=1)
    assert all(np.array_equal(a, b) for a, b in zip(first, again))
    assert not np.array_equal(first[0], other[0])
    # else one seed would be tuned on what another is tested on
    assert np.array_equal(first[1], other[1]) and np.array_equal(first[2], other[2])
    # shuffled, not taken in order of recording
    assert episodes(made, first[0]) != set(range(len(episodes(made, first[0]))))


@pytest.mark.parametrize("share", [0.0, -0.1, 0.56, 1.0, 1e-9])
def test_a_share_that_is_not_there_is_refused(tmp_path, share):
    with pytest.raises(ValueError, match=rf"share: expected above 0 and at most 0\.5\d\d here .*got {share}"):
        uneven(tmp_path).split(share)
    made = uneven(tmp_path)
    rest = len(made) - sum(map(len, made.split(0.1)[1:]))
    assert len(made.split(rest / len(made))[0]) == rest, "the largest share that the error names must work"


def test_too_few_episodes_to_keep_apart_are_refused(tmp_path):
    with pytest.raises(ValueError, match="2 episodes, test and validation set aside"):
        recording(tmp_path / "two", [50, 50]).split(0.01)
    with pytest.raises(ValueError, match="1 episodes"):
        recording(tmp_path / "one", [50]).split(0.01)


# --- what must not pass silently ------------------------------------------------------------------------------------

@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int8])
def test_indices_of_any_integer_dtype_give_the_same_stacks(tmp_path, dtype):
    made = recording(tmp_path, [5, 5])
    assert torch.equal(made[np.array([0, 1, 6], dtype=dtype)], made[[0, 1, 6]])


@pytest.mark.parametrize("name, content", [("about.json", b"{"), ("about.json", b"3"), ("about.json", b'{"count": 1}'),
                                           ("screens.npy", b""), ("screens.npy", b"\x93NUMPY"), ("screens.npy", None)])
def test_broken_recordings_are_refused_by_name(tmp_path, name, content):
    made = recording(tmp_path, [5, 5])
    path = made.folder / name
    path.unlink() if content is None else path.write_bytes(content)
    with pytest.raises(ValueError, match="folder: expected recorded states in .*delete it") as raised:
        RecordedStates(made.folder)
    assert str(made.folder) in str(raised.value)


def test_screens_of_another_recording_are_refused(tmp_path):
    made = recording(tmp_path, [5, 5])
    np.save(made.folder / "screens.npy", np.zeros((9, 84, 84), dtype=np.uint8))
    with pytest.raises(ValueError, match="screens that its about.json doesn't describe"):
        RecordedStates(made.folder)


def test_a_full_disk_is_told_before_a_game_is_played(alley, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    teacher = Rule(3)
    monkeypatch.setattr(states.os, "posix_fallocate", full)
    with pytest.raises(OSError, match="No space left on device: a recording of 0.0 GB.*screens"):
        record(teacher, tmp_path)
    assert teacher.seen == [] and files(tmp_path) == []
    monkeypatch.delattr(states.os, "posix_fallocate")      # where a system has no such call, zeros are written
    assert len(record(teacher, tmp_path)) == 60
    monkeypatch.undo()


def test_a_recording_takes_its_space_at_once(alley, tmp_path):
    class Looks(Rule):
        def forward(self, x):
            self.blocks = min(path.stat().st_blocks for path in tmp_path.rglob("screens.*.npy"))
            return super().forward(x)

    teacher = Looks(3)
    record(teacher, tmp_path)
    assert teacher.blocks * 512 >= 60 * 84 * 84


def test_what_killed_recorders_left_goes(alley, tmp_path):
    made = record(Rule(3), tmp_path)
    (made.folder / "about.json").unlink()
    for number in (1, 2):
        left = made.folder / f"screens.{number}.npy"
        left.write_bytes(b"half")
        os.utime(left, (0, 0))
    record(Rule(3), tmp_path)
    assert files(tmp_path) == ["about.json", "screens.npy"]


def test_a_recording_of_another_version_of_the_emulator_is_used_with_a_warning(alley, tmp_path, monkeypatch):
    made = record(Rule(3), tmp_path)
    assert made.about["ale_py"] == states.emulator_version()
    monkeypatch.setattr(states, "emulator_version", lambda: "9.9")
    with pytest.warns(UserWarning, match=f"was recorded with ale-py {made.about['ale_py']}, and 9.9 is installed"):
        assert record(Rule(3), tmp_path).folder == made.folder


@pytest.mark.parametrize("known", [True, False])
def test_a_recording_serves_without_an_emulator_and_without_its_version(alley, tmp_path, monkeypatch, known):
    made = record(Rule(3), tmp_path)
    if known:
        monkeypatch.setattr(metadata, "version", lambda name: (_ for _ in ()).throw(metadata.PackageNotFoundError(name)))
    else:   # as the first versions of this library wrote it
        about = {key: value for key, value in made.about.items() if key != "ale_py"}
        (made.folder / "about.json").write_text(json.dumps(about))
    assert record(Rule(3), tmp_path).folder == made.folder


def test_a_policy_that_works_in_place_leaves_the_recording_as_it_was(alley, tmp_path):
    class Wipes(Rule):
        def forward(self, x):
            found = super().forward(x)
            x.zero_()
            return found

    expected, got = record(Rule(3), tmp_path / "one"), record(Wipes(3), tmp_path / "two")
    assert np.array_equal(expected.screens, got.screens)


def test_a_network_with_numbers_of_its_own_has_a_digest():
    net = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    before = states.weights_digest(net)
    net(torch.ones(3, 2))                                  # counts a batch
    assert states.weights_digest(net) != before
