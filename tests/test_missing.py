"""What a reader sees where something is missing: packages that are not installed, a PyTorch that is too old."""
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import sobolev_lib
from sobolev_lib import _needs, widgets

ROOT = Path(sobolev_lib.__file__).resolve().parents[1]

# Two processes, one a fork of the other: PyTorch alone takes two seconds to import. In the first PyTorch is old: the first
# import's error is told, the second's ends the process. In the other all that no core need brings is not found, as if it were
# not installed, and each call says what it raises.
WITHOUT = '''
import json, os, sys
from importlib.machinery import PathFinder
MISSING = {"IPython", "PIL", "ale_py", "anywidget", "datasets", "gymnasium", "ipywidgets", "matplotlib", "mpl_toolkits",
           "pandas", "plotly", "traitlets"}

class Finder(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.partition(".")[0] in MISSING else super().find_spec(name, path, target)

sys.meta_path[sys.meta_path.index(PathFinder)] = Finder
import torch

if os.fork() == 0:
    for version, tell in ("1.13.1", print), ("2.8.0+cu128", sys.exit):
        torch.__version__ = torch.torch_version.TorchVersion(version)
        try:
            import sobolev_lib
        except ImportError as error:
            tell(f"{type(error).__name__}: {error}")
    sys.exit()
old = os.waitstatus_to_exitcode(os.wait()[1])

import sobolev_lib as sl
from sobolev_lib import notebook, plotting, synthetic_gradients, theory, widgets

identity = {"layers": [{"weight": torch.eye(3).tolist(), "bias": [0, 0, 0]}],
            **{name: [float("std" in name)] * 3 for name in ("input_mean", "input_std", "output_mean", "output_std")}}
line = [widgets.line_panel([0, 1], {"true": [0, 1]})]
calls = {
    "Explorer": lambda: widgets.Explorer({"N": [1]}, compute=lambda N: line),
    "FieldBall": widgets.FieldBall,
    "Guide": lambda: widgets.Guide({"Exact?": {"yes": ("Good.", {}), "no": ("Check.", {})}}, call="fit({arguments}{settings})",
                                   arguments={}),
    "Hypotheses": widgets.Hypotheses,
    "LorenzRollout": lambda: widgets.LorenzRollout({"stays": ("regular", identity)}),
    "Playground": widgets.Playground,
    "Question": lambda: widgets.Question("How many?", number=3),
    "Wave": widgets.Wave,
    "matplotlib": lambda: plotting.surface_with_field(sl.functions.booth, [(-1, 1), (-1, 1)], backend="matplotlib"),
    "plotly": lambda: plotting.surface_with_field(sl.functions.booth, [(-1, 1), (-1, 1)], backend="plotly"),
    "style": plotting.style.use,
    "curves": lambda: plotting.learning_curves({"a": history}, "loss"),
    "atari": lambda: sl.atari.Games("pong", 1),
}

# the core does all its work
x = sl.functions.booth.sample(20, generator=torch.Generator().manual_seed(0))
data = sl.label(sl.functions.booth, x)
model = sl.models.MLP(2, 8, 1)
history = sl.fit(model, data, loss=sl.SobolevLoss(1), steps=5, progress=False)
sl.SobolevRegressor(hidden=(8,), steps=5).fit(data.inputs, data.values, data.jacobian)
sl.errors(model, data), sl.check_labels(data.inputs, data.values, data.jacobian)
theory.tradeoff, synthetic_gradients.METHODS, sl.atari.load_teacher("pong"), repr(notebook.table(["a"], [[1]]))

told = {"old": old}
for name, call in calls.items():
    try:
        call()
    except Exception as error:
        told[name] = [type(error).__name__, str(error)]
print(json.dumps(told))
'''


@pytest.fixture(scope="module")
def done():
    done = subprocess.run([sys.executable, "-W", "error::DeprecationWarning:sobolev_lib", "-c", WITHOUT], cwd=ROOT,
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done


@pytest.fixture(scope="module")
def told(done):
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
def test_every_widget_names_what_it_lacks(told):
    faces = [name for name in widgets.__all__ if name[0].isupper() and not name.endswith("Panel")]
    assert {*faces} <= {*told}
    text = "anywidget is needed here and is not installed: pip install 'sobolev_lib[widgets]'"
    assert {name: told[name] for name in faces} == dict.fromkeys(faces, ["ImportError", text])


@pytest.mark.parametrize("call, package", [("matplotlib", "m\\w+"), ("plotly", "plotly"), ("style", "matplotlib"),
                                           ("curves", "matplotlib")])
def test_every_figure_names_what_it_lacks(told, call, package):
    kind, text = told[call]
    assert kind == "ImportError"
    assert re.fullmatch(package + r" is needed here and is not installed: pip install 'sobolev_lib\[plot\]'", text)


def test_games_name_what_they_lack(told):
    kind, text = told["atari"]
    assert kind == "ImportError" and "pip install 'ale-py>=0.12' gymnasium" in text


def test_an_old_torch_is_named_at_the_import(done, told):
    assert told["old"] == 1
    assert [*done.stdout.splitlines()[:-1], *done.stderr.splitlines()] == [
        f"ImportError: sobolev_lib needs PyTorch 2.9 or newer, got {version}: pip install --upgrade torch, and restart "
        "Python or the notebook's kernel" for version in ("1.13.1", "2.8.0+cu128")]


@pytest.mark.parametrize("version", ["2.9.0", "2.9.0a0+gitabc", "2.11.0.dev20260101+cu130", "3.0"])
def test_a_torch_that_is_new_enough_is_taken(version):
    _needs.check_torch(version)


def test_the_oldest_torch_is_the_one_that_is_declared():
    assert f'"torch>={".".join(map(str, _needs.OLDEST_TORCH))}"' in (ROOT / "pyproject.toml").read_text()
