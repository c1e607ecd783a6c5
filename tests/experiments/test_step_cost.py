"""The cost measurements: every way computes the same, ratios are ratios, and the scripts print them."""
from dataclasses import replace
from pathlib import Path

import pytest
import small_script
import torch
from forks import fork, run_script

from sobolev_lib.experiments import step_cost
from sobolev_lib.experiments.step_cost import PRESETS

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
SMALL = replace(PRESETS["quick"], width=8, batches=(8,), depths=(1,), inputs=(2,), activations=("tanh",), batch=8, outputs=(3,),
                output_inputs=4, networks=(2,), turns=2, seconds=1e-4, trained_points=20, trained_steps=50)


def test_every_unit_gives_numbers_for_every_case():
    for unit in step_cost.units(SMALL):
        found = step_cost.run_unit(unit, SMALL, [0, 1], "cpu")
        for case, ways in found.items():
            assert len(ways) >= 2, (unit, case)
            if unit == "precision":
                assert {"gradient_error", "seconds"} <= ways.keys() and all(min(numbers) > 0 for numbers in ways.values())
            elif unit == "memory":
                assert all(held > 0 for held in ways.values())
            else:
                assert all(len(turns) == SMALL.turns and min(turns) > 0 for turns in ways.values())


def test_a_graph_is_timed_turn_by_turn_once_it_runs(monkeypatch, device):
    """On a CPU the same calls time plain steps."""
    monkeypatch.setattr(step_cost, "STEADY", 5)
    found = step_cost.graphs(8, SMALL, device)
    assert set(found) == {"regular", "closed form", "regular, graph", "closed form, graph"}
    assert all(len(turns) == SMALL.turns and min(turns) > 0 for turns in found.values())
    assert step_cost.units(PRESETS["gpu"])[-1] == "graphs" and "graphs" not in step_cost.units(PRESETS["cpu"])


@pytest.mark.parametrize("activation", ["relu", "silu"])
def test_all_ways_to_a_sobolev_step_do_the_same_to_the_network(activation):
    """They are timed against each other, so they must do the same work."""
    ways = step_cost.steps(SMALL, "cpu", activation=activation)
    after = {}
    for name, step in ways.items():
        for _ in range(3):
            step()
        optimizer = step.__closure__[[*step.__code__.co_freevars].index("optimizer")].cell_contents
        after[name] = torch.cat([p.detach().flatten() for p in optimizer.param_groups[0]["params"]])
    torch.testing.assert_close(after["closed form"], after["double backward"], rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(after["closed form"], after["closed form, own loop"], rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(after["closed form"], after["torch.func"], rtol=1e-4, atol=1e-6)
    assert not torch.allclose(after["closed form"], after["regular"], atol=1e-4)


def test_peak_memory_counts_what_a_step_holds():
    def step():
        a = torch.ones(1000, 1000)         # 4 MB
        b = a + 1                          # 8 MB
        del a
        return float((b * 2).sum())        # 8 MB again

    step()
    assert 8e6 <= step_cost.peak_memory(step, "cpu") < 8.1e6


def test_precisions_are_what_they_say():
    found = step_cost.precision(SMALL, [0], "cpu")
    error = {name: numbers["gradient_error"][0] for name, numbers in found.items()}
    assert list(error) == ["float64", "float32", "bfloat16"]
    assert error["float64"] < 1e-12 < 1e-8 < error["float32"] < 1e-5 < 1e-3 < error["bfloat16"] < 0.1


@pytest.mark.parametrize("script", ["many_networks", "projections", "memory", "precision",
                                    *(pytest.param(name, marks=pytest.mark.slow) for name in ("step_time", "time_to_error"))])
def test_scripts_print_a_table_and_save_a_picture(script, tmp_path):
    picture = tmp_path / "picture.png"
    process = fork(small_script.main, SMALL, BENCHMARKS / f"{script}.py", "--preset", "quick", "--threads", "1", "--plot", picture,
                   output=tmp_path / "output")
    process.join(250)
    printed = (tmp_path / "output").read_text()
    assert process.exitcode == 0, printed
    assert any(way in printed for way in ("regular", "one after another", "bfloat16"))
    assert picture.stat().st_size > 5_000


@pytest.mark.slow
def test_the_price_of_a_distillation_step_is_a_table_and_a_picture(tmp_path):
    picture = tmp_path / "picture.png"
    small = ["--states", "6", "--batch-size", "2", "--steps", "1", "--rounds", "1", "--students", "1", "2", "--threads", "1"]
    process = fork(run_script, BENCHMARKS / "distillation_step.py", *small, "--plot", picture, output=tmp_path / "output")
    process.join(250)
    printed = (tmp_path / "output").read_text()
    assert process.exitcode == 0, printed
    lines = [line.split() for line in printed.splitlines()[2:]]
    assert [line[:-5] for line in lines] == [["KL", "only", "1"], ["KL", "only", "2"], ["KL", "+", "Sobolev", "1"],
                                             ["KL", "+", "Sobolev", "2"]]
    assert all(float(line[-1]) > 0 for line in lines), "the ratio"
    assert picture.stat().st_size > 5_000
