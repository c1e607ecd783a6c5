"""Slopes that hurt: what is told, who is tuned on what, and a verdict that follows its rule."""
import warnings

import numpy as np
import pytest
import torch

import sobolev_lib as sl
from sobolev_lib.experiments import harmful_slopes
from sobolev_lib.experiments.harmful_slopes import (
    WEIGHED,
    Config,
    against,
    describe,
    harmful,
    labels,
    run_unit,
    target,
    units,
    verdict,
)
from sobolev_lib.records import MissingResults

# --- what is told -------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("case", Config().cases)
def test_labels_are_those_that_the_case_names(case):
    kind, size = case.split("/")
    found = [labels(case, seed) for seed in range(60)]
    x, y, slopes = (torch.cat([getattr(data, name) for data in found]) for name in ("inputs", "values", "jacobian"))
    true = sl.label(target(case), x)
    off, slope_off = y - true.values, slopes - true.jacobian
    assert len(found[0]) == harmful_slopes.POINTS and float(x.abs().max()) <= harmful_slopes.REACH
    if kind == "noise":
        assert float(off.std()) == pytest.approx(0.2, rel=0.05)
        assert float(slope_off.std()) == pytest.approx(0.2 * float(size), rel=0.05)
    else:
        assert float(off.abs().max()) == 0
        torch.testing.assert_close(slopes, true.jacobian * (float(size) if kind == "factor" else 1))
    assert torch.equal(labels(case, 3).inputs, labels("factor/1", 3).inputs)               # a seed's points are those of every case


def test_a_ripple_is_on_the_curve_and_has_its_frequency():
    x = torch.linspace(-3, 3, 500, dtype=torch.float64).unsqueeze(1)
    ripple = target("ripple/20")(x) - harmful_slopes.curve(x)
    torch.testing.assert_close(ripple, 0.05 * torch.sin(20 * x[:, 0]))


@pytest.mark.parametrize("case", ["noise", "noise/", "noise/inf", "ripples/3", "", "factor/two"])
def test_cases_that_there_are_not_are_refused(case):
    with pytest.raises(ValueError, match="expected noise, factor, ripple or steps and a number"):
        labels(case, 0)


def test_the_formulas_weight_is_asked_where_the_noise_is_known_and_all_else_everywhere():
    found = units(Config())
    assert sum(unit.endswith(WEIGHED) for unit in found) == sum(case.startswith("noise") for case in Config().cases)
    few = [case for case in Config().cases if case.startswith("steps")]
    assert len(found) == len(set(found)) == 8 * (len(Config().cases) - len(few)) + 3 + 4 * len(few)
    assert {unit.split("/")[2] for unit in found if unit.startswith("steps")} == {"network", "JENN"}


# --- the runs -----------------------------------------------------------------------------------------------------

def test_a_method_is_tuned_on_seeds_of_its_own_and_measured_against_the_truth(monkeypatch):
    """A process that answers its trial's length: the nearest to the truth on average is chosen."""
    asked = []

    def process(X, y, dy, seed, length, noise):
        asked.append((seed, dy is None))
        return lambda X: (np.full(len(X), length), None)

    monkeypatch.setattr(harmful_slopes, "gaussian_process", process)
    monkeypatch.setattr(harmful_slopes, "by", lambda method: "made up 1.0")
    found = run_unit("factor/2/GPyTorch/slopes", Config(), [4, 5], "cpu")
    assert found["chosen"]["length"] == 0.3 and len(found["trials"]) == 6 and found["by"] == "made up 1.0"
    assert {seed for seed, _ in asked} == {500, 501, 502, 503, 4, 5} and not any(alone for _, alone in asked)
    x = torch.linspace(-3, 3, 601).unsqueeze(1)
    expected = (0.3 - harmful_slopes.curve(x)).square().mean()
    assert [run["error"] for run in found["runs"]] == [pytest.approx(float(expected), rel=1e-4)] * 2


def test_slopes_weigh_as_they_are_told_to(monkeypatch):
    """On z-scores a slope is multiplied by the inputs' spread: a weight of 1 is one over its square there."""
    seen = []

    def network(X, y, dy, seed, gamma, max_iter, **trial):
        seen.append((gamma * X.var(), max_iter))
        return lambda X: (np.zeros(len(X)), None)

    monkeypatch.setattr(harmful_slopes, "jenn", network)
    for told, case in (("values", "noise/4"), ("slopes", "noise/4"), (WEIGHED, "noise/4"), ("slopes", "steps/30")):
        harmful_slopes._fitted("JENN", told, case, 0, {})
    assert [weight for weight, _ in seen] == pytest.approx([0.0, 1.0, 1 / 16, 1.0])
    assert [steps for _, steps in seen] == [1000, 1000, 1000, 30]


@pytest.mark.filterwarnings("error")
def test_our_network_learns_and_is_hurt_by_a_wrong_sign_without_a_word():
    trial = {"hidden": (12, 12), "lr": 3e-2}
    x = torch.linspace(-3, 3, 61).unsqueeze(1)
    right, wrong, none = (harmful_slopes._error(harmful_slopes._fitted("network", told, case, 1, trial), case, x)
                          for told, case in (("slopes", "factor/1"), ("slopes", "factor/-1"), ("values", "factor/-1")))
    assert right < 1e-3 < none < 0.01 < wrong


def test_our_network_is_stopped_after_the_steps_of_the_case(monkeypatch):
    taken = []
    monkeypatch.setattr(harmful_slopes, "fit", lambda *args, steps, **how: taken.append(steps))
    for case in ("steps/30", "ripple/5"):
        harmful_slopes._fitted("network", "slopes", case, 0, {"hidden": (4,), "lr": 1e-2})
    assert taken == [30, 500]


@pytest.mark.slow
def test_the_regressor_is_left_alone_and_what_it_warns_of_is_kept():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = [run_unit(f"factor/{factor}/SobolevRegressor/slopes", Config(), [0], "cpu") for factor in (-1, 1)]
    wrong, right = (each["runs"][0] for each in found)
    assert wrong["warned"] and not right["warned"] and wrong["error"] > 100 * right["error"] and found[0]["by"] == "sobolev_lib"


# --- what a record says -------------------------------------------------------------------------------------------

def record(ratios, seeds=4):
    """JENN's errors with slopes over those without, a ratio a harmful case; the others are hurt by nothing."""
    cases = ["factor/1", *harmful(Config().cases)[:len(ratios)]]
    config = describe(Config(cases=tuple(cases)))
    results = {}
    for case, ratio in zip(cases, (0.1, *ratios)):
        for unit in units(Config(cases=(case,))):
            hurts = ratio if unit.endswith("JENN/slopes") else 0.5 if unit.endswith("/slopes") else 1.0
            results[unit] = {"runs": [{"seed": seed, "error": hurts * (1 + 0.01 * seed * hurts), "warned": seed > 1}
                                      for seed in range(seeds)]}
    return {"experiment": "harmful-slopes", "preset": "cpu", "config": config, "results": results, "seeds": list(range(seeds))}


@pytest.mark.parametrize("ratios, status", [((2.0, 3.0), "confirmed"), ((2.0, 3.0, 0.5), "confirmed in direction"),
                                            ((0.5, 0.5), "contradicted"), ((2.0, 0.5), "open"), ((1.0, 2.0), "open")])
def test_the_verdict_follows_its_rule(ratios, status):
    found = verdict(record(ratios))
    more, less = sum(ratio > 1 for ratio in ratios), sum(ratio < 1 for ratio in ratios)
    assert found.status == status
    assert f"more in {more} of {len(ratios)} cases, and clearly less in {less}; a plain network of ours in 0 and {len(ratios)}." in found.measured
    assert f"errs clearly more in 0 and less in {len(ratios)}; our regressor by its defaults in 0 and {len(ratios)}." in found.measured


def test_ratios_are_with_over_without_and_warnings_are_counted():
    made = record((2.0,))
    assert 10 ** against(made, "noise/4", "JENN").mean == pytest.approx(2.0, rel=0.05)
    assert harmful_slopes.warned(made, "noise/4") == 2


def test_what_is_harmful_is_told_by_noise_factor_and_the_gap_between_points():
    half = np.pi * 30 / 6                                  # half a wave is pi over nu, the mean gap 6 / 30
    assert harmful(["noise/1", "noise/1.5", "factor/1", "factor/0.9", "steps/10", f"ripple/{0.99 * half}", f"ripple/{1.01 * half}"]) == [
        "noise/1.5", "factor/0.9", f"ripple/{1.01 * half}"]


def test_records_that_lack_runs_or_cases_say_so():
    thin = record((2.0,))
    del thin["results"]["noise/4/GPyTorch/values"]
    with pytest.raises(MissingResults, match="noise/4/GPyTorch/values"):
        verdict(thin)
    with pytest.raises(MissingResults, match="expected cases in which slopes deserve less"):
        verdict(record(()))
