"""Your own derivatives: equal budgets, disjoint splits, what the record says, and peers where they are installed."""
import json
import math
from importlib import metadata

import numpy as np
import pytest
import torch

from sobolev_lib.experiments import own_derivatives, own_peers
from sobolev_lib.experiments.own_derivatives import Config, against, best, split, turned, units
from sobolev_lib.experiments.own_peers import Distances, by, error_shares
from sobolev_lib.records import MissingResults


def test_every_method_has_as_many_trials():
    assert {len(trials) for methods in own_derivatives.TRIALS.values() for trials in methods.values()} == {4}
    assert set(own_derivatives.TRIALS) == set(own_derivatives.CASES) == set(Config().points)
    assert {method for methods in own_derivatives.TRIALS.values() for method in methods} == set(own_peers.METHODS)


@pytest.mark.parametrize("case", own_derivatives.CASES)
def test_nobody_is_tested_on_points_that_were_shown(case):
    parts = split(case, 3, Config())
    rows = [{tuple(row) for row in part.X} for part in parts]
    assert len(set.union(*rows)) == sum(map(len, parts)) == sum(map(len, rows))
    assert np.array_equal(split(case, 3, Config())[0].dy, parts[0].dy)
    assert not np.array_equal(split(case, 4, Config())[0].X, parts[0].X)


def test_option_prices_are_tested_on_the_exact_ones_and_chosen_by_noisy_ones():
    train, validation, test = split("options", 0, Config())
    assert (test.dy > 0).all() and (train.dy == 0).any() and (validation.dy == 0).any()


def test_distances_stay_when_a_cluster_is_turned():
    X = np.random.default_rng(0).normal(size=(5, 18))
    before, after = (Distances()(torch.tensor(each)) for each in (X, turned(X, 0)))
    assert torch.allclose(before, after) and before.shape == (5, 15)


def test_the_winner_is_the_trial_with_the_lowest_validation_error():
    trials = [{"hidden": (8,), "steps": 2}, {"hidden": (16,), "steps": 300, "lr": 1e-2}]
    config = Config(trials={"teacher": {"slopes": trials}}, points={"teacher": 40}, truth=False)
    found = own_derivatives.run_unit("teacher/slopes", config, [0, 1], "cpu")
    assert found["chosen"] == {"hidden": [16], "steps": 300, "lr": 1e-2} or found["chosen"] == trials[1]
    assert [run["seed"] for run in found["runs"]] == [0, 1] and found["by"] == "sobolev_lib"
    assert all(run["value"] < 0.9 and run["seconds"] > 0 for run in found["runs"])
    json.dumps(found, allow_nan=False)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["slopes", "values", "slopes, invariant", "twin network"])
def test_own_methods_learn(method):
    case = {"twin network": "options"}.get(method, "cluster")
    train, _, test = split(case, 0, Config())
    predict = own_peers.METHODS[method](train.X, train.y, train.dy, 0, **({} if case == "options" else {"steps": 300, "hidden": (32, 32)}))
    found = error_shares(test.X, predict(test.X), (test.y, test.dy))
    assert found["value"] < {"options": 0.2, "cluster": 1.0 if method == "values" else 0.8}[case]
    assert predict(test.X)[1].shape == test.dy.shape


def test_slopes_of_the_invariant_network_are_those_of_its_energies():
    train, _, test = split("cluster", 0, Config())
    predict, X = own_peers.invariant(train.X, train.y, train.dy, 0, steps=50), test.X[:3]
    for k in (0, 7, 17):
        move = 1e-2 * np.eye(18)[k]
        difference = (predict(X + move)[0] - predict(X - move)[0]) / 2e-2
        assert difference == pytest.approx(predict(X)[1][:, k], rel=0.05, abs=0.05)


def test_what_is_no_number_counts_as_a_large_error():
    y, dy = np.array([1.0, -1.0]), np.ones((2, 1))
    found = error_shares(np.array([[0.0], [1.0]]), (y * np.nan, None), (y, dy))
    assert found == {"value": 1e9}


@pytest.mark.filterwarnings("ignore")                       # of packages that are not ours
@pytest.mark.parametrize("method, package, settings", [
    ("JENN", "jenn", {"hidden": (8,), "alpha": 0.05, "max_iter": 200}), ("RMTB", "smt", own_derivatives.TRIALS["engine"]["RMTB"][0]),
    ("RMTC", "smt", own_derivatives.TRIALS["engine"]["RMTC"][0]), ("GEKPLS", "smt", own_derivatives.TRIALS["engine"]["GEKPLS"][0]),
    ("GPMin", "ase", {"noise": 1e-3, "scale": 2.5}), ("sGDML", "sgdml", {"sigma": 16})])
def test_peers_are_given_what_they_need(method, package, settings):
    pytest.importorskip(package)
    train, _, test = split("cluster" if method in ("GPMin", "sGDML") else "engine", 0, Config())
    predict = own_peers.METHODS[method](train.X, train.y, train.dy, 0, **settings)
    found = error_shares(test.X, predict(test.X), (test.y, test.dy))
    assert found["value"] < 0.5 and (method == "GEKPLS" or found["slope"] < 0.9)


def test_a_force_field_of_distances_does_not_mind_turns():
    pytest.importorskip("sgdml")
    train, _, test = split("cluster", 0, Config())
    predict = own_peers.sgdml(train.X, train.y, train.dy, 0, sigma=16)
    assert predict(own_derivatives.turned(test.X, 0))[0] == pytest.approx(predict(test.X)[0], abs=1e-6)


def test_quantlib_agrees_on_prices_and_deltas_of_all_assets():
    pytest.importorskip("QuantLib")
    found = own_peers.differs_from_quantlib()
    assert found["price"] < 1e-14 and found["delta"] < 1e-14


def test_scikit_learn_s_peers_learn():
    train, _, test = split("teacher", 0, Config())
    for method, settings in (("MLPRegressor", {"hidden": (16,), "alpha": 1.0}), ("Gaussian process", {"nu": None})):
        predict = own_peers.METHODS[method](train.X, train.y, train.dy, 0, **settings)
        assert error_shares(test.X, predict(test.X), (test.y, test.dy))["value"] < 0.8


def test_a_package_that_is_missing_is_named(monkeypatch):
    def missing(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(own_peers.metadata, "version", missing)
    with pytest.raises(ImportError, match="GPMin: expected the package ase for a new record, got none; pip install ase"):
        by("GPMin")
    assert by("twin network") == "sobolev_lib"


# --- what a record says -----------------------------------------------------------------------------------------

def made(slopes, peer=1.0, cases=tuple(own_derivatives.CASES)):
    """A record in which values alone err by 1, slopes by ``slopes`` of each case, one peer by ``peer``."""
    spread = [0.97, 1.0, 1.03]
    errors = {case: {"values": 1.0, "slopes": ratio, "JENN": peer} for case, ratio in zip(cases, slopes)}
    results = {f"{case}/{method}": {"runs": [{"seed": k, "value": error * (s if method != "values" else 1.0)}
                                             for k, s in enumerate(spread)]}
               for case, methods in errors.items() for method, error in methods.items()}
    config = {"trials": {case: {"slopes": [], "values": [], "JENN": []} for case in cases},
              "points": dict.fromkeys(cases, 100)}
    return {"config": config, "results": results, "seeds": [0, 1, 2], "experiment": "own-derivatives", "preset": "cpu"}


@pytest.mark.parametrize("slopes, status", [
    ((0.5, 0.6, 0.7, 0.4), "confirmed"), ((0.5, 0.6, 1.0, 0.4), "confirmed in direction"), ((0.5, 1.0, 1.0, 0.4), "open"),
    ((1.5, 1.3, 2.0, 1.4), "contradicted")])
def test_the_verdict_follows_its_rule(slopes, status):
    found = own_derivatives.verdict(made(slopes))
    assert found.status == status and f"jet engine deck {1 / slopes[0]:.3g} times smaller (" in found.measured


@pytest.mark.parametrize("peer, said", [(2.0, "ahead of JENN, 0.25 times"), (0.5, "level with JENN, 1.0 times"), (0.1, "behind JENN, 5.0 times")])
def test_where_a_peer_is_better_is_said(peer, said):
    record = made((0.5,) * 4, peer)
    assert said in own_derivatives.beside_peers(record, "engine") and said in own_derivatives.verdict(record).measured


@pytest.mark.parametrize("peer, said", [("sGDML", "behind sGDML"), ("twin network", "behind the twin network")])
def test_an_article_stands_before_words_and_not_before_names(peer, said):
    record = made((0.5,) * 4, 0.1)
    record["config"]["trials"]["engine"] = {"slopes": [], "values": [], peer: []}
    record["results"][f"engine/{peer}"] = record["results"]["engine/JENN"]
    assert own_derivatives.beside_peers(record, "engine").startswith(said)


def test_the_best_of_ours_is_one_that_is_told_slopes():
    record = made((3.0,) * 4)
    assert best(record, "engine", ours=True) == "slopes" and best(record, "engine", ours=False) == "JENN"
    assert against(record, "engine", "slopes", "values").mean == pytest.approx(math.log10(3), abs=0.01)


def test_a_record_without_a_unit_or_cases_is_said_to_lack_them():
    record = made((0.5,) * 4)
    del record["results"]["options/values"]
    with pytest.raises(MissingResults, match="options/values"):
        own_derivatives.verdict(record)
    with pytest.raises(MissingResults, match="expected cases, got none"):
        own_derivatives.verdict(record | {"config": {"trials": {}}})


def test_the_quick_preset_needs_no_other_package():
    assert units(own_derivatives.PRESETS["quick"]) == ["engine/slopes", "engine/values"]
