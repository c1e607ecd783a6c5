"""A probe gives the same numbers twice, sees what changes an experiment's numbers, and nothing else."""
import ast
import json
import shutil
from functools import cache, partial
from pathlib import Path

import anew
import pytest
import torch
from forks import CONTEXT, fork

from sobolev_lib import records
from sobolev_lib.atari import actor_critic, distillation
from sobolev_lib.experiments import bells, decoupled_parts, runner
from sobolev_lib.experiments.probes import differences, probe_of, told

# those that take longest; the others see most changes of the library, and "status --check" sees all
LONG = {"black-box-peers", "curvature", "figure-2-variants", "gradient-worth", "harmful-slopes", "internal-matching",
        "learned-simulator", "own-derivatives", "regressor-defaults"}
RECORDS = Path(records.__file__).resolve().parents[1] / "book" / "records"
pytestmark = pytest.mark.usefixtures("states_once")


@pytest.fixture(autouse=True)
def forked(monkeypatch):
    """Decoupled parts are forks of a process that has PyTorch already, and are given as little as spawned ones."""
    start, method = decoupled_parts.mp.start_processes, CONTEXT.get_start_method()
    monkeypatch.setattr(decoupled_parts.mp, "spawn", partial(start, start_method=method))


# --- comparing --------------------------------------------------------------------------------------------------

BASE = {"loss": [1.0, 2.0], "name": "kl", "steps": 3, "by": {"0.1": 0.0, "0.2": 1e-12}}


@pytest.mark.parametrize("change, lines", [
    ({}, []), ({"loss": [1.0009, 2.0]}, []), ({"loss": [1.002, 2.0]}, ["loss/0: expected 1.0, got 1.002"]),
    ({"loss": [1, 2]}, []), ({"loss": [1.0]}, ["loss: expected 2 entries, got 1"]),
    ({"steps": 4}, ["steps: expected 3, got 4"]),
    ({"loss": 1.0}, ["loss: expected [1.0, 2.0], got 1.0"]), ({"name": "KL"}, ["name: expected 'kl', got 'KL'"]),
    ({"steps": True}, ["steps: expected 3, got True"]), ({"steps": None}, ["steps: expected 3, got None"]),
    ({"by": {"0.1": 1e-10, "0.2": 0.0}}, []), ({"by": {"0.1": 1e-3, "0.2": 0.0}}, ["by/0.1: expected 0.0, got 0.001"]),
    ({"by": {"0.1": 0.0}}, ["by/0.2: expected, but missing"]), ({"more": 1}, ["more: not expected"]),
    ({"loss": [-1.0, 2.0]}, ["loss/0: expected 1.0, got -1.0"]),
], ids=str)
def test_differences_are_named_one_by_one(change, lines):
    assert differences(BASE, BASE | change) == lines


def test_many_differences_are_counted():
    assert told(["a", "b"]) == "a; b" and told(list("abcde")) == "a; b; c; and 2 more"


# --- each experiment's probe ------------------------------------------------------------------------------------

@cache
def unchanged(name):
    """The experiment's probe, computed once for all tests here."""
    return probe_of(runner.find(name))


def recorded(name):
    """The probes that records hold of this experiment, or of another one with the same probe."""
    same = [other for other in runner.EXPERIMENTS if runner.find(other).probe is runner.find(name).probe]
    found = [json.loads(path.read_text()) for path in sorted(RECORDS.glob("*.json"))]
    return [record["probe"] for record in found if record["experiment"] in same and "probe" in record]


# table 1's has a test of its own, test_the_probe_repeats_itself_under_rounding_and_sees_a_changed_method
@pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.slow) if name in LONG else name for name in runner.EXPERIMENTS
                                  if not name.startswith("synthetic-gradients-")])
def test_a_probe_gives_the_numbers_that_are_recorded(name):
    """Or, as long as nothing is recorded, the same numbers twice."""
    before = torch.get_rng_state()
    first = unchanged(name)
    assert torch.equal(torch.get_rng_state(), before), "a probe leaves the global generator alone"
    for expected in recorded(name) or [probe_of(runner.find(name))]:
        assert not differences(expected, first)
    assert len(json.dumps(first, allow_nan=False)) < 20_000
    numbers = [value for value in leaves(first) if isinstance(value, float)]
    assert len(numbers) >= 2 and len(set(numbers)) > 1


def test_both_sets_of_images_of_table_1_have_one_probe():
    assert runner.find("synthetic-gradients-cifar10").probe is runner.find("synthetic-gradients-imagenet").probe
    first, *others = recorded("synthetic-gradients-imagenet")
    assert not [line for other in others for line in differences(first, other)]


@pytest.mark.slow
def test_a_probe_needs_no_other_package_and_holds_no_times():
    assert {unit.split("/")[1] for unit in unchanged("curvature")} == set(bells.NETWORKS)
    assert {unit["by"] for unit in unchanged("own-derivatives").values()} == {"sobolev_lib"}
    for name in ("own-derivatives", "internal-matching"):
        assert not [run for unit in unchanged(name).values() for run in unit["runs"] if "seconds" in run]


def leaves(value):
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return [value] if children is None else [leaf for child in children for leaf in leaves(child)]


def slower_adam(monkeypatch):
    """Every learning rate 5 % lower."""
    original = torch.optim.Adam.step

    def step(self, *arguments):
        rates = [group["lr"] for group in self.param_groups]
        for group in self.param_groups:
            group["lr"] = 0.95 * group["lr"]
        original(self, *arguments)
        for group, rate in zip(self.param_groups, rates):
            group["lr"] = rate

    monkeypatch.setattr(torch.optim.Adam, "step", step)


def heavier_loss(monkeypatch):
    """The last term of every weighted loss counts 5 % more."""
    def heavier(weights, terms):
        return sum(weight * term * (1.05 if k else 1.0) for k, (weight, term) in enumerate(zip(weights, terms)))

    monkeypatch.setattr("sobolev_lib.losses.protocol.weighted_sum", heavier)


def less_clipping(monkeypatch):
    monkeypatch.setattr(actor_critic.nn.utils, "clip_grad_norm_", lambda parameters, norm: None)


def another_rate(monkeypatch):
    original = distillation._rate
    monkeypatch.setattr(distillation, "_rate", lambda *arguments: 0.95 * original(*arguments))


@pytest.mark.parametrize("name, change", [
    ("seven-functions", heavier_loss), ("step-cost", slower_adam), ("step-cost", heavier_loss),
    ("atari-teachers", slower_adam), ("atari-teachers", less_clipping), ("atari-distillation", another_rate),
], ids=lambda value: getattr(value, "__name__", value))
def test_a_probe_sees_a_change_of_the_library(name, change, monkeypatch):
    before = unchanged(name)
    change(monkeypatch)
    assert differences(before, probe_of(runner.find(name)))


@pytest.mark.slow
def test_a_refactoring_leaves_the_probe_as_it_is(tmp_path):
    """Other docstrings, other lines, no comments, in the whole library."""
    package = Path(records.__file__).parent
    shutil.copytree(package, tmp_path / "sobolev_lib", ignore=shutil.ignore_patterns("__pycache__", "weights", "*.so"))
    for path in (tmp_path / "sobolev_lib").rglob("*.py"):
        tree = ast.parse(path.read_text())
        for node in ast.walk(tree):
            if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(node):
                node.body[0].value.value = "Another docstring."
        path.write_text(ast.unparse(tree))
    process = fork(anew.probe, tmp_path, "seven-functions", output=tmp_path / "output")
    process.join(120)
    printed = (tmp_path / "output").read_text()
    assert process.exitcode == 0, printed
    assert not differences(unchanged("seven-functions"), json.loads(printed))


# --- the shipped records ----------------------------------------------------------------------------------------

@pytest.mark.slow
@pytest.mark.parametrize("path", sorted(RECORDS.glob("*.json")), ids=lambda path: path.stem)
def test_the_library_still_computes_what_is_recorded(path):
    name, _, preset = path.stem.rpartition("-")
    record = records.load_record(name, preset)
    assert "probe" in record, "made before records kept one: run the experiment again"
    assert not differences(record["probe"], unchanged(name))
