"""Black boxes by other people's code: as many calls whatever is told, fits that use slopes, and a verdict that follows its rule."""
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist

from sobolev_lib.experiments import black_box_peers, gradient_worth, learned_simulator
from sobolev_lib.experiments.black_box import RANDOM, WAYS, Protocol, trained
from sobolev_lib.experiments.black_box_peers import (
    DIFFERENCES,
    DIRECTIONS,
    OURS,
    VALUES,
    Box,
    Config,
    against,
    boxes,
    boxes_of,
    methods,
    run_unit,
    verdict,
)
from sobolev_lib.experiments.gradient_process import gaussian_process
from sobolev_lib.records import MissingResults

pytest.importorskip("gpytorch")
pytestmark = pytest.mark.usefixtures("states_once")


# --- the process --------------------------------------------------------------------------------------------------

def test_without_a_step_the_process_is_kriging_by_its_formula():
    """The mean of Rasmussen and Williams, equation 2.23, on z-scores, with the numbers that gpytorch begins with."""
    generator = np.random.default_rng(0)
    X, new = generator.uniform(-1, 1, (12, 2)), generator.uniform(-1, 1, (7, 2))
    y = np.sin(2 * X[:, 0]) * X[:, 1] + 5
    z, at, label = (X - X.mean(0)) / X.std(0, ddof=1), (new - X.mean(0)) / X.std(0, ddof=1), (y - y.mean()) / y.std(ddof=1)

    def kernel(a, b):
        return np.log(2) * np.exp(-cdist(a, b, "sqeuclidean") / (2 * 1.3 ** 2))            # softplus(0) is the size

    expected = y.mean() + y.std(ddof=1) * (kernel(at, z) @ np.linalg.solve(kernel(z, z) + 0.01 * np.eye(12), label))
    found, slopes = gaussian_process(X, y, None, 0, length=1.3, noise=0.01, steps=0)(new)
    assert slopes is None and found == pytest.approx(expected, abs=1e-4)


def test_along_directions_the_process_is_kriging_by_its_formula():
    """Values and slopes along u: covariances k, k u.D / l^2 and k (u.u' / l^2 - u.D u'.D / l^4), with D the points' distance."""
    generator = np.random.default_rng(0)
    X, new, u = generator.uniform(-1, 1, (12, 3)), generator.uniform(-1, 1, (7, 3)), generator.normal(size=(12, 3))
    y = np.stack([np.sin(2 * X[:, 0]) * X[:, 1] + 5, X[:, 2] ** 2], 1)
    slopes = np.stack([(np.stack([2 * np.cos(2 * X[:, 0]) * X[:, 1], np.sin(2 * X[:, 0]), 0 * X[:, 2]], 1) * u).sum(1),
                       2 * X[:, 2] * u[:, 2]], 1)
    mean, std, size = X.mean(0), X.std(0, ddof=1), y.std(0, ddof=1)
    z, at, v, length = (X - mean) / std, (new - mean) / std, u / std, 1.3

    def covariances(a, b, w):
        """Of values at a with values at b, and with slopes along w there."""
        k = np.log(2) * np.exp(-cdist(a, b, "sqeuclidean") / (2 * length ** 2))            # softplus(0) is the size
        along = np.einsum("nmd,md->nm", a[:, None] - b[None], w) / length ** 2
        return k, k * along, along

    k, mixed, right = covariances(z, z, v)
    left = -np.einsum("nmd,nd->nm", z[:, None] - z[None], v) / length ** 2
    whole = np.block([[k, mixed], [mixed.T, k * (v @ v.T / length ** 2 + left * right)]]) + 0.01 * np.eye(24)
    labels = np.concatenate([(y - y.mean(0)) / size, slopes / size])
    expected = y.mean(0) + size * (np.hstack(covariances(at, z, v)[:2]) @ np.linalg.solve(whole, labels))
    found = gaussian_process(X, y, slopes, 0, directions=u, length=length, noise=0.01, steps=0)(new)[0]
    assert found == pytest.approx(expected, abs=1e-4)
    single = gaussian_process(X, y[:, 0], slopes[:, 0], 0, directions=u, length=length, noise=0.01, steps=0)(new)[0]
    assert single == pytest.approx(expected[:, 0], abs=1e-4)


def test_slopes_are_used_and_outputs_keep_their_shape_and_unit():
    generator = np.random.default_rng(1)
    X, new = generator.uniform(-1, 1, (8, 2)), generator.uniform(-0.8, 0.8, (200, 2))

    def truth(x):
        value = np.stack([1e4 + 100 * np.sin(2 * x[:, 0] + x[:, 1]), 1e-3 * np.cos(x[:, 0] - x[:, 1])], 1)
        slope = np.stack([100 * np.cos(2 * x[:, 0] + x[:, 1])[:, None] * [2, 1],
                          -1e-3 * np.sin(x[:, 0] - x[:, 1])[:, None] * [1, -1]], 1)
        return value, slope

    value, slope = truth(X)
    size = truth(new)[0].std(0)
    errors = []
    for told in (None, slope):
        found = gaussian_process(X, value, told, 0, length=1.5, noise=1e-4)(new)[0]
        assert found.shape == (200, 2)
        errors.append(np.sqrt(np.square((found - truth(new)[0]) / size).mean(0)))
    assert (errors[1] < 0.02).all() and (errors[1] < errors[0] / 5).all()
    single = gaussian_process(X, value[:, 0], slope[:, 0], 0, length=1.5, noise=1e-4)(new)[0]
    assert single.shape == (200,) and np.sqrt(np.square((single - truth(new)[0][:, 0]) / size[0]).mean()) < 0.02


# --- what is asked ------------------------------------------------------------------------------------------------

@pytest.mark.slow
def test_every_way_costs_as_many_calls_and_the_boxes_are_those_of_the_networks():
    config = Config()
    for name in boxes(black_box_peers.describe(config)):
        box = Box(name, config)
        alone, gradients = box.asked("values", 3), box.asked(WAYS[2], 3)
        assert len(alone) == len(gradients) * (1 + box.inputs) == box.calls and gradients.order == 1 and alone.order == 0
    problem, box = gradient_worth.Problem("5/0.02", config.waves), Box("waves/5/0.02", config)
    assert torch.equal(problem.asked(WAYS[2], 40, 3).jacobian, box.asked(WAYS[2], 3).jacobian) and len(box.asked(WAYS[2], 3)) == 40
    assert box.variance == problem.variance
    assert torch.equal(Box("lorenz/800", config).asked("values", 3).inputs, learned_simulator.states(800, 3))
    along = box.asked(RANDOM, 3)
    assert 2 * len(along) == box.calls and torch.equal(along.products, problem.asked(RANDOM, 120, 3).products)


def test_all_methods_have_as_many_trials_as_the_networks():
    assert {len(trials) for trials in black_box_peers.TRIALS.values()} == {len(Protocol().trials("values"))}
    assert set(black_box_peers.METHODS) == set(black_box_peers.TRIALS) and not set(OURS) & set(black_box_peers.METHODS)


def test_who_learns_which_black_box():
    config = black_box_peers.describe(Config())
    every = [*black_box_peers.TRIALS, *OURS]
    assert methods(config, "waves/5/0.02") == every
    few = [method for method in every if not method.endswith("random directions")]
    assert methods(config, "waves/1/0") == methods(config, "waves/12/0") == methods(config, "lorenz/800") == few
    assert methods(config, "lorenz/3200") == ["MLPRegressor, values", "JENN, differences", *OURS[:2]]
    units = black_box_peers.units(Config())
    assert len(units) == len(set(units)) == 6 * 2 * 6 + 4 * 2 * 2 + 2 * 6 + 4


SMALL = replace(black_box_peers.PRESETS["quick"], waves=replace(gradient_worth.PRESETS["quick"], inputs=(1,), points=6),
                trials={DIFFERENCES: [{"length": 1e-2, "noise": 1e-4, "steps": 0}, {"length": 1.5, "noise": 1e-4, "steps": 0}],
                        VALUES: [{"length": 1.5, "noise": 1e-4}]})


def test_the_winner_is_chosen_by_validation_error_and_measured_on_the_test_points():
    found = run_unit(f"waves/1/0/{DIFFERENCES}", SMALL, [0, 4], "cpu")
    assert found["chosen"]["length"] == 1.5 and found["by"].startswith("gpytorch ") and found["points"] == 6
    assert found["trials"][1]["log10_validation_error"] < found["trials"][0]["log10_validation_error"] - 1
    box = Box("waves/1/0", SMALL)
    data, test = box.asked(WAYS[2], 4), box.clean(SMALL.waves.test_points, 7)
    predict = gaussian_process(*(table.numpy() for table in data.tables), 4, **found["chosen"])
    error = np.square(predict(test.inputs.numpy())[0] - test.values.numpy()).mean() / test.values.numpy().var()
    assert found["runs"][1]["seed"] == 4 and found["runs"][1]["error"] == pytest.approx(error, rel=2e-3)


@pytest.mark.slow
@pytest.mark.parametrize("told, way", [("values", "values"), ("differences", WAYS[2]), ("random directions", gradient_worth.AS_MANY_CALLS)])
def test_our_networks_are_those_of_their_own_record(told, way):
    """From as many calls, by the same points and trials: only what measures them is another."""
    waves = replace(gradient_worth.PRESETS["quick"], factors=(3,), steps=60, points=10, test_points=50, validation_points=30)
    config = replace(SMALL, waves=waves, directions=(2,))
    found = run_unit(f"waves/2/0/our network, {told}", config, [0, 4], "cpu")
    own = gradient_worth.run_unit("2/0", waves, [0, 4], "cpu")
    own = {"variance": own["variance"], **(own["values"]["3"] if told == "values" else own[way])}
    assert found["by"] == "sobolev_lib" and found["points"] == {"values": 30, "differences": 10, "random directions": 15}[told]
    assert [run["error"] for run in found["runs"]] == pytest.approx([error / own["variance"] for error in own["test_mse"]], rel=1e-3)
    assert [run["seed"] for run in found["runs"]] == [0, 4] and found["chosen"]["lr"] == own["trials"][0]["lr"]
    trial, = found["trials"]
    assert trial["log10_validation_error"] == pytest.approx(
        own["trials"][0]["log10_validation_mse"] - np.log10(own["variance"]), abs=1e-3)


@pytest.mark.slow
def test_a_network_of_the_simulator_is_measured_as_the_others_are():
    """Its error is a mean over outputs, also where it is chosen."""
    lorenz = replace(learned_simulator.PRESETS["quick"], calls=(40,), steps=60, validation_points=30, test_points=30, rollouts=3)
    found = run_unit("lorenz/40/our network, values", replace(SMALL, lorenz=replace(lorenz, tuning_seeds=(0,))), [0], "cpu")
    box = Box("lorenz/40", replace(SMALL, lorenz=lorenz))
    network, = trained([box.asked("values", 0).to("cpu", torch.float32)], [(1e-2,)], [0], lorenz, "cpu")
    for key, truth in (("runs", box.clean(30, 7)), ("trials", box.clean(30, 0))):
        error = float((network(truth.inputs.float()).detach().double() - truth.values).square().mean()) / box.variance
        told = found[key][0].get("error", 10 ** found[key][0].get("log10_validation_error", 0))
        assert told == pytest.approx(error, rel=1e-3)
    assert found["runs"][0]["valid_time"] == pytest.approx(learned_simulator.valid_time(network, lorenz, "cpu"))


def test_slopes_along_random_directions_are_told_to_the_process():
    config = replace(SMALL, waves=replace(SMALL.waves, inputs=(2,), points=20), directions=(2,),
                     trials={DIRECTIONS: [{"length": 1.5, "noise": 1e-4}]})
    found = run_unit(f"waves/2/0/{DIRECTIONS}", config, [0], "cpu")
    data = Box("waves/2/0", config).asked(RANDOM, 0)
    test = Box("waves/2/0", config).clean(config.waves.test_points, 7)
    predict = gaussian_process(data.inputs.numpy(), data.values.numpy(), data.products[:, 0].numpy(), 0,
                               directions=data.directions[:, 0].numpy(), length=1.5, noise=1e-4)
    error = np.square(predict(test.inputs.numpy())[0] - test.values.numpy()).mean() / test.values.numpy().var()
    assert found["points"] == 30 and found["runs"][0]["error"] == pytest.approx(error, rel=2e-3)


@pytest.mark.slow
def test_rollouts_of_the_simulator_are_timed():
    config = replace(SMALL, lorenz=replace(SMALL.lorenz, calls=(120,), rollout_steps=30, threshold=0.4))
    found = run_unit(f"lorenz/120/{VALUES}", config, [0], "cpu")
    assert 0.5 < found["runs"][0]["valid_time"] <= 3.0 and found["runs"][0]["error"] < 1e-2


def test_answers_that_are_no_numbers_lose(monkeypatch):
    monkeypatch.setitem(black_box_peers.METHODS, VALUES, lambda X, y, dy, seed, **trial: lambda X: (np.full(len(X), np.nan), None))
    assert run_unit(f"waves/1/0/{VALUES}", SMALL, [0], "cpu")["runs"][0]["error"] == 1e9


# --- what a record says -------------------------------------------------------------------------------------------

def record(ratios, seeds=3, times=(2.0, 1.0), along=1.0):
    """Squared errors with differences over those of values, a ratio a box; times of the simulator with and without; and errors
    with random directions over those with differences."""
    config = black_box_peers.describe(replace(Config(), waves=replace(Config().waves, inputs=tuple(range(1, len(ratios))),
                                                                      noises=(0.0,)),
                                              lorenz=replace(Config().lorenz, calls=(200, 3_200))))
    results = {}
    for box, ratio in zip(boxes(config), ratios):
        for method, error, time in ((DIFFERENCES, ratio, times[0]), (VALUES, 1.0, times[1]), (DIRECTIONS, along * ratio, 1.0)):
            results[f"{box}/{method}"] = {"runs": [{"seed": seed, "error": 0.01 * error * (1 + 0.01 * (seed - 1) * time),
                                                    "valid_time": time} for seed in range(seeds)]}
    return {"experiment": "black-box-peers", "preset": "cpu", "config": config, "results": results, "seeds": list(range(seeds))}


@pytest.mark.parametrize("ratios, status", [((0.5, 0.2), "confirmed"), ((0.5, 0.2, 3.0), "confirmed in direction"),
                                            ((2.0, 3.0), "contradicted"), ((0.5, 3.0), "open"), ((1.001, 3.0), "open")])
def test_the_verdict_follows_its_rule(ratios, status):
    found = verdict(record(ratios))
    less, more = sum(ratio < 0.9 for ratio in ratios), sum(ratio > 1.1 for ratio in ratios)
    assert found.status == status
    assert f"in {less} of {len(ratios)} cases, and clearly more in {more}." in found.measured
    assert "near the truth 2.00 times as long (2.00 to 2.00) from 200 calls." in found.measured     # from more it was not run
    assert ("random directions" in found.measured) == (len(ratios) > 2)                             # with two inputs at least


def test_random_directions_are_told_in_the_verdict():
    made = record((0.5, 2.0, 3.0, 0.5), along=0.5)
    assert boxes_of(made, DIRECTIONS) == ["waves/2/0", "waves/3/0"] and boxes_of(made, VALUES)[-1] == "lorenz/200"
    assert "serve it clearly better than whole gradients in 2 of 2 cases, and clearly worse in 0." in verdict(made).measured
    assert "gradients in 0 of 2 cases, and clearly worse in 2." in verdict(record((0.5, 2.0, 3.0, 0.5), along=2.0)).measured


def test_a_record_that_lacks_runs_says_so_and_a_rollout_that_is_lost_at_once_has_a_time():
    thin = record((0.5, 0.2))
    del thin["results"][f"waves/1/0/{VALUES}"]
    with pytest.raises(MissingResults, match="waves/1/0/GPyTorch, values"):
        verdict(thin)
    empty = record((0.5, 0.2))
    empty["config"]["waves"]["inputs"], empty["config"]["lorenz"]["calls"] = [], []
    with pytest.raises(MissingResults, match="expected black boxes, got none"):
        verdict(empty)
    lost = record((0.5, 0.2), times=(0.0, 1.0))
    assert 10 ** against(lost, "lorenz/200", what="valid_time").mean == pytest.approx(0.05)
