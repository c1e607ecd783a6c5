"""What black boxes are asked, what a gradient is worth in calls, and a simulator that is learned."""
import copy
import math

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp

import sobolev_lib as sl
from sobolev_lib.experiments import gradient_worth, learned_simulator
from sobolev_lib.experiments.black_box import WAYS, Protocol, asked, calls_a_point, trained, tuned, value_mse
from sobolev_lib.experiments.gradient_worth import best_step, curvature, pays, waves, worth
from sobolev_lib.experiments.keeping import Keep
from sobolev_lib.experiments.learned_simulator import SAME_POINTS, simulator, states, valid_time
from sobolev_lib.records import MissingResults


class Counting:
    """A black box that counts its calls."""

    def __init__(self, outputs=()):
        self.calls, self.outputs = 0, outputs

    def __call__(self, x):
        self.calls += len(x)
        found = torch.sin(x).sum(1) * x[:, 0]
        return torch.stack([found, found ** 2], 1) if self.outputs else found


# --- labels -----------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("outputs", [(), (2,)])
def test_each_way_spends_the_calls_that_it_says_and_gives_true_slopes(way, outputs):
    box, x = Counting(outputs), torch.rand(10, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    before = x.clone()
    data = asked(box, x, way, 1e-6)
    assert box.calls == 10 * calls_a_point(way, 3) and torch.equal(x, before)
    true = sl.label(Counting(outputs), x)
    torch.testing.assert_close(data.values, true.values)
    if way == "values":
        assert data.order == 0
        return
    known = ~data.jacobian.isnan()
    assert known.all() == (way == "all differences")
    torch.testing.assert_close(data.jacobian[known], true.jacobian[known], rtol=1e-4, atol=1e-5)
    inputs_asked = known.reshape(10, -1, 3).any(1)
    assert way == "all differences" or (inputs_asked.sum(1) == 1).all() and (inputs_asked.sum(0) >= 3).all()


@pytest.mark.parametrize("way, step, message", [
    ("all diferences", 0.1, "way: expected one of values, one difference, all differences, got 'all diferences'"),
    ("all differences", 0.0, "step: expected a positive number, got 0.0"),
    ("one difference", math.nan, "step: expected a positive number, got nan")])
def test_wrong_ways_and_steps_are_refused(way, step, message):
    with pytest.raises(ValueError, match=message):
        asked(Counting(), torch.rand(5, 2), way, step)


def test_a_box_may_change_what_it_gets_and_the_step_is_the_one_that_was_made():
    def greedy(x):
        found = x.sum(1)
        x.zero_()
        return found

    x = torch.full((6, 3), 1000.0)                         # where float32 knows no step of a thousandth
    data = asked(greedy, x, "all differences", 1e-3)
    assert torch.equal(data.inputs, torch.full((6, 3), 1000.0))
    torch.testing.assert_close(data.jacobian, torch.ones(6, 3), rtol=0.3, atol=0)
    assert asked(Counting(), torch.rand(1, 3), "one difference", 0.1).jacobian.isnan().sum() == 2


def test_the_best_step_is_where_noise_and_curvature_disturb_least():
    curvature, noise = 0.7, 0.01

    def error(step):
        return 2 * noise ** 2 / step ** 2 + (step * curvature / 2) ** 2

    steps = np.geomspace(1e-3, 10, 100_001)
    assert best_step(noise, curvature) == pytest.approx(steps[error(steps).argmin()], rel=1e-3)
    assert 0 < best_step(0.0, curvature) < 1e-3


def test_curvature_is_that_of_the_second_derivatives():
    function = waves(2, gradient_worth.Config())
    x = gradient_worth.cube(500, 2, torch.Generator().manual_seed(0))
    second = sl.label(function, x, order=2).hessian.diagonal(dim1=1, dim2=2)
    assert curvature(function, x) == pytest.approx(float(second.square().mean().sqrt()), rel=1e-3)


# --- the protocol -----------------------------------------------------------------------------------------------

def test_all_ways_have_as_many_trials():
    for config in (*gradient_worth.PRESETS.values(), *learned_simulator.PRESETS.values()):
        assert len({len(config.trials(way)) for way in WAYS}) == 1


def test_the_winner_is_the_trial_with_the_lowest_validation_error_and_is_kept(tmp_path):
    protocol = Protocol(hidden=(8,), steps=60, value_lrs=(1e-6, 1e-2), tuning_seeds=(1, 2))

    def data(seed):
        x = torch.rand(30, 2, generator=torch.Generator().manual_seed(seed))
        return sl.SobolevData(x, x.square().sum(1))

    found = tuned("values", data, data, protocol, "cpu", Keep(tmp_path / "unit"), "some")
    assert [trial["lr"] for trial in found] == [1e-2, 1e-6]
    scores = []
    for seed in (1, 2):
        network, = trained([data(seed)], [(1e-2,)], [seed], protocol, "cpu")
        scores.append(math.log10(sl.errors(network, data(seed))["value_mse"]))
    assert found[0]["log10_validation_mse"] == pytest.approx(sum(scores) / 2, abs=1e-3)
    assert tuned("values", None, None, protocol, "cpu", Keep(tmp_path / "unit"), "some") == found


def test_noise_is_a_share_of_the_values_spread():
    config = gradient_worth.PRESETS["quick"]
    found = gradient_worth.run_unit("2/0.1", config, [0], "cpu")
    x = gradient_worth.cube(1_000, 2, torch.Generator().manual_seed(0))
    assert found["step"] == pytest.approx(best_step(0.1 * found["variance"] ** 0.5, curvature(waves(2, config), x)), rel=0.05)


def test_a_trial_that_diverges_loses():
    protocol = Protocol(hidden=(8,), steps=20, value_lrs=(1e30, 1e-2), tuning_seeds=(1,))
    x = torch.rand(30, 2, generator=torch.Generator().manual_seed(0))
    data = sl.SobolevData(x, x.square().sum(1))
    found = tuned("values", lambda seed: data, lambda seed: data, protocol, "cpu", Keep(), "some")
    assert [trial["lr"] for trial in found] == [1e-2, 1e30] and found[1]["log10_validation_mse"] > 90
    assert value_mse(lambda x: torch.full((len(x), 1), torch.nan), data) > 1e90


# --- what a gradient is worth -----------------------------------------------------------------------------------

def cell(gradients, partials=1.0, rate=1.0):
    """Values alone have test errors factor^-rate; slopes those of ``gradients`` and ``partials`` times as many values."""
    seeds = [0.99, 1.0, 1.01]
    return {"values": {str(factor): {"test_mse": [factor ** -rate * s for s in seeds]} for factor in (1, 2, 4, 8)},
            "all differences": {"test_mse": [gradients ** -rate * s for s in seeds]},
            "one difference": {"test_mse": [partials ** -rate * s for s in seeds]}}


@pytest.mark.parametrize("factor", [1, 3, 5.5, 8])
def test_worth_is_the_factor_of_values_with_the_same_error(factor):
    assert worth(cell(factor), "all differences").median == pytest.approx(factor, rel=0.02)


def test_what_beats_all_or_loses_to_equally_many_counts_as_the_end_and_is_said_to():
    assert worth(cell(100), "all differences") == pytest.approx((8, 8, 8))
    assert gradient_worth.told(cell(100), "all differences") == "8 or more"
    assert worth(cell(0.1), "all differences") == pytest.approx((1, 1, 1))
    assert gradient_worth.told(cell(0.1), "all differences") == "1 or less"
    assert gradient_worth.hurt(cell(0.1), "all differences") == pytest.approx(10)


def test_one_seed_that_is_lost_moves_no_median():
    made = cell(4)
    made["all differences"]["test_mse"] = [*[1 / 4] * 9, 100.0]
    for each in made["values"].values():
        each["test_mse"] = [each["test_mse"][1]] * 10
    assert worth(made, "all differences") == pytest.approx((4, 4, 4), rel=0.01)


@pytest.mark.parametrize("gradients, partials, status", [
    (7, 1, "confirmed"), (1.2, 3, "confirmed"), (1.2, 1.1, "contradicted"), (3.0, 2.0, "open"), (1.2, 2.0, "open")])
def test_the_verdict_on_worth_follows_its_rule(gradients, partials, status):
    record = {"results": {"2/0": cell(gradients, partials), "2/0.02": cell(gradients, partials)}, "seeds": [0, 1, 2],
              "config": gradient_worth.describe(gradient_worth.Config(inputs=(2,)))}
    found = gradient_worth.verdict(record)
    assert found.status == status and "at d = 2" in found.measured
    assert pays(record["results"]["2/0"], "all differences", 2) == ("above" if gradients > 3.1 else "below" if gradients < 2.9
                                                                    else "around")


def test_paying_in_most_cells_only_is_a_direction():
    cells = {"1/0": cell(6), "2/0": cell(6), "3/0": cell(1.1)}
    config = gradient_worth.describe(gradient_worth.Config(inputs=(1, 2, 3), noises=(0.0,)))
    record = {"results": cells, "seeds": [0, 1, 2], "config": config}
    assert gradient_worth.verdict(record).status == "confirmed in direction"
    del cells["3/0"]
    with pytest.raises(MissingResults, match="3/0"):
        gradient_worth.verdict(record)


# --- the simulator ----------------------------------------------------------------------------------------------

def test_the_simulator_is_the_lorenz_system():
    start = np.array([1.0, 2.0, 20.0])
    exact = solve_ivp(lambda _, s: [10 * (s[1] - s[0]), s[0] * (28 - s[2]) - s[1], s[0] * s[1] - 8 / 3 * s[2]], (0, 0.5), start,
                      rtol=1e-10, atol=1e-10).y[:, -1]
    assert simulator(torch.tensor(start)[None], 0.5)[0].numpy() == pytest.approx(exact, abs=1e-3)


def test_states_lie_on_the_attractor():
    found = states(200, 0)
    assert torch.equal(found, states(200, 0)) and not torch.equal(found, states(200, 1))
    assert 0 < float(found[:, 2].min()) and float(found[:, 2].max()) < 52 and float(found[:, 0].abs().max()) < 22


class Exact(torch.nn.Module):
    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def forward(self, x):
        return (self.factor * simulator(x.double(), 0.1)).float()


def test_the_time_near_the_truth_is_long_for_the_simulator_and_short_for_nonsense():
    config = learned_simulator.Config(rollouts=20, rollout_steps=50)
    assert valid_time(Exact(1.0), config, "cpu") == pytest.approx(5.0)              # all steps: rounding grows slowly
    assert valid_time(Exact(0.0), config, "cpu") == 0 < valid_time(Exact(0.98), config, "cpu") < 5
    assert valid_time(Exact(math.nan), config, "cpu") == 0                          # what is no number is lost


def test_recorded_weights_are_the_network():
    config = learned_simulator.PRESETS["quick"]
    made = learned_simulator.run_unit("200/values", config, [0], "cpu")
    network = made["network"]
    x = states(5, 3)
    z = (x - torch.tensor(network["input_mean"])) / torch.tensor(network["input_std"])
    for k, layer in enumerate(network["layers"]):
        z = z @ torch.tensor(layer["weight"], dtype=torch.float64).T + torch.tensor(layer["bias"])
        z = torch.nn.functional.silu(z) if k < len(network["layers"]) - 1 else z
    answer = z * torch.tensor(network["output_std"]) + torch.tensor(network["output_mean"])
    error = float((answer - simulator(x, 0.1)).square().sum(1).mean())
    assert made["shown_seed"] == 0 and error < 10 * made["test_mse"][0] + 1e-3


def times(one, all_, values=1.0, points=0.5):
    spread = [0.98, 1.0, 1.02]
    return {way: {"valid_time": [middle * s for s in spread]}
            for way, middle in zip((*WAYS, SAME_POINTS), (values, one, all_, points))}


@pytest.mark.parametrize("cells, status", [
    ([(1.2, 1.5), (0.9, 1.3)], "confirmed"), ([(1.2, 0.8), (0.9, 0.8), (1.3, 1.3)], "confirmed in direction"),
    ([(0.8, 0.8), (0.7, 0.9)], "contradicted"), ([(1.0, 1.0), (0.9, 1.2)], "open")])
def test_the_verdict_on_the_simulator_follows_its_rule(cells, status):
    calls = tuple(100 * (k + 1) for k in range(len(cells)))
    results = {f"{count}/{way}": result for count, pair in zip(calls, cells) for way, result in times(*pair).items()}
    record = {"results": results, "seeds": [0, 1, 2],
              "config": learned_simulator.describe(learned_simulator.Config(calls=calls))}
    found = learned_simulator.verdict(record)
    assert found.status == status and f"{cells[0][1]:.2f} (" in found.measured
    with pytest.raises(MissingResults, match="numbers of calls, got none"):
        learned_simulator.verdict(record | {"config": record["config"] | {"calls": []}})
    lost = copy.deepcopy(record)
    lost["results"]["100/all differences"]["valid_time"] = [0.0] * 3                # lost at once: no division by zero
    assert math.isfinite(learned_simulator.gain(lost, 100, "all differences").mean)
