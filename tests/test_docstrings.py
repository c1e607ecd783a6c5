"""Every public name explains itself: one sentence, an example that runs, the shapes it takes and gives."""
import ast
import doctest
import importlib
import inspect
import re
from pathlib import Path

import numpy as np
import pytest
import torch

import sobolev_lib
import sobolev_lib.records

# modules of sobolev_lib.atari whose every example needs an emulator, or states recorded with one, are left out
MODULES = ["functions", "data", "directions", "products", "labelling", "activations", "closed_form", "derivatives", "teacher", "losses.protocol", "losses.exact", "losses.squares", "losses.stochastic", "internal", "losses.internal", "errors", "labels", "models",
           "scaling", "training.history", "training.schedules", "training.modes", "training.batches", "training.steps", "training.together",
           "training.watching", "training.rates", "training.alike", "training.fitting", "training.many", "training.estimating",
           "fast", "regressor", "regressor.estimator", "regressor.tables", "regressor.scaled_inputs", "regressor.answers",
           "regressor.deployed", "regressor.gradient_score", "files", "records", "theory.density", "theory.tradeoff", "theory.interpolation", "theory.identification",
           "theory.gradient_fields", "atari.policies", "atari.convolution", "atari.rollout", "atari.actor_critic", "atari.states", "atari.teachers",
           "atari.distillation", "atari.measures", "atari.pictures", "synthetic_gradients.images", "synthetic_gradients.networks",
           "synthetic_gradients.predictors", "synthetic_gradients.methods", "synthetic_gradients.network",
           "synthetic_gradients.pictures", "experiments.atari_players", "experiments.memory", "experiments.probes", "experiments.verdicts", "formats", "notebook",
           "notebook.answers", "notebook.tables", "notebook.verdicts", "notebook.claims",
           "experiments.reproduction", "experiments.reproduction.theory"]
# public, though not all of them at the top of the package
FURTHER = ["functions.Benchmark", "models.MLP", "scaling.Standardized", "scaling.ZScores", "fast.train_many", "fast.side_by_side",
           "closed_form.Layers", "closed_form.Sweeps", "derivatives.path_of", "records.load_record",
           "losses.ProjectedTargets", "losses.EntryWeights", "losses.InternalTargets", "regressor.SobolevRegressor", "regressor.deployed.Predictor",
           *[f"{package.__name__.split('.')[1]}.{name}" for package in (sobolev_lib.atari, sobolev_lib.synthetic_gradients,
                                                                               sobolev_lib.theory)
             for name in package.__all__ if callable(getattr(package, name))]]
# these take and give no arrays of their own
WITHOUT_SHAPES = {"fit", "History", "LabelCheck", "linear_weights", "load_record", "Plan", "Progress", "train_teacher", "Run",
                  "Agreement", "save_teacher", "pack_states", "unpack_states", "CutReport", "StepReport", "TrainingHistory"}


def find(path):
    name, attribute = path.rsplit(".", 1)
    return getattr(importlib.import_module(f"sobolev_lib.{name}"), attribute)


PUBLIC = {item.__name__: item for item in [
    *[getattr(sobolev_lib, name) for name in sobolev_lib.__all__ if hasattr(getattr(sobolev_lib, name), "__name__")
      and callable(getattr(sobolev_lib, name))],
    *map(find, FURTHER)]}


def test_the_names_of_the_design_are_there():
    assert {"SobolevData", "label", "SobolevLoss", "StochasticSobolevLoss", "value_and_derivatives",
            "value_and_projections", "fit", "SobolevRegressor"} <= set(PUBLIC)
    assert sobolev_lib.models.MLP and len(sobolev_lib.functions.BENCHMARKS) == 7


@pytest.mark.parametrize("name", PUBLIC)
def test_a_docstring_starts_with_a_sentence_and_shows_an_example(name):
    text = inspect.getdoc(PUBLIC[name])
    assert text, f"{name} has no docstring"
    first = text.split("\n\n")[0]
    assert re.search(r"\.(\s|$)", first) and first[0].isupper() and len(first) < 250, first
    assert ">>>" in text, f"{name} has no example"


@pytest.mark.parametrize("name", [name for name in PUBLIC if name not in WITHOUT_SHAPES])
def test_a_docstring_gives_shapes(name):
    text = inspect.getdoc(PUBLIC[name])
    assert re.search(r"\(\.{3}, \d\)|\((n|N|k|P|T|E)\b[^)]*\)|\bshape\b|torch\.Size", text), f"{name}: no shape mentioned"


@pytest.mark.parametrize("name", MODULES)
def test_examples_run_and_print_what_they_say(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # an example may save a file
    monkeypatch.setattr(sobolev_lib.records, "records_folder", lambda: tmp_path)
    sobolev_lib.records.save_record("seven-functions", "quick", config={}, seeds=[0], results={}, probe={}, wall_seconds=1,
                                    peak_memory=1, device="CPU")
    module = importlib.import_module(f"sobolev_lib.{name}")
    scope = {"sobolev_lib": sobolev_lib, "sl": sobolev_lib, "torch": torch, "np": np}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        result = doctest.testmod(module, extraglobs=scope, optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    assert result.failed == 0, f"{result.failed} examples of {result.attempted} failed (see the output above)"
    assert result.attempted > 0


def test_modules_import_downwards_only():
    """Each file imports from files above it in this list, never below: data knows no loss, losses know no training."""
    order = ["_torch", "_arguments", "files", "functions", "activations", "models", "closed_form", "derivatives",
             "_tables", "data", "directions", "products", "internal", "labelling", "teacher", "losses", "errors", "_neighbours", "_readings", "labels", "scaling",
             "identity", "_tensor_files", "checkpoint", "training", "fast", "regressor"]
    for name in order:
        path = Path(importlib.import_module(f"sobolev_lib.{name}").__file__)
        files = path.parent.glob("*.py") if path.name == "__init__.py" else [path]       # a package is one of them
        top = [node for file in files for node in ast.parse(file.read_text()).body if isinstance(node, ast.ImportFrom)
               and node.module and node.module.startswith("sobolev_lib.")]
        used = {node.module.split(".")[1] for node in top} & set(order) - {name}
        assert all(order.index(other) < order.index(name) for other in used), f"{name} imports {used}"


@pytest.mark.parametrize("package, order", [
    ("losses", ["pointwise", "protocol", "exact", "squares", "stochastic", "internal"]),
    ("training", ["modes", "history", "schedules", "batches", "optimizers", "rates", "steps", "together", "watching", "checks", "alike",
                  "fitting", "runs", "many", "estimating", "streaming"]),
    ("regressor", ["scaled_inputs", "named_tables", "tables", "answers", "deployed", "onnx_graph", "gradient_score", "outliers", "plans",
                   "trials", "choosing", "reduction", "waves", "networks", "saved", "estimator"]),
    ("notebook", ["text", "tables", "verdicts", "claims"]),
    ("atari", ["envs", "convolution", "policies", "rollout", "play", "states", "packed", "teachers", "measures", "answers",
               "products", "students", "distillation", "actor_critic"]),
    ("synthetic_gradients", ["packed", "image_files", "images", "networks", "predictors", "methods", "network", "batches",
                             "training", "processes"]),
])
def test_modules_of_a_package_import_downwards_only(package, order):
    for name in order:
        tree = ast.parse(inspect.getsource(importlib.import_module(f"sobolev_lib.{package}.{name}")))
        used = {node.module.split(".")[2] for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)
                and (node.module or "").startswith(f"sobolev_lib.{package}.")}
        assert all(order.index(other) < order.index(name) for other in used), f"{name} imports {used}"
