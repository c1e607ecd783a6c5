"""What a widget asks of the program that shows it: the widget protocol alone, so that it works in all that know it.

JupyterLab and Notebook 7 are tried in test_jupyter.py. VS Code and Colab are not: what shows notebooks in the one is an extension
from a market of its own, the other runs on its makers' machines. For them there is what follows here.
"""
import re

import pytest
import torch
from forks import fork, run_code

from sobolev_lib import book_output, widgets

anywidget = pytest.importorskip("anywidget", reason="not installed")

LINE = [widgets.line_panel([0, 1], {"true": [0, 1]})]
IDENTITY = {"layers": [{"weight": torch.eye(3).tolist(), "bias": [0, 0, 0]}],
            **{name: [float("std" in name)] * 3 for name in ("input_mean", "input_std", "output_mean", "output_std")}}
FACES = {
    "Explorer": lambda: widgets.Explorer({"N": [1]}, compute=lambda N: LINE),
    "FieldBall": widgets.FieldBall,
    "Guide": lambda: widgets.Guide({"Exact?": {"yes": ("Good.", {}), "no": ("Check.", {})}}, call="fit({arguments}{settings})",
                                   arguments={}),
    "Hypotheses": widgets.Hypotheses,
    "LorenzRollout": lambda: widgets.LorenzRollout({"stays": ("regular", IDENTITY)}),
    "Playground": widgets.Playground,
    "Question": lambda: widgets.Question("How many?", number=3),
    "Wave": widgets.Wave,
}
# what anywidget gives a front end, and the event by which Jupyter's widget manager tells of a restart
PROTOCOL = {"get", "set", "save_changes", "send", "on", "off"}
OF_ONE_PROGRAM = re.compile(r"google\.colab|jupyterapp|JupyterFrontEnd|Jupyter\.|IPython\.|acquireVsCodeApi|\brequire\(|"
                            r"\.(?:jp|colab|vscode|cell-output)-")
# Colab's module, which anywidget looks for; each widget of a new process has to find it switched on
COLAB = """
import sys, types
calls = []
output = types.ModuleType("google.colab.output")
output.enable_custom_widget_manager = lambda: calls.append(1)
output._widgets = types.SimpleNamespace(_installed_url="here")
sys.modules.update({"google": types.ModuleType("google"), "google.colab": types.ModuleType("google.colab"),
                    "google.colab.output": output})
from sobolev_lib import widgets
assert calls == []
shown = widgets.Question("How many?", number=3)._repr_mimebundle_()
print(calls, shown[1])
"""


@pytest.fixture(autouse=True)
def outside_the_book(monkeypatch):
    monkeypatch.delenv("SOBOLEV_BOOK_BUILD", raising=False)


def test_every_face_is_tried():
    assert {*FACES} == {name for name in widgets.__all__ if name[0].isupper() and not name.endswith("Panel")}


@pytest.mark.parametrize("name", FACES)
def test_live_widgets_are_anywidgets_and_nothing_else(name):
    widget = FACES[name]()
    assert isinstance(widget, anywidget.AnyWidget)
    assert (widget._model_module, widget._model_name, widget._view_module, widget._view_name) == (
        "anywidget", "AnyModel", "anywidget", "AnyView")
    assert "export default" in widget._esm and not re.search(r"^\s*import\b|https?://(?!www\.w3\.org)", widget._esm, re.MULTILINE)


@pytest.mark.parametrize("name", book_output.widget_names())
def test_front_ends_speak_the_protocol_alone(name):
    source = re.sub(r"^\s*//.*$", "", book_output.module_script(name), flags=re.MULTILINE)
    asked = {*re.findall(r"\bmodel\.(\w+)", source)} - {"kernel"}          # which only a page of the book sets
    assert asked <= PROTOCOL and OF_ONE_PROGRAM.findall(source) == []


def test_what_belongs_to_one_program_is_found():
    for text in ("google.colab.output.setIframeHeight(1)", 'document.querySelector(".jp-Notebook")', "window.jupyterapp.commands",
                 'require(["base"], f)', "acquireVsCodeApi()"):
        assert OF_ONE_PROGRAM.search(text)


def test_colab_is_told_of_custom_widgets_by_the_widget_itself(tmp_path):
    """So no chapter needs a line for Colab."""
    process = fork(run_code, COLAB, output=tmp_path / "output")
    process.join(120)
    printed = (tmp_path / "output").read_text()
    assert process.exitcode == 0, printed
    assert printed.startswith("[1] ") and "'custom_widget_manager': {'url': 'here'}" in printed
