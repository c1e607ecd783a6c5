"""What a widget asks of the program that shows it: the widget protocol alone, so that it works in all that know it.

JupyterLab and Notebook 7 are tried in test_jupyter.py. VS Code was tried by hand (1.139, with its extensions built from source,
which takes an hour): all widgets work there. Colab runs on its makers' machines. For both there is what follows here.
"""
import re

import matplotlib.pyplot as plt
import pytest
import torch
from forks import fork, run_code

from sobolev_lib import book_output, notebook, plotting, widgets

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


# what VS Code sets in a dark theme: Jupyter's variables stay those of a white page, and what widgets stand on is white
VS_CODE = """<!doctype html><style>:root { --jp-content-font-color1: black; --jp-content-font-color2: #444; --jp-layout-color0: white;
  --jp-border-color1: #ddd; --jp-border-color2: #ddd; --vscode-editor-foreground: #cccccc; --vscode-editor-background: #1f1f1f;
  --vscode-notebook-cellBorderColor: #37373d; } body { background: #1f1f1f; color: #cccccc; }</style><body class="vscode-dark">"""


def test_tables_and_figures_are_as_light_as_vs_code_s_text_in_the_dark(new_tab, monkeypatch):
    monkeypatch.delenv("SOBOLEV_BOOK_BUILD", raising=False)
    figure = plt.figure()
    figure.subplots().plot([0, 1], label="true")
    shown = plotting.show(figure, caption="One line.", alt="A line that rises.")
    tab = new_tab()
    tab.set_content(VS_CODE + notebook.table(["method", "error"], [["regular", 0.5]], "A caption.")._repr_html_() + shown._repr_html_())
    colours = tab.evaluate("""() => Object.fromEntries([["cell", "td"], ["row", "tbody th"], ["caption", "caption"],
        ["words", ".sl-figure figcaption"]].map(([name, at]) => [name, getComputedStyle(document.querySelector(at)).color]))""")
    assert colours == dict.fromkeys(("cell", "row", "caption", "words"), "rgb(204, 204, 204)")
    assert tab.evaluate("getComputedStyle(document.querySelector('tbody th')).backgroundColor") == "rgb(31, 31, 31)"


def test_what_is_drawn_before_it_stands_on_the_page_has_the_colour_of_a_widget_s_text(engine):
    """VS Code shows widgets on white in dark themes, too: black is right there, and not the page's own colour."""
    ink = engine("""document.body.style.color = "rgb(204, 204, 204)";
        document.documentElement.style.setProperty("--jp-content-font-color1", "rgb(0, 0, 0)");
        const loose = document.createElement("canvas"), held = document.body.appendChild(document.createElement("p"));
        const before = document.body.childElementCount, found = [inkOf(loose), inkOf(held)];
        return [...found, document.body.childElementCount - before];""", source="common")
    assert ink == ["rgb(0, 0, 0)", "rgb(204, 204, 204)", 0]


def test_colab_is_told_of_custom_widgets_by_the_widget_itself(tmp_path):
    """So no chapter needs a line for Colab."""
    process = fork(run_code, COLAB, output=tmp_path / "output")
    process.join(120)
    printed = (tmp_path / "output").read_text()
    assert process.exitcode == 0, printed
    assert printed.startswith("[1] ") and "'custom_widget_manager': {'url': 'here'}" in printed
