"""The data sets: whole, of true derivatives, repeatable; and the files' checksums and licences."""
import shutil
from importlib import resources

import numpy as np
import pytest

import sobolev_lib as sl
from sobolev_lib.datasets import (
    BasketOption,
    Table,
    diabetes_teacher,
    engine_deck,
    metal_cluster,
    metal_cluster_path,
    option_prices,
    stored,
    teacher_answers,
)

DATA = resources.files("sobolev_lib.datasets") / "data"


@pytest.mark.parametrize("load", [engine_deck, metal_cluster, metal_cluster_path, lambda: teacher_answers(1000)])
def test_slopes_are_those_of_the_values(load):
    table = load()
    assert sl.check_labels(table.X, table.y, table.dy).ok
    assert all(np.isfinite(each).all() and each.dtype == np.float64 for each in (table.X, table.y, table.dy))
    assert table.source and table.licence


def test_the_deck_is_smt_s():
    deck = engine_deck()
    assert [len(np.unique(column.round(3))) for column in deck.X.T] == [12, 11, 8]
    package = pytest.importorskip("smt.examples.b777_engine.b777_engine")
    for ours, theirs in zip((deck.X, deck.y, deck.dy), package.get_b777_engine()):
        assert np.array_equal(ours, theirs)


def test_the_cluster_s_energy_does_not_change_when_it_is_moved_or_turned():
    cluster = metal_cluster()
    slopes, atoms = cluster.dy.reshape(-1, 6, 3), cluster.X.reshape(-1, 6, 3)
    assert np.abs(slopes.sum(axis=1)).max() < 1e-4                                          # no force on the whole
    assert np.abs(np.cross(atoms, slopes).sum(axis=1)).max() < 1e-4                         # and no torque


def test_the_path_s_slope_is_the_difference_of_its_energies():
    path = metal_cluster_path()
    assert np.ptp(path.X[:, 1:], axis=0).max() == 0
    assert np.gradient(path.y, path.X[:, 0])[1:-1] == pytest.approx(path.dy[1:-1, 0], abs=5e-3)


def test_the_teacher_s_gradient_is_that_of_its_answers():
    table, step = teacher_answers(20, seed=3), 1e-5
    for k, move in enumerate(step * np.eye(10)):
        difference = (diabetes_teacher(table.X + move)[0] - diabetes_teacher(table.X - move)[0]) / (2 * step)
        assert difference == pytest.approx(table.dy[:, k], abs=1e-8)
    with pytest.raises(ValueError, match=r"X: expected shape \(N, 10\), got \(3, 9\)"):
        diabetes_teacher(np.zeros((3, 9)))


def test_paths_are_right_on_the_average():
    option, many = BasketOption(3), np.random.default_rng(0)
    X = np.repeat(option.sample(np.random.default_rng(1), 4), 40_000, axis=0)
    y, dy = option.paths(many, X)
    price, delta = option.exact(X[::40_000])
    assert y.reshape(4, -1).mean(1) == pytest.approx(price, abs=5e-3)
    assert dy.reshape(4, -1, 3).mean(1) == pytest.approx(delta, abs=1e-2)
    truth, step = option.exact(X[:1]), 1e-5
    moved = [(option.exact(X[:1] + move)[0] - option.exact(X[:1] - move)[0])[0] / (2 * step) for move in step * np.eye(3)]
    assert moved == pytest.approx(truth[1][0], abs=1e-8)


@pytest.mark.parametrize("made", [option_prices, teacher_answers])
def test_a_seed_fixes_the_points(made):
    assert np.array_equal(made(20, 1).dy, made(20, 1).dy) and not np.array_equal(made(20, 1).X, made(20, 2).X)
    with pytest.raises(ValueError, match="points: expected a positive integer, got 0"):
        made(0)


def test_a_table_s_parts_fit_together():
    deck = engine_deck()
    assert deck[::2].outputs == deck.outputs and len(deck[deck.X[:, 0] > 0.5]) < len(deck)
    with pytest.raises(TypeError, match="rows: expected a slice or an array of rows, got 3"):
        deck[3]
    with pytest.raises(ValueError, match=r"dy: expected shape \(5, 3\) for 5 points, 3 inputs and 1 outputs, got \(5, 2\)"):
        Table(np.zeros((5, 3)), np.zeros(5), np.zeros((5, 2)), ("a", "b", "c"), ("y",), "here", "MIT")


def test_files_are_small_and_keep_their_licence():
    files = {path.name: len(path.read_bytes()) for path in DATA.iterdir()}
    assert sum(files.values()) < 300_000
    licence = (DATA / "engine_deck.LICENSE.txt").read_text()
    assert "BSD 3-Clause" in licence and "SMT developers" in licence


def test_a_damaged_file_is_refused(tmp_path, monkeypatch):
    (tmp_path / "data").mkdir()
    copy = tmp_path / "data" / "engine_deck.safetensors"
    shutil.copy(str(DATA / "engine_deck.safetensors"), copy)
    raw = bytearray(copy.read_bytes())
    raw[-9] ^= 1
    copy.write_bytes(raw)
    monkeypatch.setattr(stored.resources, "files", lambda package: tmp_path)
    with pytest.raises(ValueError, match="data set: expected the contents that were written, got others in .*damaged"):
        engine_deck()
