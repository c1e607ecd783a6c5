"""The regressor's defaults beside others: cases are what they say, peers learn, and sentences follow the record."""
import copy
import importlib.util
from pathlib import Path

import numpy as np
import pytest

from sobolev_lib.experiments import regressor_cases, regressor_defaults, regressor_peers, regressor_pictures
from sobolev_lib.experiments.own_peers import error_shares
from sobolev_lib.experiments.regressor_cases import CASES, CHOOSING, REPORTING, Generated

PACKAGES = {"airfoil, 2000": "smt", "airfoil, 33600": "smt", "greeks by QuantLib, 500": "QuantLib"}
SCRIPT = Path(__file__).parents[2] / "benchmarks" / "regressor_defaults.py"


def drawable(case):
    return case.name not in PACKAGES or importlib.util.find_spec(PACKAGES[case.name]) is not None


@pytest.mark.parametrize("case", [case for case in CASES if isinstance(case.draw, Generated)], ids=lambda case: case.name)
def test_slopes_are_the_derivatives_of_values(case):
    if not drawable(case):
        pytest.skip(f"{PACKAGES[case.name]} is not installed")
    X = case.draw.sample(np.random.default_rng(5), 30)
    y, dy = case.draw.truth(X)
    steps = 1e-6 * np.eye(X.shape[1])
    slopes = np.stack([(case.draw.truth(X + step)[0] - case.draw.truth(X - step)[0]) / 2e-6 for step in steps], axis=-1)
    np.testing.assert_allclose(slopes, dy, atol=1e-7 * max(1, np.abs(dy).max()))
    assert y.shape == dy.shape[:-1]


def test_labels_are_the_truth_on_the_average():
    noisy = 0
    for case in filter(drawable, CASES):
        if not isinstance(case.draw, Generated):
            continue
        (X, y, dy), _ = case.draw(0)
        assert len(X) == case.draw.points and str(len(X)) in case.name
        for label, truth in zip((y, dy), case.draw.truth(X)):
            error = (label - truth)[np.isfinite(label)]
            if np.abs(error).max() > 0:
                assert abs(error.mean()) < 4 * error.std() / np.sqrt(len(X)), case.name
                noisy += 1
    assert noisy == 2 * sum("paths" in case.name or "basket" in case.name for case in CASES)


def test_halves_are_of_one_kind_and_seeds_repeat():
    halves = [case.half for case in CASES]
    assert len({case.name for case in CASES}) == len(halves) and {*halves} == {CHOOSING, REPORTING}
    assert abs(halves.count(CHOOSING) - halves.count(REPORTING)) <= 2
    for name in ("booth, 30", "engine deck, 150"):
        draw = regressor_cases.find(name).draw
        (X, y, _), (X_test, *_) = draw(3)
        assert np.array_equal(y, draw(3)[0][1]) and not np.array_equal(y, draw(4)[0][1])
        assert not (X[:, None] == X_test[None]).all(axis=2).any()
    assert {*regressor_defaults.Config().cases} == {case.name for case in CASES if case.half == REPORTING}
    with pytest.raises(ValueError, match="case: expected one of"):
        regressor_cases.find("booth")


@pytest.mark.slow
def test_peers_learn_or_take_no_part():
    (X, y, dy), (X_test, *truth) = regressor_cases.find("greeks, 300").draw(0)
    missing = np.where(np.arange(300)[:, None] % 3, dy, np.nan)
    predict = regressor_peers.twin(X, y, missing, 0)
    found = error_shares(X_test, predict(X_test), truth)
    assert found["value"] < 0.1 and found["slope"] < 0.3
    predict = regressor_peers.plain(X, y, dy, 0)
    values, slopes = predict(X_test)
    assert error_shares(X_test, (values, slopes), truth)["value"] < 0.2
    step = 1e-5 * np.eye(4)[1]
    np.testing.assert_allclose(slopes[:, 1], (predict(X_test + step)[0] - predict(X_test - step)[0]) / 2e-5, atol=0.05)
    # told how long to train, nothing is tried, and partials may be missing
    predict = regressor_peers.told(X, y, missing, 0)
    found = error_shares(X_test, predict(X_test), truth)
    assert found["value"] < 0.1 and found["slope"] < 0.3
    # none of these has a way to leave partials out, to hold so many rows, or to take one input
    assert regressor_peers.jenn(X, y, missing, 0) is None and regressor_peers.kriging(X, y, missing, 0) is None
    assert regressor_peers.kriging(X, y, dy, 0) is None and regressor_peers.kriging(X[:9, :1], y[:9], dy[:9, :1], 0) is None


def record_of(ours, peers, seeds=(0, 1, 2)):
    """A record in which a case gives ours and each peer these errors, times a factor a seed that all share."""
    cases = list(ours)
    results = {}
    for case in cases:
        for method, error in {"ours": ours[case], **peers[case]}.items():
            results[f"{case}/{method}"] = {"by": "x", "runs": [
                {"seed": seed, "value": error * 2.0**seed, "slope": 3 * error, "seconds": 1.0} for seed in seeds]}
        for method in regressor_peers.METHODS:
            results.setdefault(f"{case}/{method}", {"by": "x", "runs": []})
    return {"config": {"cases": cases, "methods": list(regressor_peers.METHODS)}, "seeds": list(seeds), "results": results}


PEERS = {case: {"twin network": 0.3, "MLPRegressor": 0.2} for case in "abcdef"}


def test_ahead_level_and_behind():
    record = record_of(dict(zip("abcdef", (0.1, 0.15, 0.19, 0.199, 0.21, 0.5))), PEERS)
    assert regressor_defaults.kept(record) == {"ahead": ["a", "b", "c", "d"], "level": ["e"], "behind": ["f"]}
    assert regressor_defaults.best_peer(record, "a") == "MLPRegressor" and not regressor_defaults.is_kept(record)
    assert 10 ** regressor_defaults.against_best(record, "f").mean == pytest.approx(2.5)
    assert regressor_defaults.is_kept(record_of(dict(zip("abcdef", (0.1, 0.15, 0.19, 0.199, 0.21, 0.215))), PEERS))
    # four of six are two thirds, three are not
    assert not regressor_defaults.is_kept(record_of(dict(zip("abcdef", (0.1, 0.15, 0.19, 0.205, 0.21, 0.215))), PEERS))
    # ours told how long to train is no peer; nor is one that takes no part; without any there is nothing to say
    told = record_of(dict(zip("abcdef", (0.1,) * 6)), {case: {"ours, 250 steps": 0.01, "JENN": 0.2} for case in "abcdef"})
    assert regressor_defaults.best_peer(told, "a") == "JENN" and regressor_defaults.is_kept(told)
    assert len(regressor_pictures.drawn(told).axes[0].get_legend_handles_labels()[1]) == 2
    assert regressor_defaults.errors_of(record, "a", "JENN") == []
    with pytest.raises(ValueError, match="expected peers' errors in a"):
        regressor_defaults.best_peer(record_of({"a": 0.1}, {"a": {}}), "a")


def test_a_picture_has_every_case_and_method():
    record = record_of(dict(zip("abcdef", (0.1, 0.15, 0.19, 0.199, 0.21, 0.5))), PEERS)
    ax, = regressor_pictures.drawn(record).axes
    assert [label.get_text() for label in ax.get_yticklabels()] == list("fedcba")          # the best at the top
    dots = {line.get_label(): line.get_xdata() for line in ax.get_lines() if line.get_linestyle() == "None"}
    assert dots.keys() == {"SobolevRegressor()", "twin network", "MLPRegressor, values alone"}
    np.testing.assert_allclose(dots["SobolevRegressor()"], [1.0, 0.42, 0.398, 0.38, 0.3, 0.2])


def test_the_picture_shows_intervals_over_seeds():
    record = record_of(dict(zip("abcdef", (0.1, 0.15, 0.19, 0.199, 0.21, 0.5))), PEERS)
    ax, = regressor_pictures.drawn(record).axes
    ours = next(bars.get_segments() for bars in ax.collections)                            # is drawn first
    reach = 4.302653 * np.std([0, 1, 2], ddof=1) / 3**0.5                                  # Student's, of factors 1, 2 and 4
    np.testing.assert_allclose(sorted(segment[:, 0].tolist() for segment in ours)[0], 0.2 * 2.0 ** np.array([-reach, reach]), rtol=1e-5)
    alone, = regressor_pictures.drawn(record_of({"a": 0.1}, {"a": PEERS["a"]}, seeds=(0,))).axes
    assert [bars.get_segments() for bars in alone.collections] == [[]] * 3                 # one seed has no interval


def test_a_unit_is_run_and_left_out(monkeypatch):
    monkeypatch.setattr(regressor_peers, "METHODS", {
        "ours": lambda X, y, dy, seed: lambda X: (0 * X[:, 0] + y.mean(), 0 * X), "none": lambda X, y, dy, seed: None})
    config = regressor_defaults.Config(cases=("booth, 30",), methods=("ours", "none"))
    assert regressor_defaults.units(config) == ["booth, 30/ours", "booth, 30/none"]
    found = regressor_defaults.run_unit("booth, 30/ours", config, [4, 5], "cpu")
    assert [run["seed"] for run in found["runs"]] == [4, 5]
    assert all(0.9 < run["value"] < 1.5 and run["slope"] == 1 and run["seconds"] >= 0 for run in found["runs"])
    assert regressor_defaults.run_unit("booth, 30/none", config, [4, 5], "cpu")["runs"] == []


@pytest.mark.skipif(not SCRIPT.exists(), reason="an archive holds no benchmarks")
def test_the_benchmark_prints_a_row_a_case(monkeypatch, capsys, tmp_path):
    spec = importlib.util.spec_from_file_location("regressor_defaults_script", SCRIPT)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    record = copy.deepcopy(record_of(dict(zip("abcdef", (0.1, 0.15, 0.19, 0.199, 0.21, 0.5))), PEERS))
    monkeypatch.setattr(script, "load_record", lambda name: record)
    monkeypatch.setattr("sys.argv", ["script", "--only", "f", "--plot", str(tmp_path / "p.svg")])
    script.main()
    rows = capsys.readouterr().out.splitlines()
    assert len(rows) == 2 and rows[1].startswith("f ") and "1 / 1.5, 1 s" in rows[1] and (tmp_path / "p.svg").stat().st_size
