"""The regressor's benchmark: its truth is one, noisy labels are right on the average, and peers learn."""
import sys
from pathlib import Path

import numpy as np
import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks" / "regressor"
pytestmark = pytest.mark.skipif(not FOLDER.exists(), reason="an archive holds no benchmarks")


@pytest.fixture(scope="module")
def benchmark():
    sys.path.insert(0, str(FOLDER))
    try:
        import cases
        import peers
        import run
        yield cases, peers, run
    finally:
        sys.path.remove(str(FOLDER))
        for name in ("cases", "peers", "run"):
            sys.modules.pop(name, None)


def test_slopes_are_the_derivatives_of_values(benchmark):
    cases, _, _ = benchmark
    for case in cases.CASES:
        X, y, dy = case.test(0, 30)
        steps = 1e-6 * np.eye(X.shape[1])
        slopes = np.stack([(case.truth(X + step)[0] - case.truth(X - step)[0]) / 2e-6 for step in steps], axis=-1)
        np.testing.assert_allclose(slopes, dy, atol=1e-7 * max(1, np.abs(dy).max()), err_msg=case.name)
        assert y.shape == dy.shape[:-1]


def test_labels_are_the_truth_on_the_average(benchmark):
    cases, _, _ = benchmark
    noisy = 0
    for case in cases.CASES:
        X, y, dy = case.train(0)
        assert len(X) == case.points
        for label, truth in zip((y, dy), case.truth(X)):
            error = (label - truth)[np.isfinite(label)]
            if np.abs(error).max() > 0:
                assert abs(error.mean()) < 4 * error.std() / np.sqrt(len(X)), case.name
                noisy += 1
    assert noisy == 2 * sum("paths" in case.name or "basket" in case.name for case in cases.CASES)


def test_halves_are_of_one_kind_and_seeds_repeat(benchmark):
    cases, _, _ = benchmark
    halves = [case.half for case in cases.CASES]
    assert len({case.name for case in cases.CASES}) == len(halves) and {*halves} == {"choosing", "reporting"}
    assert abs(halves.count("choosing") - halves.count("reporting")) <= 2
    case = cases.CASES[0]
    assert np.array_equal(case.train(3)[1], case.train(3)[1]) and not np.array_equal(case.train(3)[1], case.train(4)[1])
    assert not np.isin(case.test(3)[0], case.train(3)[0]).any()


def test_errors_are_shares_of_the_truth(benchmark):
    cases, _, run = benchmark
    for name in ("booth, 30", "two outputs, 50"):
        case = next(case for case in cases.CASES if case.name == name)
        X, y, dy = case.test(0)
        assert run.error_shares(X, (y, dy), (y, dy)) == {"value": 0, "slope": 0}
        nothing = run.error_shares(X, (0 * y + y.mean(0), 0 * dy), (y, dy))
        assert nothing == {"value": pytest.approx(1), "slope": pytest.approx(1)}
        assert run.error_shares(8 * X, (y, dy / 8), (y, dy / 16))["slope"] == pytest.approx(1)


def test_the_twin_and_the_plain_network_learn(benchmark):
    cases, peers, run = benchmark
    case = next(case for case in cases.CASES if case.name == "greeks, 300")
    X, y, dy = case.train(0)
    X_test, *truth = case.test(0, 300)
    predict = peers.PEERS["Huge and Savine"](X, y, np.where(np.arange(300)[:, None] % 3, dy, np.nan), 0)
    twin = run.error_shares(X_test, predict(X_test), truth)
    assert twin["value"] < 0.1 and twin["slope"] < 0.3
    assert {"ours", "Huge and Savine", "MLPRegressor"} < {*peers.PEERS}
