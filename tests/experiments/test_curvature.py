"""Curvature as uncertainty: what the labels say, what is read off an energy, equal budgets, and what a record says."""
import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from sobolev_lib.experiments import bell_peers, bells, curvature
from sobolev_lib.experiments.bells import Points, energy_labels, log_loss, one_bell, scatter_loss, valley, within
from sobolev_lib.experiments.curvature import LEVELS, Config, coverage, drawn, gain, run_unit, trials, truth, units
from sobolev_lib.experiments.keeping import Keep
from sobolev_lib.losses import SobolevLoss
from sobolev_lib.records import MissingResults, load_record

SMALL = replace(curvature.PRESETS["quick"], validation_points=50, test_points=300)


def test_every_method_has_as_many_trials():
    config = Config()
    assert {len(trials(method, config)) for method in config.methods if method != "truth"} == {28}
    assert len(units(config)) == len(config.cases) * len(config.methods)
    assert {noise for noise, _ in config.cases.values()} == set(curvature.NOISES)


@pytest.fixture(scope="module")
def curved():
    """The networks whose curvature is matched, tuned and trained once."""
    return run_unit("more/curvature", SMALL, [0, 1, 2], "cpu")


@pytest.mark.parametrize("case", Config().cases)
def test_nobody_is_tested_on_points_that_were_shown(case):
    train, validation, test, outside = parts = drawn(case, 3, Config())
    assert len(set(np.concatenate([part.x for part in parts]))) == sum(len(part.x) for part in parts)
    assert all(np.abs(part.x).max() <= 2 for part in parts[:3]) and np.abs(outside.x).min() >= 2
    assert (outside.x > 0).any() and (outside.x < 0).any()
    assert np.array_equal(drawn(case, 3, Config())[0].y, train.y)
    assert not np.array_equal(drawn(case, 4, Config())[0].y, train.y)


def test_error_bars_say_what_they_should():
    x = np.random.default_rng(0).uniform(-2, 2, 20_000)
    mean, sigma = truth(x)
    offs = {}
    for noise in curvature.NOISES:
        points = curvature.measured(noise, x, np.random.default_rng(1))
        offs[noise] = (points.y - mean) / sigma
        assert offs[noise].std() == pytest.approx(1, abs=0.02)
        assert np.allclose(points.bars, sigma / 2 if noise == "bars too short" else sigma)
    assert np.mean(np.abs(offs["two branches"]) < 0.3) < 0.01 < 0.2 < np.mean(np.abs(offs["error bars"]) < 0.3)
    with pytest.raises(ValueError, match="noise: expected one of error bars, two branches, bars too short, got 'none'"):
        curvature.measured("none", x, np.random.default_rng(1))


def test_the_labels_of_a_bowl_are_weighted_least_squares_and_its_precision():
    rng = np.random.default_rng(0)
    points = Points(rng.normal(size=30), rng.normal(size=30), rng.uniform(0.1, 1, 30))
    bars = torch.tensor(points.bars, dtype=torch.float32)

    def energy(xy, factor=1.0):                            # right widths, a middle of 0.3
        return 0.5 * ((xy[:, 1] - 0.3) / bars).square() * factor

    value, slope, bend = SobolevLoss(2, weights=(0.0, 1.0, 1.0)).terms(energy, energy_labels(points))
    assert float(value) == 0 and float(bend) == pytest.approx(0, abs=1e-6)
    assert float(slope) == pytest.approx(np.mean(((points.y - 0.3) / points.bars)**2), rel=1e-5)
    off = SobolevLoss(2, weights=(0.0, 1.0, 1.0)).terms(lambda xy: energy(xy, 1.2), energy_labels(points))[2]
    assert float(off) == pytest.approx((0.2 / bells.TOLERANCE)**2, rel=1e-4)


def test_the_valley_of_a_bowl_is_its_middle_and_its_width():
    x = np.linspace(-1, 1, 7)

    def energy(xy):
        return 0.5 * ((xy[:, 1] - xy[:, 0].sin()) / (0.2 + xy[:, 0].square())).square() + 7

    mean, width = valley(energy, x, -2, 2)
    assert np.allclose(mean, np.sin(x), atol=1e-5) and np.allclose(width, 0.2 + x**2, rtol=1e-4)


@pytest.mark.parametrize("energy", [
    lambda xy: -xy[:, 1].square() + 0 * xy[:, 0], lambda xy: xy[:, 1] * xy[:, 0] + 1e-3 * xy[:, 1]**2],
    ids=["a hill", "a slope"])
def test_where_an_energy_is_no_bowl_the_width_is_the_range(energy):
    mean, width = valley(energy, np.array([0.5, 1.0]), -2, 2)
    assert np.allclose(width, 4) and (np.abs(mean) <= 2).all()


def test_scatter_is_judged_by_the_density_of_a_bell():
    prediction, y = torch.randn(6, 2), torch.randn(6)
    normal = torch.distributions.Normal(prediction[:, 0], prediction[:, 1].exp())
    expected = -normal.log_prob(y) - 0.5 * math.log(2 * math.pi)
    assert torch.allclose(scatter_loss(prediction, torch.stack([y, y], 1)), expected, atol=1e-5)
    bell = prediction[:, 0].double().numpy(), prediction[:, 1].double().exp().numpy()
    assert log_loss(y.numpy(), bell) == pytest.approx(float(expected.mean()) + 0.5 * math.log(2 * math.pi), rel=1e-5)
    assert log_loss(y.numpy(), (bell[0] * np.nan, bell[1])) == log_loss(y.numpy(), (bell[0], 0 * bell[1])) == 1e9


def test_members_that_disagree_widen_the_bell():
    ones = np.ones(4)
    mean, width = one_bell([(0 * ones, 3 * ones), (8 * ones, 3 * ones)])
    assert np.allclose(mean, 4) and np.allclose(width, 5)


def test_a_bell_with_the_true_width_is_calibrated_and_the_one_with_two_branches_is_not():
    found = run_unit("few/truth", Config(), [0, 1], "cpu")["runs"]
    assert np.allclose(np.mean([run["coverage"] for run in found], 0), LEVELS, atol=0.04)
    assert all(run["outside"] == pytest.approx(0.9, abs=0.04) for run in found)
    branches = run_unit("two branches/truth", Config(), [0], "cpu")["runs"][0]
    assert branches["coverage"][LEVELS.index(0.5)] < 0.2 and within(np.zeros(3), (np.ones(3), np.ones(3)), 0.5) == 0


@pytest.mark.slow
def test_curvature_learns_error_bars(curved):
    found, best = curved, run_unit("more/truth", SMALL, [0, 1, 2], "cpu")
    assert found["chosen"] in [[1e-2, 100], [1e-2, 200]] and len(found["trials"]) == 2
    assert found["by"] == best["by"] == "sobolev_lib"
    assert min(trial["validation_log_loss"] for trial in found["trials"]) == next(
        trial["validation_log_loss"] for trial in found["trials"] if trial["settings"] == found["chosen"])
    assert [run["seed"] for run in found["runs"]] == [0, 1, 2]
    for run, least in zip(found["runs"], best["runs"]):
        assert least["log_loss"] < run["log_loss"] < least["log_loss"] + 2.5
    assert np.shape(found["runs"][0]["bands"]) == (2, len(curvature.shown())) and "bands" not in found["runs"][1]
    json.dumps(found, allow_nan=False)


def test_a_killed_run_goes_on_where_it_was(tmp_path, monkeypatch):
    unit = "more/two outputs"
    whole = run_unit(unit, SMALL, [0], "cpu", Keep(tmp_path))
    (tmp_path / "runs.json").unlink()
    monkeypatch.setattr(curvature, "_tuned", None)         # is not asked again
    assert run_unit(unit, SMALL, [0], "cpu", Keep(tmp_path)) == whole


@pytest.mark.slow
def test_a_bowl_is_no_better_and_no_worse_than_the_same_bars_told_as_values(curved):
    """The curvature's term sees the widths alone, the slope's term is weighted least squares: two ways to one answer."""
    config = replace(SMALL, methods=("bars as values",), steps=curved["chosen"][1:])
    told = run_unit("more/bars as values", config, [0, 1, 2], "cpu")
    assert told["chosen"] == curved["chosen"]
    for bowl, values in zip(curved["runs"], told["runs"]):
        assert bowl["log_loss"] == pytest.approx(values["log_loss"], abs=0.15)


def test_an_unknown_method_is_refused():
    with pytest.raises(ValueError, match="one of curvature, free energy, bars as values, two outputs, ensemble, got 'magic'"):
        bells.trained("magic", [], [], [], [1], (4,), print)


def test_the_process_is_told_the_bars():
    pytest.importorskip("sklearn")
    train, _, test, outside = drawn("more", 0, Config())
    predict = bell_peers.process(train, None, None)
    assert log_loss(test.y, predict(test.x)) < log_loss(test.y, truth(test.x)) + 0.2
    mean, width = predict(np.array([0.0, 2.9]))
    assert width[0] == pytest.approx(truth(np.zeros(1))[1][0], rel=0.25)
    assert width[1] > 2 * truth(np.array([2.9]))[1][0]


def test_trees_learn_from_scatter_and_their_number_is_a_trial(monkeypatch):
    pytest.importorskip("ngboost")
    train, _, test, _ = drawn("many", 0, Config())
    few, more = (predict(test.x) for predict in bell_peers.boosted(train, 2, [10, 300], 0))
    assert log_loss(test.y, more) < log_loss(test.y, few) - 0.3 and log_loss(test.y, more) < log_loss(test.y, truth(test.x)) + 0.8
    untold = bell_peers.boosted(Points(train.x, train.y, train.bars / 2), 2, [300], 0)[0](test.x)
    assert np.array_equal(untold[1], more[1])              # whatever the bars say
    config = replace(SMALL, depths=(2,), trees=(10, 300))
    found = run_unit("more/NGBoost", config, [0], "cpu")
    assert found["by"].startswith("ngboost ") and [trial["settings"] for trial in found["trials"]] == [[2, 10], [2, 300]]
    assert found["chosen"] in ([2, 10], [2, 300]) and len(found["runs"][0]["coverage"]) == len(LEVELS)


def test_each_unit_of_the_record_says_whose_code_it_is():
    record = load_record("curvature")
    code = {unit: found["by"].split()[0] for unit, found in record["results"].items()}
    others = {"Gaussian process": "scikit-learn", "NGBoost": "ngboost"}
    assert code == {unit: others.get(unit.split("/")[1], "sobolev_lib") for unit in units(Config())}
    assert {len(found["trials"]) for unit, found in record["results"].items() if not unit.endswith("truth")} == {28}


# --- what a record says -----------------------------------------------------------------------------------------

def made(curved, rivals=1.0, cases=("few", "more", "many"), seeds=4):
    """A record in which the rivals lose ``rivals`` nats, the curvature ``curved`` of each case."""
    def runs(loss):
        return {"runs": [{"seed": seed, "log_loss": loss + 0.01 * seed**2, "coverage": list(LEVELS), "outside": 0.5}
                         for seed in range(seeds)]}

    others = dict.fromkeys([*curvature.RIVALS, "bars as values"], rivals)
    losses = {case: {"curvature": loss, **others} for case, loss in zip(cases, curved)}
    results = {f"{case}/{method}": runs(loss * (1 + 1e-3)) if method == "curvature" else runs(loss)
               for case, methods in losses.items() for method, loss in methods.items()}
    for case in cases:                                     # differences that vary over the seeds
        for run in results[f"{case}/curvature"]["runs"]:
            run["log_loss"] += 0.02 * (-1)**run["seed"]
    config = {"cases": {case: ["error bars", 20 * (k + 1)] for k, case in enumerate(cases)},
              "methods": ["curvature", *curvature.RIVALS]}
    return {"config": config, "results": results, "seeds": list(range(seeds)), "experiment": "curvature", "preset": "cpu"}


@pytest.mark.parametrize("curved, status", [
    ((0.5, 0.6, 0.7), "confirmed"), ((0.5, 0.6, 1.0), "confirmed in direction"), ((0.5, 1.0, 1.0), "open"),
    ((0.5, 1.5, 1.5), "open"), ((1.5, 1.3, 2.0), "contradicted")])
def test_the_verdict_follows_its_rule(curved, status):
    found = curvature.verdict(made(curved))
    assert found.status == status and "from 20 points" in found.measured and "hold 90 (90 to 90), 90 (90 to 90), 90 (90 to 90) %" in found.measured
    lower = 1 - curved[0] * 1.001
    words = f"{abs(lower):.2g} nats {'lower' if lower > 0 else 'higher'} ("
    assert f"from 20 points {words}" in found.measured and f"told the bars as values: {words}" in found.measured


def test_two_numbers_of_points_or_one_seed_confirm_nothing():
    assert curvature.verdict(made((0.5, 0.5), cases=("few", "more"))).status == "confirmed in direction"
    assert curvature.verdict(made((0.5, 0.5, 0.5), seeds=1)).status == "open"


def test_seeds_are_paired():
    record = made((0.5,) * 3)
    record["results"]["few/ensemble"]["runs"].reverse()
    assert gain(record, "few", "ensemble") == gain(made((0.5,) * 3), "few", "ensemble")
    for run in record["results"]["few/ensemble"]["runs"]:
        run["seed"] += 100
    with pytest.raises(MissingResults, match="seeds that curvature and ensemble share, got none"):
        gain(record, "few", "ensemble")


def test_a_choice_at_an_end_of_what_was_tried_is_told():
    config = {"rates": [0.1, 0.2, 0.3], "steps": [5, 10, 20], "smoothness": [0.5, 1.5, None], "smoothness_of_bars": [1.5, 2.5],
              "depths": [1, 2, 3], "trees": [10, 20]}
    chosen = {"curvature": [0.1, 10], "Gaussian process": [None, 2.5], "NGBoost": [3, 15], "truth": []}
    record = {"config": config, "results": {f"few/{method}": {"chosen": found} for method, found in chosen.items()}}
    assert curvature.at_ends(record, "few", "curvature") == {"rates": True, "steps": False}
    assert curvature.at_ends(record, "few", "Gaussian process") == {"smoothness": False, "smoothness_of_bars": True}
    assert curvature.at_ends(record, "few", "NGBoost") == {"depths": True, "trees": False}
    assert curvature.at_ends(record, "few", "truth") == {}


def test_what_a_record_lacks_is_named():
    record = made((0.5,) * 3)
    assert coverage(record, "few", "curvature").mean == pytest.approx(0.9)
    del record["results"]["many/two outputs"]
    with pytest.raises(MissingResults, match="many/two outputs"):
        curvature.verdict(record)
    with pytest.raises(MissingResults, match="expected cases with error bars that are right, got none"):
        curvature.verdict(record | {"config": {"cases": {"a": ["two branches", 60]}}})
