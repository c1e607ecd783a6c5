"""The chapters in Colab: what is there already, what the first cell adds, and one chapter run with Colab's own versions."""

import json
import os
import re
import subprocess
import sys

import colab
import nbformat
import pytest
import tomllib
import yaml
from first_cell import shown
from packaging.requirements import Requirement
from packaging.version import Version
from pages import ROOT

PINNED = colab.versions(colab.PINS.read_text())
HERE = colab.FOLDER / "bin" / "python"
WHEEL = "torch @ https://x.org/whl/torch-2.11.0%2Bcpu-cp313-cp313-manylinux_2_28_x86_64.whl\n"
LISTED = """import json
from importlib.metadata import distributions
print(json.dumps({package.metadata["Name"]: package.version for package in distributions()}))"""


def test_published_lists_are_read():
    listed = (f"numpy==2.1.3\n{WHEEL}own @ file:///dist/own-1.0.0.tar.gz\n"
              "small @ https://x.org/small-3.8.0-py3-none-any.whl#sha256=19ab\nkernel @ git+https://x.org/kernel@b134e99\n"
              "jax==0.7.2+cuda12\n")
    assert colab.versions(listed) == {"numpy": "2.1.3", "torch": "2.11.0", "small": "3.8.0", "jax": "0.7.2"}
    assert colab.python(listed) == "3.13"
    with pytest.raises(ValueError, match="expected a package that names its wheel"):
        colab.python("numpy==2.1.3\n")


def test_pins_follow_what_is_published(tmp_path, monkeypatch):
    monkeypatch.setattr(colab, "PINS", tmp_path / "colab.txt")
    colab.PINS.write_text("# Python 3.12\nFarama-Notifications==0.0.4\ntorch==2.9.0\n")
    published = tmp_path / "backend"
    published.mkdir()
    (published / "pip-freeze.txt").write_text(f"{WHEEL}Farama_Notifications==0.0.6\nother==1.0\n")
    environment = {**os.environ, "GIT_COMMITTER_DATE": "2026-08-19T12:00:00"}
    for command in (["init", "--quiet"], ["add", "."],
                    ["-c", "user.name=A", "-c", "user.email=a@example.org", "commit", "--quiet", "-m", "A"]):
        subprocess.run(["git", "-C", published, *command], check=True, env=environment)
    colab.update(published)
    assert colab.PINS.read_text().splitlines() == [
        "# Colab, as published on 2026-08-19: python scripts/colab.py update", "# Python 3.13",
        "Farama-Notifications==0.0.6", "torch==2.11.0"]
    (published / "pip-freeze.txt").write_text(WHEEL)
    with pytest.raises(ValueError, match="got none of Farama-Notifications"):
        colab.update(published)
    assert "Farama-Notifications==0.0.6" in colab.PINS.read_text()


def test_all_that_the_first_cell_asks_for_is_there_already():
    """So in Colab it fetches the book's library and nothing large; torch and NumPy stay as they are."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    chapter = nbformat.read(ROOT / "book" / "welcome.ipynb", as_version=4)
    first = next(cell.source for cell in chapter.cells if cell.cell_type == "code")
    extras = re.search(r'"sobolev_lib\[([\w,]+)\]', first)[1].split(",")
    listed = [project["dependencies"], *(project["optional-dependencies"][extra] for extra in extras)]
    needs = [need for texts in listed for need in map(Requirement, texts) if not need.marker or need.marker.evaluate()]
    there = {colab.canonical(name): version for name, version in PINNED.items()}
    pinned = [there.get(colab.canonical(need.name)) for need in needs]
    assert [str(need) for need, has in zip(needs, pinned) if not has or not need.specifier.contains(has)] == []
    assert {"torch", "numpy", "anywidget", "ale-py", "plotly"} <= {need.name for need in needs}
    assert Version(colab.python(colab.PINS.read_text())) >= Version(project["requires-python"].removeprefix(">="))


@pytest.mark.parametrize("other", ["torch", "nothing==1.0", "torch>=2"])
def test_other_versions_are_of_what_is_pinned(other):
    with pytest.raises(ValueError) as found:
        colab.instead(PINNED, ["numpy==2.2.0", other])
    assert str(found.value) == f"expected a pinned package with another version, such as torch==2.13.0, got {other}"


def test_a_python_that_is_not_there_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(colab, "FOLDER", tmp_path / "colab")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(FileNotFoundError, match=r"expected python3\.\d+, as Colab has, found none"):
        colab.install(None, [])
    assert not (tmp_path / "colab").exists()


def test_what_a_reader_sees_of_the_first_cell_is_counted():
    outputs = [nbformat.v4.new_output("stream", name="stdout", text="one\n\ntwo\n"),
               nbformat.v4.new_output("error", ename="A", evalue="three", traceback=[])]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("a", outputs=outputs)])
    assert shown(notebook) == ["one", "two", "three"]


def test_the_first_cell_is_not_tried_where_the_library_is():
    done = subprocess.run([sys.executable, ROOT / "scripts" / "first_cell.py"], capture_output=True, text=True,
                          env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert done.returncode == 1 and "expected a Python without sobolev_lib" in done.stderr


def test_the_weekly_run_takes_the_newest_versions_and_has_a_whole_clone():
    steps = yaml.safe_load((ROOT / ".github" / "workflows" / "weekly.yml").read_text())["jobs"]["colab"]["steps"]
    assert steps[0]["with"]["fetch-depth"] == 0
    ours, theirs = [i for i, step in enumerate(steps) if re.search("make colab|colab.py update", step.get("run", ""))][::-1]
    assert theirs < ours and steps[1]["with"]["path"] in steps[theirs]["run"]


@pytest.mark.skipif(not (colab.FOLDER / "ready").exists(), reason="make colab makes the environment that this runs in")
def test_a_chapter_runs_with_colabs_versions():
    found = json.loads(subprocess.run([HERE, "-c", LISTED], capture_output=True, text=True, check=True).stdout)
    found = {colab.canonical(name): version.partition("+")[0] for name, version in found.items()}
    made = colab.versions((colab.FOLDER / "ready").read_text())
    assert {name: found.get(colab.canonical(name)) for name in made} == made, "the environment is not what it was made as"
    assert made.keys() == PINNED.keys(), "the pins have changed since: make colab"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [HERE, ROOT / "scripts" / "run_chapters.py", "cost"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
