"""Figure 2's protocol is fair and resumes; its experiments draw their verdicts from records by rule."""
import json
import math
import time
from dataclasses import replace

import numpy as np
import pytest
import torch

import sobolev_lib as sl
from sobolev_lib.experiments import equal_time_race, figure_2, figure_2_variants, seven_functions
from sobolev_lib.experiments.figure_2 import TRAININGS
from sobolev_lib.experiments.figure_2_variants import Variant
from sobolev_lib.experiments.keeping import Keep, TimeIsUp

TINY = seven_functions.Config(functions=("booth", "rosenbrock"), sizes=(6,), hidden=(4,), steps=12, batch_size=4,
                              regular_lrs=(1e-3, 1e-2), sobolev_lrs=(1e-2,), derivative_weights=(0.1, 1.0),
                              tuning_seeds=(1000,), validation_points=20, test_points=30, curve_points=3, compile=False)
TINY_SETTINGS = {name: getattr(TINY, name) for name in TINY.__dataclass_fields__}


@pytest.fixture(autouse=True)
def small_surfaces(monkeypatch):
    monkeypatch.setattr(seven_functions, "GRID", 5)
    monkeypatch.setattr(seven_functions, "ARROWS", 3)


def test_both_methods_get_the_same_tuning_budget():
    config = seven_functions.Config()
    assert len(config.regular_lrs) == len(config.sobolev_lrs) * len(config.derivative_weights)
    assert config.sizes == (20, 100, 10_000) and config.hidden == (256, 256) and config.test_points == 10_000
    assert config.functions == tuple(f.name for f in sl.functions.BENCHMARKS)
    assert not set(config.tuning_seeds) & set(range(100)), "tuning seeds must not be measured again"


def test_a_unit_is_repeatable_and_consistent():
    result = seven_functions.run_unit("booth/6/sobolev", TINY, [0, 1, 2], "cpu")
    assert result == seven_functions.run_unit("booth/6/sobolev", TINY, [0, 1, 2], "cpu")
    assert len(result["test_mse"]) == len(result["test_gradient_mse"]) == len(result["train_mse"]) == 3
    assert all(math.isfinite(v) and v > 0 for v in result["test_mse"])
    # the winner is the trial with the lowest validation error
    best = min(result["trials"], key=lambda trial: trial["log10_validation_mse"])
    assert (result["lr"], result["derivative_weight"]) == (best["lr"], best["derivative_weight"])
    assert len(result["trials"]) == 2
    # what is shown is the seed with the middle error
    assert result["shown_seed"] == sorted(range(3), key=lambda k: result["test_mse"][k])[1]
    assert result["curve"]["steps"][-1] == TINY.steps
    assert result["curve"]["test_mse"][-1] == pytest.approx(result["test_mse"], rel=1e-5)


def test_regular_training_never_sees_a_derivative(monkeypatch):
    """Regular training has the derivative weight 0 and order 0, and its result does not change with the labels."""
    result = seven_functions.run_unit("booth/6/regular", TINY, [0], "cpu")
    assert result["derivative_weight"] == 0 and {t["derivative_weight"] for t in result["trials"]} == {0}
    original = figure_2.label

    def spoiled(f, x, *arguments):
        data = original(f, x, *arguments)
        if len(x) == 6:  # training data only
            data.jacobian.mul_(-7)
        return data

    monkeypatch.setattr(figure_2, "label", spoiled)
    again = seven_functions.run_unit("booth/6/regular", TINY, [0], "cpu")
    assert again["test_mse"] == result["test_mse"]
    assert seven_functions.run_unit("booth/6/sobolev", TINY, [0], "cpu")["test_mse"] != result["test_mse"]


def test_training_validation_and_test_points_are_different_draws(monkeypatch):
    drawn = []
    original = figure_2.label

    def watched(f, x, *arguments):
        drawn.append(x.clone().double())
        return original(f, x, *arguments)

    monkeypatch.setattr(figure_2, "label", watched)
    seven_functions.run_unit("booth/6/regular", TINY, [0, 1], "cpu")
    kinds = {len(x): x for x in drawn}
    assert set(kinds) == {6, 20, 30}  # training, validation, test
    for a in kinds:
        for b in kinds:
            if a < b:
                assert torch.cdist(kinds[a], kinds[b]).min() > 1e-4
    tests = [x for x in drawn if len(x) == 30]
    assert all(torch.equal(x, tests[0]) for x in tests), "methods and seeds must meet the same test points"


def test_errors_are_in_the_functions_own_units():
    data = sl.label(sl.functions.booth, sl.functions.booth.sample(50, generator=torch.Generator().manual_seed(0)))
    off_by_three = lambda x: (sl.functions.booth(x) + 3 + 2 * x[:, 0]).unsqueeze(1)
    errors = figure_2.errors(off_by_three, data)
    assert errors["value_mse"] == pytest.approx(float((3 + 2 * data.inputs[:, 0]).square().mean()), rel=1e-4)
    assert errors["gradient_mse"] == pytest.approx(4.0, rel=1e-4)


def test_surfaces_have_their_first_index_along_the_second_input():
    function = sl.functions.mccormick
    surface = seven_functions._surface(function, lambda x: function(x).unsqueeze(1), "cpu")
    (a, b), (c, d) = function.domain
    assert surface["values"][0][-1] == pytest.approx(float(function(torch.tensor([b, c]))), rel=1e-3)
    assert surface["values"][-1][0] == pytest.approx(float(function(torch.tensor([a, d]))), rel=1e-3)
    assert len(surface["values"]) == 5 and len(surface["gradient"]) == 3 and len(surface["gradient"][0][0]) == 2


# --- pausing ----------------------------------------------------------------------------------------------------

def paused_at_every_chance(folder, run):
    """Run until done, stopped at each checkpoint and after each finished step."""
    count = 0
    while True:
        try:
            return run(Keep(folder, until=time.monotonic())), count
        except TimeIsUp:
            count += 1


@pytest.mark.slow
def test_a_unit_paused_at_every_step_gives_the_same(tmp_path, monkeypatch):
    config = replace(TINY, steps=100, tuning_seeds=(1000, 1001))
    whole = seven_functions.run_unit("booth/6/sobolev", config, [0, 1], "cpu")
    original = figure_2.train_many
    monkeypatch.setattr(figure_2, "train_many", lambda *args, **options: original(*args, **options, checkpoint_seconds=0))
    paused, count = paused_at_every_chance(
        tmp_path, lambda keep: seven_functions.run_unit("booth/6/sobolev", config, [0, 1], "cpu", keep))
    assert paused == whole and count >= 3 * 3, "three trainings of several blocks of steps"


def test_functions_side_by_side_give_what_they_give_alone():
    config = seven_functions.SideBySide(**TINY_SETTINGS)
    assert seven_functions.units(config) == ["booth+rosenbrock/6/regular", "booth+rosenbrock/6/sobolev"]
    together, single = [seven_functions.cells({"results": {unit: seven_functions.run_unit(unit, each, [0, 1], "cpu")
                                                           for unit in seven_functions.units(each)}}) for each in (config, TINY)]
    assert together.keys() == single.keys() == {("booth", 6), ("rosenbrock", 6)}
    for cell, methods in single.items():
        for method, result in methods.items():
            other = together[cell][method]
            assert (other["lr"], other["derivative_weight"]) == (result["lr"], result["derivative_weight"])
            assert other["test_mse"] == pytest.approx(result["test_mse"], rel=1e-3)
            assert np.allclose(other["curve"]["test_mse"], result["curve"]["test_mse"], rtol=1e-3)


def test_a_network_that_diverges_loses_and_does_not_stop_the_unit():
    config = replace(TINY, regular_lrs=(1e-2, 1e30))
    result = seven_functions.run_unit("booth/6/regular", config, [0], "cpu")
    assert result["lr"] == 1e-2 and result["trials"][1]["log10_validation_mse"] > 20
    json.dumps(result, allow_nan=False)


# --- devices ----------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("options", [{}, {"standardized": False, "normalized": False}, {"early_stopping": True},
                                     {"activation": "silu"}], ids=str)
def test_a_device_gives_what_a_cpu_gives(options, device):
    """A few steps, in chunks of batches; on a GPU most of them are a CUDA graph's."""
    config = Variant(**TINY_SETTINGS | {"steps": 40}, **options)
    for method in TRAININGS:
        found = {on: figure_2.measure(["booth", "rosenbrock"], 6, method, config, [0, 1], on) for on in {device, "cpu"}}
        here, there = found[device], found["cpu"]
        for name, measured in here.items():
            assert (measured.lr, measured.derivative_weight) == (there[name].lr, there[name].derivative_weight)
            assert all(p.device.type == torch.device(device).type for p in measured.models[0].parameters())
            assert measured.test_mse(config, name, device) == pytest.approx(there[name].test_mse(config, name, "cpu"), rel=1e-3)
            assert np.allclose(measured.curve["test_mse"], there[name].curve["test_mse"], rtol=1e-3)


# --- verdicts ---------------------------------------------------------------------------------------------------

def record_of(ratio, spread=0.05, ackley=1.0, sizes=(20, 100, 10_000)):
    """A record whose every cell has this mean R; log10 R varies from seed to seed by ``spread``."""
    config, results = replace(seven_functions.Config(), sizes=sizes), {}
    for name in config.functions:
        mean = math.log10(ackley if name == "ackley" else ratio)
        for size in sizes:
            results[f"{name}/{size}/regular"] = {"test_mse": [10 ** (mean + sign * spread) for sign in (-1, 0, 1)]}
            results[f"{name}/{size}/sobolev"] = {"test_mse": [1.0, 1.0, 1.0]}
    return {"config": json.loads(json.dumps(seven_functions.describe(replace(config, test_points=20)))), "seeds": [0, 1, 2],
            "results": results}


@pytest.mark.parametrize("ratio, spread, status", [
    (30, 0.05, "confirmed"), (3, 0.05, "confirmed in direction"), (3, 1.0, "open"), (30, 3.0, "open"),
    (1.01, 0.05, "open"), (0.3, 0.05, "contradicted")])
def test_the_verdict_on_seven_functions_follows_its_rule(ratio, spread, status):
    verdict = seven_functions.verdict(record_of(ratio, spread))
    assert verdict.status == status
    assert f"{ratio:.1f}" in verdict.measured or ratio < 1
    assert "3 seeds" in verdict.scale


def test_ackley_does_not_decide_and_is_counted_all_the_same():
    verdict = seven_functions.verdict(record_of(30, ackley=0.01))
    assert verdict.status == "confirmed" and "lower in 18 of 21 cells" in verdict.measured


# --- variants ---------------------------------------------------------------------------------------------------

def test_every_variant_gives_both_methods_as_many_trials_and_fresh_seeds():
    for preset in figure_2_variants.PRESETS.values():
        for name, variant in preset.variants.items():
            assert len(variant.trials("regular")) == len(variant.trials("sobolev")) >= 2, name
            assert not set(variant.tuning_seeds) & set(range(100)), name
    wide = figure_2_variants.PRESETS["cpu"].variants["wide-grids"]
    assert min(wide.regular_lrs) == min(wide.sobolev_lrs) and max(wide.regular_lrs) == max(wide.sobolev_lrs)
    literal = figure_2_variants.PRESETS["cpu"].variants["literal-loss"]
    assert not literal.standardized and not literal.normalized and literal.derivative_weights == (1.0,)


def test_cheap_units_come_first_and_every_unit_names_its_cells():
    config = figure_2_variants.PRESETS["cpu"]
    units = figure_2_variants.units(config)
    assert len(set(units)) == len(units)
    assert units[0].endswith("/20") and units[-1].startswith("steps-300000/")


def variant(**options):
    config = figure_2_variants.Config({"it": Variant(**TINY_SETTINGS, **options)})
    return figure_2_variants.run_unit("it/booth/6", config, [0, 1], "cpu")["booth"]


def test_the_plain_variant_is_the_protocol_itself():
    found = variant()
    for method in TRAININGS:
        plain = seven_functions.run_unit(f"booth/6/{method}", TINY, [0, 1], "cpu")
        assert found[method]["test_mse"] == plain["test_mse"] and found[method]["trials"] == plain["trials"]
    assert found["ratio"] == [a / b for a, b in zip(found["regular"]["test_mse"], found["sobolev"]["test_mse"])]


def test_the_literal_loss_trains_the_bare_network_on_raw_data(monkeypatch):
    """One step of Adam on one network, done by hand."""
    config = Variant(**TINY_SETTINGS | {"steps": 1, "batch_size": 6}, standardized=False, normalized=False)
    measured = figure_2.measure(["booth"], 6, "sobolev", config, [3], "cpu")["booth"]
    generator, f = torch.Generator().manual_seed(3), sl.functions.booth
    data = sl.label(f, f.sample(6, generator=generator))
    model = sl.models.MLP(2, 4, 1, generator=generator)
    optimizer = torch.optim.Adam(model.parameters(), lr=measured.lr)
    x = data.inputs.clone().requires_grad_()
    values = model(x)[:, 0]
    slopes, = torch.autograd.grad(values.sum(), x, create_graph=True)
    ((values - data.values).square().mean()
     + measured.derivative_weight * (slopes - data.jacobian).square().sum(1).mean()).backward()
    optimizer.step()
    for ours, theirs in zip(model.parameters(), measured.models[0].parameters()):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)


def test_early_stopping_takes_the_step_that_validation_chooses():
    found = variant(early_stopping=True)["regular"]
    curve = {what: np.array(rows) for what, rows in found["curve"].items()}
    assert curve["validation_mse"].shape == curve["test_mse"].shape == (len(found["curve"]["steps"]), 2)
    chosen = curve["validation_mse"].argmin(axis=0)
    assert found["test_mse"] == curve["test_mse"][chosen, [0, 1]].tolist()
    # trials are judged where each would have stopped: never later than a run to the end would be
    at_end = variant()["regular"]["trials"]
    assert all(a["log10_validation_mse"] <= b["log10_validation_mse"] + 1e-6 for a, b in zip(found["trials"], at_end))


def test_a_smooth_variant_has_smooth_networks():
    config = Variant(**TINY_SETTINGS, activation="silu")
    model, = figure_2.measure(["booth"], 6, "regular", config, [0], "cpu")["booth"].models
    assert any(isinstance(layer, torch.nn.SiLU) for layer in model.model)


def variants_record(ratios):
    functions = ("booth", "beale", "ackley")
    config = figure_2_variants.Config({name: Variant(functions=functions, sizes=(20,)) for name in ratios})
    results = {f"{variant}/{name}/20": {name: {"regular": {"test_mse": [0.9 * ratio, ratio, 1.1 * ratio]},
                                               "sobolev": {"test_mse": [1.0, 1.0, 1.0]}}}
               for variant, ratio in ratios.items() for name in functions}
    return {"config": json.loads(json.dumps(figure_2_variants.describe(config))), "seeds": [0, 1, 2], "results": results}


@pytest.mark.parametrize("ratios, status, nearest", [
    ({"one": 2.0, "two": 20.0}, "confirmed", "two"), ({"one": 3.0, "two": 0.2}, "confirmed in direction", "one"),
    ({"one": 1.0, "two": 0.9}, "open", "one"), ({"one": 0.5, "two": 0.2}, "contradicted", "one")])
def test_the_verdict_on_variants_names_the_nearest(ratios, status, nearest):
    record = variants_record(ratios)
    verdict = figure_2_variants.verdict(record)
    assert verdict.status == status and f"'{nearest}'" in verdict.measured
    assert len(figure_2_variants.cells(record)) == 6


# --- the race at equal time -------------------------------------------------------------------------------------

RACE = equal_time_race.Config(**TINY_SETTINGS | {"functions": ("booth",), "sizes": (6,), "steps": 60, "curve_points": 20},
                              activations=("relu", "silu"), turns=2, seconds=1e-4)


def test_both_plans_take_equally_long_and_end_with_a_decayed_rate(monkeypatch):
    seconds = {"regular": [1.0, 2.0, 1.0], "sobolev": [1.5, 3.0, 9.0]}
    result = equal_time_race.race("relu/booth", seconds, RACE, [0, 1], "cpu")
    assert result["price"] == 1.5 and result["regular"]["steps"] == 60 and result["sobolev"]["steps"] == 40
    for method in TRAININGS:
        curve = result[method]["curve"]
        assert curve["steps"][-1] == result[method]["steps"] and len(curve["steps"]) == len(curve["test_mse"]) == 20
        assert len(result[method]["trials"]) == 2
        last = np.array(curve["test_mse"])
        assert np.abs(last[-1] - last[-2]).max() < np.abs(last[1] - last[0]).max(), "the rate decays, so the end is calm"


def test_a_unit_measures_prices_and_both_activations_race():
    for unit in equal_time_race.units(RACE):
        result = equal_time_race.run_unit(unit, RACE, [0, 1], "cpu")
        assert {method: len(turns) for method, turns in result["seconds"].items()} == {"regular": 2, "sobolev": 2}
        assert result["price"] > 0
    assert equal_time_race.units(RACE) == ["relu/booth", "silu/booth"]
    assert len(RACE.trials("regular")) == len(RACE.trials("sobolev"))
    assert len(equal_time_race.Config().trials("regular")) == len(equal_time_race.Config().trials("sobolev"))


def made_up_race(regular, sobolev, spike=None):
    """Errors that fall to an end value, three seeds; ``spike`` multiplies the very last one."""
    def errors(end):
        found = [[end * (1 + 10 * (1 - k / 19)) * seed for seed in (0.9, 1.0, 1.2)] for k in range(20)]
        return found if spike is None else [*found[:-1], [error * spike for error in found[-1]]]

    return {method: {"steps": 200, "curve": {"steps": list(range(10, 201, 10)), "test_mse": errors(end)}}
            for method, end in (("regular", regular), ("sobolev", sobolev))}


def test_curves_are_running_means_over_a_tenth():
    result = made_up_race(4.0, 1.0)
    times, found = equal_time_race.curves(result, "regular", scale=2.0)
    plain = np.array(result["regular"]["curve"]["test_mse"]).T / 2
    assert found.shape == (3, 19) and times[0] == pytest.approx(0.1) and times[-1] == 1
    assert np.allclose(found, (plain[:, 1:] + plain[:, :-1]) / 2)
    assert equal_time_race.final(result, "regular", 2.0) == pytest.approx(found[:, -1].tolist())


def test_one_instant_does_not_decide():
    calm, spiking = (equal_time_race.gain(made_up_race(4.0, 1.0, spike)) for spike in (None, 0.001))
    assert 10 ** calm.mean == pytest.approx(4) and 10 ** spiking.mean == pytest.approx(4)


@pytest.mark.parametrize("gains, status", [
    ((4, 3, 2), "confirmed"), ((4, 3, 1), "confirmed in direction"), ((4, 1, 1), "open"), ((0.2, 0.3, 4), "contradicted")])
def test_the_verdict_on_the_race_follows_its_rule(gains, status):
    config = replace(RACE, functions=("booth", "beale", "ackley"), activations=("relu",), test_points=20)
    record = {"config": json.loads(json.dumps(equal_time_race.describe(config))), "seeds": [0, 1, 2],
              "results": {unit: made_up_race(gain, 1.0) for unit, gain in zip(equal_time_race.units(config), gains)}}
    verdict = equal_time_race.verdict(record)
    assert verdict.status == status and all(f"{gain:.3g} (" in verdict.measured for gain in gains)


def test_a_seed_that_diverged_leaves_the_verdicts_open():
    """The interval then ends beyond all floating-point numbers."""
    wild = [figure_2.DIVERGED, 1.0]
    by_method = {"regular": {"test_mse": wild}, "sobolev": {"test_mse": [1.0, 1.0]}}
    record = {"config": {"variants": {"smooth": {"steps": 10}}}, "seeds": [0, 1],
              "results": {"smooth/booth/20": {"booth": by_method}}}
    verdict = figure_2_variants.verdict(record)
    assert verdict.status == "open" and "to inf" in verdict.measured

    race = {method: {"steps": 10, "curve": {"steps": [10], "test_mse": [found["test_mse"]]}}
            for method, found in by_method.items()}
    record = {"config": json.loads(json.dumps(equal_time_race.describe(replace(RACE, test_points=20)))), "seeds": [0, 1],
              "results": {"relu/booth": race}}
    verdict = equal_time_race.verdict(record)
    assert verdict.status == "open" and "to inf" in verdict.measured
