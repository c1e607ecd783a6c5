"""The package as a whole: what importing it does, and on which systems it can be imported."""
import ast
import graphlib
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import sobolev_lib

ROOT = Path(sobolev_lib.__file__).resolve().parents[1]


# Two fresh processes, one a fork of the other: PyTorch alone takes two seconds to import.
SCRIPT = '''
import json, os, random, sys, threading, warnings
import torch

if os.fork() == 0:
    import sobolev_lib as sl
    packages = {"atari", "datasets", "plotting", "synthetic_gradients", "theory", "widgets", "notebook", "experiments", "regressor"}
    others = {"sklearn", "scipy", "matplotlib", "plotly", "anywidget", "ipywidgets", "IPython", "ale_py", "gymnasium", "PIL"}
    at_once = sorted(others & {*sys.modules}) + sorted(name for name in packages if f"sobolev_lib.{name}" in sys.modules)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        from sobolev_lib import notebook
        repr(notebook.table(["a"], [[1]]))
    kit = sorted({"pandas", *others} & {*sys.modules})
    assert sl.SobolevRegressor.__module__ == "sobolev_lib.regressor.estimator" and "sklearn" in sys.modules
    assert sl.atari.GAMES and sl.plotting.show and sl.synthetic_gradients.METHODS and sl.theory.tradeoff and sl.widgets.Wave
    later = sorted(others & {*sys.modules} - {"sklearn", "scipy"})
    print(json.dumps({"at once": at_once, "for a table": kit, "when asked for": later}))
    sys.exit()
assert os.wait()[1] == 0

# in a process that has what an import could change
import matplotlib, numpy, sklearn
import plotly.io as pio

def state():
    return [repr(part) for part in (
        {**os.environ, "SOBOLEV_BOOK_BUILD": ""}, os.getcwd(), warnings.filters, [type(x) for x in threading.enumerate()],
        random.getstate(), numpy.random.get_state(), numpy.geterr(), torch.get_rng_state().tolist(),
        torch.get_default_dtype(), torch.is_grad_enabled(), torch.get_num_threads(),
        torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.allow_tf32, torch.get_float32_matmul_precision(),
        dict(matplotlib.rcParams), list(pio.renderers), pio.renderers.default, pio.templates.default, sklearn.get_config())]

def forget():
    for name in [name for name in sys.modules if name.partition(".")[0] == "sobolev_lib"]:
        del sys.modules[name]

before, found = state(), {}
for where, in_book in (("changed", ""), ("changed in the book", "1")):
    os.environ["SOBOLEV_BOOK_BUILD"] = in_book
    forget()
    import sobolev_lib as sl
    from sobolev_lib import atari, experiments, front_page, notebook, plotting, synthetic_gradients, theory, widgets
    sl.SobolevRegressor
    found[where] = [(old[:300], new[:300]) for old, new in zip(before, state()) if old != new]

# every module again, without the modules of Unix. Other packages do without them on Windows by their own means: only our
# own imports are refused
import builtins, importlib, pkgutil
UNIX = {"resource", "fcntl", "grp", "pwd", "posix", "pty", "syslog", "termios", "tty"}
real = builtins.__import__

def without(name, globals=None, *rest, **named):
    if name in UNIX and (globals or {}).get("__name__", "").startswith("sobolev_lib"):
        raise ImportError(f"no module {name}")
    return real(name, globals, *rest, **named)

forget()
builtins.__import__ = without
try:
    exec("import fcntl", {"__name__": "sobolev_lib.trial"})
except ImportError:
    found["refused"] = True
import sobolev_lib
from sobolev_lib import files
names = [module.name for module in pkgutil.walk_packages(sobolev_lib.__path__, "sobolev_lib.")]
for name in names:
    if not name.endswith("__main__"):
        importlib.import_module(name)
found["fcntl"], found["modules"] = repr(files.fcntl), len(names)
print(json.dumps(found))
'''


@pytest.fixture(scope="module")
def found():
    done = subprocess.run([sys.executable, "-W", "error::DeprecationWarning:sobolev_lib", "-c", SCRIPT], cwd=ROOT,
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    first, second = map(json.loads, done.stdout.splitlines())
    return {**first, **second}


def test_what_training_does_without_is_loaded_when_it_is_first_asked_for(found):
    assert found["at once"] == [] and found["when asked for"] == []


def test_the_notebooks_kit_needs_no_plotting_no_pandas_and_no_scipy(found):
    assert found["for a table"] == []


def test_the_package_lists_its_public_names_and_no_others():
    assert dir(sobolev_lib) == sobolev_lib.__all__ == sorted(sobolev_lib.__all__)
    assert {"SobolevData", "SobolevRegressor", "fit", "label", "plotting"} <= {*sobolev_lib.__all__}
    found = {}
    exec("from sobolev_lib import *", found)
    assert {*found} - {"__builtins__"} == {*sobolev_lib.__all__}
    for package in (sobolev_lib.atari, sobolev_lib.datasets, sobolev_lib.plotting, sobolev_lib.synthetic_gradients, sobolev_lib.theory,
                    sobolev_lib.widgets):
        assert package.__all__ == sorted(package.__all__) and all(hasattr(package, name) for name in package.__all__)
    with pytest.raises(AttributeError, match="module 'sobolev_lib' has no attribute 'fitt'"):
        print(sobolev_lib.fitt)


def test_an_installation_gets_every_package():
    listed = re.search(r"^packages = \[(.*?)\]$", (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE)[1]
    found = {".".join(path.parent.relative_to(ROOT).parts) for path in (ROOT / "sobolev_lib").rglob("__init__.py")}
    assert {*re.findall(r'"([\w.]+)"', listed)} == found | {"sobolev_lib.recorded"}


def test_importing_it_changes_nothing_for_the_rest_of_the_process(found):
    assert found["changed"] == [] and found["changed in the book"] == []


def test_every_module_can_be_imported_where_the_modules_of_unix_are_missing(found):
    assert found["refused"] and found["fcntl"] == "None" and found["modules"] > 80


def test_imports_point_downwards():
    """What modules and packages import when they are imported makes a ladder, not a circle; the core knows nothing of the book."""
    package, imported = ROOT / "sobolev_lib", {}
    for path in package.rglob("*.py"):
        own = path.relative_to(package).with_suffix("").parts[0].replace("__init__", "sobolev_lib")
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "sobolev_lib":
                inside = node.module.split(".")[1:]
                names = inside[:1] or [alias.name for alias in node.names]
                imported.setdefault(own, set()).update(
                    name for name in names if name != own and ((package / name).is_dir() or (package / f"{name}.py").exists()))
    order = list(graphlib.TopologicalSorter(imported).static_order())          # raises where there is a circle
    assert {"files", "_torch", "training", "experiments", "notebook"} <= {*order}
    book = {"atari", "book_output", "experiments", "front_page", "notebook", "plotting", "records", "regressor",
            "synthetic_gradients", "theory", "widgets"}
    for core in ("closed_form", "derivatives", "data", "labels", "losses", "scaling", "errors", "training", "checkpoint", "teacher"):
        assert not book & imported.get(core, set()), core
