"""What black boxes are asked, what a gradient is worth in calls, and a simulator that is learned."""
import copy
import math

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp

import sobolev_lib as sl
from sobolev_lib.experiments import gradient_worth, learned_simulator, random_directions
from sobolev_lib.experiments.black_box import RANDOM, WAYS, Protocol, asked, calls_a_point, trained, tuned, value_mse
from sobolev_lib.experiments.gradient_worth import best_step, curvature, pays, waves, worth
from sobolev_lib.experiments.keeping import Keep
from sobolev_lib.experiments.learned_simulator import SAME_POINTS, simulator, states, valid_time
from sobolev_lib.records import MissingResults

pytestmark = pytest.mark.usefixtures("states_once")


class Counting:
    """A black box that counts its calls."""

    def __init__(self, outputs=()):
        self.calls, self.outputs = 0, outputs

    def __call__(self, x):
        self.calls += len(x)
        found = torch.sin(x).sum(1) * x[:, 0]
        return torch.stack([found, found ** 2], 1) if self.outputs else found


# --- labels -----------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("way", [*WAYS, RANDOM])
@pytest.mark.parametrize("outputs", [(), (2,)])
def test_each_way_spends_the_calls_that_it_says_and_gives_true_slopes(way, outputs):
    box, x = Counting(outputs), torch.rand(10, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    before = x.clone()
    data = asked(box, x, way, 1e-6, torch.Generator().manual_seed(1))
    assert box.calls == 10 * calls_a_point(way, 3) and torch.equal(x, before)
    true = sl.label(Counting(outputs), x)
    torch.testing.assert_close(data.values, true.values)
    if way == "values":
        assert data.order == 0
    elif way == "all differences":
        torch.testing.assert_close(data.jacobian, true.jacobian, rtol=1e-4, atol=1e-5)
    else:
        along = torch.einsum("n...d,nkd->n...k", true.jacobian, data.directions)
        torch.testing.assert_close(data.products, along, rtol=1e-4, atol=1e-5)


def test_one_difference_asks_about_each_input_in_turn_and_a_random_one_about_all():
    x = torch.rand(10, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    single, = asked(Counting(), x, "one difference", 1e-6).directions.unbind(1)
    torch.testing.assert_close(single, torch.eye(3, dtype=x.dtype)[torch.arange(10) % 3])
    every, again, other = [asked(Counting(), x, RANDOM, 1e-6, torch.Generator().manual_seed(seed)).directions for seed in (1, 1, 2)]
    torch.testing.assert_close(every.abs(), torch.ones(10, 1, 3, dtype=x.dtype))
    assert torch.equal(every, again) and not torch.equal(every, other)


@pytest.mark.parametrize("way, step, message", [
    ("all diferences", 0.1, "way: expected one of values, one difference, all differences, random direction, got 'all diferences'"),
    ("all differences", 0.0, "step: expected .*got 0.0"), ("one difference", math.nan, "step: expected .*got nan")])
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
    assert asked(Counting(), torch.rand(1, 3), "one difference", 0.1).products.shape == (1, 1)


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


@pytest.mark.parametrize("inputs", [2, 8])
def test_a_slope_along_a_random_direction_is_as_exact_for_its_size_as_a_gradient(inputs):
    """Each with its own best step: so at equal calls they differ in what is asked, not in how well."""
    function, generator = waves(inputs, gradient_worth.Config()), torch.Generator().manual_seed(0)
    x = gradient_worth.cube(2_000, inputs, generator)
    sigma, true = 0.02 * float(function(x).std()), sl.label(function, x).jacobian
    along = sl.random_directions(x, distribution="rademacher", generator=generator)[:, 0]

    def call(x):
        return function(x) + sigma * torch.randn(len(x), generator=generator, dtype=torch.float64)

    def off(found, right):
        return float((found - right).square().mean() / right.square().mean()) ** 0.5

    shorter, longer = best_step(sigma, curvature(function, x, along)), best_step(sigma, curvature(function, x))
    slopes = asked(call, x, RANDOM, shorter, generator)
    gradients = asked(call, x, "all differences", longer)
    errors = off(slopes.products[:, 0], (slopes.directions[:, 0] * true).sum(1)), off(gradients.jacobian, true)
    assert shorter < 0.75 * longer and errors[0] == pytest.approx(errors[1], rel=0.2)


# --- the protocol -----------------------------------------------------------------------------------------------

def test_all_ways_have_as_many_trials():
    for config in (*gradient_worth.PRESETS.values(), *learned_simulator.PRESETS.values()):
        assert len({len(config.trials(way)) for way in (*WAYS, RANDOM)}) == 1


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


def test_noise_is_a_share_of_the_values_spread(monkeypatch):
    config = gradient_worth.PRESETS["quick"]
    monkeypatch.setattr(gradient_worth, "measured", lambda *given: ([], []))       # nothing is trained
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

SPREAD = (0.98, 0.99, 1.0, 1.0, 1.01, 1.02)


def cell(gradients, partials=1.0, rate=1.0, directions=1.0):
    """Values alone have test errors factor^-rate; slopes those of ``gradients`` and ``partials`` times as many values, and
    random directions from as many calls as gradients ``directions`` times their error."""
    errors = {"all differences": gradients ** -rate, "one difference": partials ** -rate, RANDOM: 1.5 * partials ** -rate,
              gradient_worth.AS_MANY_CALLS: directions * gradients ** -rate}
    return {"values": {str(factor): {"test_mse": [factor ** -rate * s for s in SPREAD]} for factor in (1, 2, 4, 8)},
            **{way: {"test_mse": [error * s for s in SPREAD]} for way, error in errors.items()}}


@pytest.mark.parametrize("factor", [1, 3, 5.5, 8])
def test_worth_is_the_factor_of_values_with_the_same_error(factor):
    assert worth(cell(factor), "all differences").median == pytest.approx(factor, rel=0.02)


def test_what_beats_all_or_loses_to_equally_many_counts_as_the_end_and_is_said_to():
    assert worth(cell(100), "all differences") == pytest.approx((8, 8, 8))
    assert gradient_worth.told(cell(100), "all differences") == "8 or more"
    assert worth(cell(0.1), "all differences") == pytest.approx((1, 1, 1))
    assert gradient_worth.told(cell(0.1), "all differences") == "1 or less"
    assert gradient_worth.hurt(cell(0.1), "all differences") == pytest.approx(10)


@pytest.mark.parametrize("inputs, side", [(6, "above"), (7, "around"), (8, "below")])
def test_a_worth_at_the_largest_factor_is_neither_above_nor_below_that_price(inputs, side):
    assert pays(cell(100), "all differences", inputs) == side                      # 8 or more values


def test_one_seed_that_is_lost_moves_no_median():
    made = cell(4)
    made["all differences"]["test_mse"] = [*[1 / 4] * 9, 100.0]
    for each in made["values"].values():
        each["test_mse"] = [each["test_mse"][2]] * 10
    assert worth(made, "all differences") == pytest.approx((4, 4, 4), rel=0.01)


@pytest.mark.parametrize("gradients, partials, status", [
    (7, 1, "confirmed"), (1.2, 3, "confirmed"), (1.2, 1.1, "contradicted"), (3.0, 2.0, "open"), (1.2, 2.0, "open")])
def test_the_verdict_on_worth_follows_its_rule(gradients, partials, status):
    record = {"results": {"2/0": cell(gradients, partials), "2/0.02": cell(gradients, partials)}, "seeds": list(range(6)),
              "config": gradient_worth.describe(gradient_worth.Config(inputs=(2,), noises=(0.0, 0.02)))}
    found = gradient_worth.verdict(record)
    assert found.status == status and "at d = 2" in found.measured and "noise of 0 % and 2 %" in found.scale
    assert gradient_worth.verdict(record | {"seeds": list(range(5))}).status == "open"
    assert pays(record["results"]["2/0"], "all differences", 2) == ("above" if gradients > 3.1 else "below" if gradients < 2.9
                                                                    else "around")


def test_paying_in_most_cells_only_is_a_direction():
    cells = {"1/0": cell(6), "2/0": cell(6), "3/0": cell(1.1)}
    config = gradient_worth.describe(gradient_worth.Config(inputs=(1, 2, 3), noises=(0.0,)))
    record = {"results": cells, "seeds": list(range(6)), "config": config}
    assert gradient_worth.verdict(record).status == "confirmed in direction"
    del cells["3/0"]
    with pytest.raises(MissingResults, match="3/0"):
        gradient_worth.verdict(record)


# --- random directions ------------------------------------------------------------------------------------------

@pytest.mark.parametrize("ratios, status", [
    ((0.5, 0.7), "confirmed"), ((0.5, 0.6, 1.0), "confirmed in direction"), ((0.5, 0.6, 2.0), "open"), ((0.5, 1.0), "open"),
    ((2.0, 1.5, 1.0), "contradicted"), ((2.0, 1.5, 0.5), "open"), ((1.0, 2.0), "open")])
def test_the_verdict_on_random_directions_follows_its_rule(ratios, status):
    inputs = (1, *range(2, 2 + len(ratios)))
    record = {"results": {f"{d}/0": cell(3, directions=ratio) for d, ratio in zip(inputs, (0.1, *ratios))},
              "seeds": list(range(6)), "config": gradient_worth.describe(gradient_worth.Config(inputs=inputs, noises=(0.0,)))}
    found = random_directions.verdict(record)
    assert found.status == status and f"{min(ratios):.2g} to {max(ratios):.2g} with exact calls." in found.measured
    better, worse = sum(ratio < 0.9 for ratio in ratios), sum(ratio > 1.1 for ratio in ratios)
    assert f"better in {better} of {len(ratios)} cells, whole gradients in {worse}." in found.measured    # d = 1 is left out
    thin = random_directions.verdict(record | {"seeds": list(range(5))})
    assert thin.status == "open" and "and with fewer than six seeds" in thin.rule


def test_random_directions_need_two_inputs_and_a_record_that_holds_them():
    config = gradient_worth.describe(gradient_worth.Config(inputs=(1, 2), noises=(0.0,)))
    record = {"results": {"1/0": cell(3)}, "seeds": list(range(6)), "config": config}
    with pytest.raises(MissingResults, match="2/0"):
        random_directions.verdict(record)
    with pytest.raises(MissingResults, match="inputs above one"):
        random_directions.verdict(record | {"config": config | {"inputs": [1]}})


def test_random_directions_are_compared_with_values_of_as_many_calls():
    assert random_directions.against_values(cell(3, directions=0.5), inputs=1).median == pytest.approx(0.5 / 3 * 2, rel=0.03)
    assert random_directions.against_one_input(cell(3, 2)).median == pytest.approx(1.5)
    with pytest.raises(MissingResults, match="values alone at 5 times the points, got 1, 2, 4, 8"):
        random_directions.against_values(cell(3), inputs=4)


def test_a_unit_has_directions_at_as_many_calls_as_gradients(monkeypatch):
    config, asked_for = gradient_worth.PRESETS["quick"], []
    monkeypatch.setattr(gradient_worth, "measured", lambda way, data, *rest: (asked_for.append((way, len(data(0)))), ([], []))[1])
    found = gradient_worth.run_unit("5/0.1", config, [0], "cpu")
    assert asked_for[:4] == [("one difference", 40), ("all differences", 40), (RANDOM, 40), (RANDOM, 40 * 6 // 2)]
    assert found["step_along"] < found["step"]


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


@pytest.mark.slow
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
