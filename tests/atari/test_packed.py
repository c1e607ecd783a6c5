"""Packed recordings come back byte for byte, where ``record_states`` finds them; damaged ones are refused by name."""
import numpy as np
import pytest
from arcade import count_games, recording, tiny

from sobolev_lib.atari import pack_states, record_states, states, unpack_states


def test_what_was_packed_comes_back(tmp_path):
    made = recording(tmp_path / "made", [5, 7, 3], seed=4)
    path = pack_states(made, tmp_path / "made.states")
    found = unpack_states(path, tmp_path / "there")
    assert np.array_equal(found.screens, made.screens) and found.about == made.about and found.folder != made.folder
    assert unpack_states(path, tmp_path / "there").folder == found.folder, "a second time finds it there"


def test_it_is_small_where_screens_change_little(tmp_path):
    made = recording(tmp_path / "made", [200])
    screens = np.repeat(made.screens[:1], 200, axis=0)
    screens[np.arange(200), np.arange(200) % 84, 3] ^= 255
    np.save(tmp_path / "made" / "screens.npy", screens)
    path = pack_states(states.RecordedStates(made.folder), tmp_path / "made.states")
    assert path.stat().st_size < screens.nbytes / 50
    assert np.array_equal(unpack_states(path, tmp_path / "there").screens, screens)


def test_record_states_does_not_play_where_states_were_sent(tmp_path, monkeypatch):
    made = count_games(monkeypatch, states)
    here = record_states(tiny(), "pong", count=50, games=3, folder=tmp_path / "here", progress=False)
    path = pack_states(here, tmp_path / "pong.states")
    unpack_states(path, tmp_path / "there")
    there = record_states(tiny(), "pong", count=50, games=3, folder=tmp_path / "there", progress=False)
    assert len(made) == 1 and np.array_equal(there.screens, here.screens)


@pytest.mark.parametrize("harm", [lambda data: data[:-20], lambda data: b"{}\n", lambda data: b"\x93NUMPY",
                                  lambda data: data.replace(b"RecordedStates", b"SomethingElse"),
                                  lambda data: data.replace(b'"sha256": "', b'"sha256": "0')])
def test_a_damaged_or_foreign_file_is_refused_by_name(tmp_path, harm):
    path = pack_states(recording(tmp_path / "made", [5]), tmp_path / "made.states")
    path.write_bytes(harm(path.read_bytes()))
    with pytest.raises(ValueError, match="path: expected states that pack_states wrote, got .*made.states"):
        unpack_states(path, tmp_path / "there")
    assert not list((tmp_path / "there").rglob("*"))


@pytest.mark.parametrize("old, new", [(b'"starts": [0, 2]', b'"starts": [2, 0]'), (b'"starts": [0, 2]', b'"starts": [1, 2]'),
                                      (b'"starts": [0, 2]', b'"starts": [0, 9]'), (b'"starts": [0, 2]', b'"starts": [0]'),
                                      (b'"count": 5', b'"count": 4'), (b'"shape": [5', b'"shape": [4'),
                                      (b'"game": "', b'"game": "../../')])
def test_a_head_that_does_not_fit_is_refused_and_writes_nowhere(tmp_path, old, new):
    path = pack_states(recording(tmp_path / "made", [2, 3]), tmp_path / "made.states")
    before, data = set(tmp_path.rglob("*")), path.read_bytes()
    assert old in data
    path.write_bytes(data.replace(old, new))
    with pytest.raises(ValueError, match="path: expected states that pack_states wrote, got .*made.states"):
        unpack_states(path, tmp_path / "made" / "there")
    assert set(tmp_path.rglob("*")) == before


def test_a_full_disk_leaves_nothing_behind(tmp_path, monkeypatch):
    path = pack_states(recording(tmp_path / "made", [5]), tmp_path / "made.states")

    def full(file, screens):
        file.write(b"half")
        raise OSError("No space left on device")

    monkeypatch.setattr(np, "save", full)
    with pytest.raises(OSError, match="No space"):
        unpack_states(path, tmp_path / "there")
    assert not [each for each in (tmp_path / "there").rglob("*") if each.is_file()]
