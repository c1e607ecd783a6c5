"""Chapters train on a graphics card where there is one, and what they have trained there comes back before it is used."""
import ast
import re
from functools import partial

import matplotlib
import nbformat
import pytest
import torch
from IPython.display import display
from pages import ROOT

import sobolev_lib as sl

ASKS = 'device = "cuda" if torch.cuda.is_available() else "cpu"'
TRAINS = {"fit", "fit_many", "train", "SobolevRegressor", "step"}
# Trained on the processor. A step of one such network is a few dozen small operations one after another: what takes the time
# is to begin each, on a card as well. Many networks side by side are one operation each there; fit_many is for those.
SMALL = {
    ("black_boxes", "black-boxes-label"): "40 and 120 points, solved at once",
    ("black_boxes", "black-boxes-simulator-lines"): "fifty points, solved at once",
    ("curvature", "curvature-fit"): "one network of 32 units, all its points in each step",
    ("defaults", "defaults-wave"): "twelve points, solved at once or trained in a second",
    ("defaults", "defaults-line"): "thirty points, solved at once",
    ("defaults", "defaults-spoiled"): "thirty points, solved at once and trained in seconds",
    ("internal_derivatives", "internal-derivatives-three-lines"): "twenty steps of one small network, to show the call",
    ("neighbours", "neighbours-equation-said"): "five networks of 16 units at 30 points",
    ("synthetic_gradients", "synthetic_gradients-22"): "batches of 50 images of 8 by 8 pixels",
}
# In these pages all is on the card, labels and figures' points too; in the others networks go there to be trained, and return.
STAYS = {"five_minutes", "seven_functions", "stochastic", "the_loss", "welcome"}


def code(page):
    notebook = nbformat.read(ROOT / "book" / f"{page}.ipynb", as_version=4)
    return {cell.id: cell.source for cell in notebook.cells if cell.cell_type == "code" and "%pip" not in cell.source}


def called(node):
    """Return the last part of each name that is called in the code."""
    functions = [part.func for part in ast.walk(node) if isinstance(part, ast.Call)]
    return {function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "") for function in functions}


def trains(source):
    """Tell whether a cell trains a network; a fit by another library (``GaussianProcessRegressor().fit``) is none of ours."""
    names = called(ast.parse(source))
    if "step" in names and "backward" not in names:        # of a walk, or a simulator
        names.discard("step")
    return bool(names & TRAINS) and not re.search(r"^\s*peer = ", source, re.MULTILINE)


def minds_the_device(sources):
    """Return the cells that name ``device``, or call one of the page's own functions or classes that do."""
    trees = {name: ast.parse(source) for name, source in sources.items()}
    own = [part for tree in trees.values() for part in ast.walk(tree) if isinstance(part, (ast.FunctionDef, ast.ClassDef))]
    names, before = {"device"}, set()
    while names != before:
        before = {*names}
        names |= {part.name for part in own if names & used(part)}
    return {name for name, tree in trees.items() if names & used(tree)}


def used(node):
    return {part.id for part in ast.walk(node) if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Load)}


def left_behind(page, sources):
    """Return the cells of a page that train on the processor although there may be a card, but for the small ones."""
    asks = any(ASKS in source.splitlines() for source in sources.values())
    mind = minds_the_device(sources) if asks else set()
    return [name for name, source in sources.items() if trains(source) and name not in mind and (page, name) not in SMALL]


PAGES = sorted(path.stem for path in (ROOT / "book").glob("*.ipynb"))
AWAY = [page for page in PAGES if any(ASKS in source.splitlines() for source in code(page).values()) and page not in STAYS]


@pytest.mark.parametrize("which", PAGES)
def test_what_is_trained_is_trained_on_the_card(which):
    assert left_behind(which, code(which)) == []


def test_small_trainings_are_trainings():
    assert [name for page, name in SMALL if not trains(code(page)[name])] == []


@pytest.mark.parametrize("found, sources", [
    (["b"], {"b": "sl.fit(net, data)"}),
    (["b"], {"a": ASKS, "b": "def trained():\n    sl.fit_many(nets, data)"}),
    (["b"], {"a": ASKS, "b": "sl.SobolevRegressor().fit(X, y, dy)"}),
    (["b"], {"a": ASKS, "b": "loss.backward()\nadam.step()"}),
    (["b"], {"a": "device = 'cpu'", "b": "sl.fit(net, data, device=device)"}),
    ([], {"a": ASKS, "b": "sl.fit(net, data, device=device)"}),
    ([], {"a": ASKS, "b": "def new():\n    return sl.models.MLP(1, 1, device=device)", "c": "net = new()\nsl.fit(net, data)"}),
    ([], {"a": ASKS, "b": "gym.step(action)"}),
])
def test_a_training_without_the_device_is_found(found, sources):
    assert left_behind("page", sources) == found


class Card:
    """Stands in for a graphics card: what is trained there holds no numbers until it is called back by ``cpu()``."""

    def __init__(self, patch):
        self.there, self.trained, back = {}, 0, torch.nn.Module.cpu
        patch.setattr(torch.nn.Module, "cpu", lambda module: self.back(module) if module in self.there else back(module))
        for name in ("fit", "fit_many"):
            patch.setattr(sl, name, self.training(getattr(sl, name)))

    def training(self, train):
        def trained(models, *arguments, **options):
            history = train(models, *arguments, **options | {"steps": 3})
            if "device" in options:
                for model in models if isinstance(models, list) else [models]:
                    self.there[model] = {name: value.clone() for name, value in model.state_dict().items()}
                    model.to("meta")
                    self.trained += 1
            return history
        return trained

    def back(self, module):
        module.load_state_dict(self.there.pop(module), assign=True)
        return module


@pytest.mark.slow
@pytest.mark.parametrize("which", AWAY)
@pytest.mark.filterwarnings("ignore")                      # of networks that have learned next to nothing
def test_networks_return_before_they_are_used(which, monkeypatch):
    """All cells run. A network that is still on the card meets points that are not: PyTorch refuses that."""
    monkeypatch.setenv("SOBOLEV_BOOK_BUILD", "1")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    matplotlib.use("Agg")
    monkeypatch.setattr(sl, "SobolevRegressor", partial(sl.SobolevRegressor, hidden=(8,), activation="silu", steps=3))
    card, names = Card(monkeypatch), {"sl": sl, "display": display}
    for cell, source in code(which).items():
        exec(compile(source, cell, "exec"), names)
    assert card.trained > 0


def test_a_network_that_stays_away_is_found(monkeypatch):
    card, x = Card(monkeypatch), torch.rand(5, 1)
    net, data = sl.models.MLP(1, 4, 1), sl.label(lambda x: x[:, 0].sin(), x)
    sl.fit(net, data, steps=5, device="cpu", progress=False)
    assert card.trained == 1
    with pytest.raises(RuntimeError):
        net(x)
    with pytest.raises(ValueError, match="got meta"):
        sl.value_and_derivatives(net, x)
    assert net.cpu()(x).shape == (5, 1)
