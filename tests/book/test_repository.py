"""The project's own files: the repository's address, the vendored files, the pins, the workflow, the build's stamps."""

import json
import os
import re
import shutil
import subprocess
import sys

import browser
import build_book
import colab
import freeze
import pytest
import run_chapters
import sync_repository
import tomllib
import vendor
import yaml
from pages import ROOT

import sobolev_lib


def test_address_is_the_same_everywhere():
    assert [path.name for path, _ in sync_repository.out_of_step()] == []


def test_address_is_in_no_other_file():
    """Else a change in pyproject.toml would leave it behind."""
    path = sync_repository.address().split("://")[1]
    listed = {"pyproject.toml", *sync_repository.PLACES}
    files = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    others = [name for name in files if name not in listed and not re.fullmatch(r"book/\w+\.ipynb", name)]
    assert [name for name in others if path.encode() in (ROOT / name).read_bytes()] == []


@pytest.fixture
def copy(tmp_path):
    """The files that hold the address, with one notebook, in a folder of their own."""
    (tmp_path / "book").mkdir()
    (tmp_path / "sobolev_lib").mkdir()
    for name in ("pyproject.toml", "sobolev_lib/__init__.py", *sync_repository.PLACES):
        shutil.copy(ROOT / name, tmp_path / name)
    notebook = {"cells": [{"cell_type": "code", "source": ["x = 1"]}], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    (tmp_path / "book" / "a.ipynb").write_text(json.dumps(notebook))
    return tmp_path


def test_new_address_reaches_every_file(copy):
    project = copy / "pyproject.toml"
    project.write_text(project.read_text().replace(sync_repository.address(), "https://example.org/someone/else"))
    changed = dict(sync_repository.out_of_step(copy))
    assert {path.relative_to(copy).as_posix() for path in changed} == {*sync_repository.PLACES, "book/a.ipynb"}
    assert all("https://example.org/someone/else" in text for text in changed.values())
    assert not any(sync_repository.address() in text for text in changed.values())
    for path, text in changed.items():
        path.write_text(text)
    assert list(sync_repository.out_of_step(copy)) == []


def test_new_version_reaches_the_citation(copy):
    library = copy / "sobolev_lib" / "__init__.py"
    library.write_text(re.sub(r'__version__ = ".*"', '__version__ = "9.8.7"', library.read_text()))
    citation = dict(sync_repository.out_of_step(copy))[copy / "CITATION.cff"]
    assert yaml.safe_load(citation)["version"] == "9.8.7" and sync_repository.address() in citation


def test_install_cell_is_put_first_and_once(copy):
    text = (copy / "book" / "a.ipynb").read_text()
    once = sync_repository.sync_notebook(text, "https://example.org/a/b")
    sources = ["".join(cell["source"]) for cell in json.loads(once)["cells"]]
    assert sources == [sync_repository.install_cell("https://example.org/a/b"), "x = 1"]
    assert sync_repository.sync_notebook(once, "https://example.org/a/b") == once


def test_install_cell_installs_only_the_library():
    lines = [line for line in sync_repository.install_cell("https://x/y").splitlines() if "pip install" in line]
    assert len(lines) == 1
    assert not re.search(r"torch|numpy|upgrade|-U\b|force", lines[0])


def test_vendored_files_match_their_checksums():
    vendor.check()


def test_a_changed_vendored_file_is_noticed(tmp_path):
    entry, file = next(vendor.entries("npm"))
    vendor.write(tmp_path / file["to"], vendor.committed(file, vendor.home(entry)) + b" ")
    with pytest.raises(ValueError, match="expected sha256"):
        vendor.committed(file, tmp_path)


def test_every_vendored_file_is_listed_and_licensed():
    entries = json.loads(vendor.MANIFEST.read_text())
    listed = {file["to"] for entry in entries for file in entry["files"]}
    present = {path for folder in (vendor.ASSETS, vendor.TESTS) for path in folder.glob("vendor/**/*") if path.is_file()}
    assert present == {vendor.home(entry) / file["to"] for entry, file in vendor.entries("npm")}
    for entry in entries:
        assert entry["licence"] and any("LICENSE" in file["to"] for file in entry["files"])
    assert "vendor/plotly.min.js" in listed


def requirements():
    lines = [line for line in (ROOT / "requirements.txt").read_text().splitlines() if line and not line.startswith("#")]
    return dict(re.fullmatch(r"([\w.-]+)==([\w.]+)", line).groups() for line in lines)


def test_pins_hold_every_direct_need():
    pins = {name.lower().replace("_", "-") for name in requirements()}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needs = [need for extra in project["optional-dependencies"].values() for need in extra if "sobolev_lib" not in need]
    needs += [*project["dependencies"], "setuptools"]
    assert {re.match(r"[\w-]+", need)[0].lower().replace("_", "-") for need in needs} <= pins


def test_pins_are_what_the_direct_needs_bring_and_nothing_else():
    assert (ROOT / "requirements.txt").read_text() == freeze.frozen(), "run make freeze"


def test_a_need_that_the_installed_version_does_not_meet_is_told():
    with pytest.raises(ValueError, match="expected pytest<1, got"):
        freeze.pins(freeze.direct("pytest<1  # old\n"))


def test_pinned_plotly_is_the_one_that_is_served():
    packages = [entry["package"] for entry, _ in vendor.entries("pip")]
    assert f"pip:plotly=={requirements()['plotly']}" in packages


def test_workflows_parse():
    files = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
    assert files
    for file in files:
        workflow = yaml.safe_load(file.read_text())
        assert workflow["jobs"]
        for job in workflow["jobs"].values():
            actions = [step["uses"] for step in job["steps"] if "uses" in step]
            assert all(re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", action) for action in actions), "a tag can be moved"
            assert job["timeout-minutes"] <= 90
        assert workflow["permissions"] == {"contents": "read"}, "what needs more asks for it itself"
        named = re.findall(r"uses: \S+@([0-9a-f]{40})  # (v[\d.]+)$", file.read_text(), re.MULTILINE)
        assert len(named) == file.read_text().count("uses: "), "each hash with its version beside it"


def test_workflows_name_files_that_are_there():
    for file in (ROOT / ".github" / "workflows").glob("*.yml"):
        for name in re.findall(r"(?:tests|scripts)/[\w/]+(?:\.py)?", file.read_text()):
            assert (ROOT / name).exists(), f"{file.name}: {name}"


def test_colab_packages_become_constraints():
    listed = ("numpy==2.1.3\ntorch @ https://x.org/whl/torch-2.11.0%2Bcpu-cp313-cp313-manylinux_2_28_x86_64.whl\n"
              "own @ file:///dist/own-1.0.0.tar.gz\nsmall @ https://x.org/small-3.8.0-py3-none-any.whl#sha256=19ab\n"
              "kernel @ git+https://x.org/kernel@b134e99\njax==0.7.2+cuda12\n")
    assert colab.constraints(listed) == ["numpy==2.1.3", "torch==2.11.0", "small==3.8.0", "jax==0.7.2"]
    assert colab.python(listed) == "3.13"
    with pytest.raises(ValueError, match="expected a package that names its wheel"):
        colab.python("numpy==2.1.3\n")


def test_a_chapter_that_fails_is_told(tmp_path):
    for name, source in (("good", "x = 1"), ("bad", "x = 1 / 0")):
        cell = {"cell_type": "code", "execution_count": None, "id": "a", "metadata": {}, "outputs": [], "source": source}
        notebook = {"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
        (tmp_path / f"{name}.ipynb").write_text(json.dumps(notebook))
    assert run_chapters.run(tmp_path / "good.ipynb") is None
    assert "ZeroDivisionError" in run_chapters.run(tmp_path / "bad.ipynb")


def test_issue_forms_parse():
    forms = [file for file in (ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml") if file.stem != "config"]
    assert len(forms) == 3
    for form in map(yaml.safe_load, (file.read_text() for file in forms)):
        assert form["name"] and form["description"] and any(part.get("validations", {}).get("required") for part in form["body"])
        assert len({part["id"] for part in form["body"]}) == len(form["body"])


def test_what_contributors_are_told_is_there():
    for page in ("CONTRIBUTING.md", "RELEASING.md", "README.md"):
        text = (ROOT / page).read_text()
        targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
        named = re.findall(r"(?:sobolev_lib|tests|scripts|benchmarks)/[\w/]+\.py|\b(?:CHANGELOG|CONTRIBUTING|CITATION)\.\w+", text)
        assert named and all((ROOT / name).exists() for name in named if "NAME" not in name), page
        commands = re.findall(r"^    make ([\w-]+)|`make ([\w-]+)", text, re.MULTILINE)
        assert all(name in targets for pair in commands for name in pair if name), page


def test_citation_parses_and_has_the_package_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert str(citation["version"]) == sobolev_lib.__version__


def test_example_of_the_readme_runs():
    example = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), flags=re.DOTALL)[0]
    example += "\nassert model.predict_gradient(X).shape == dy.shape"
    environment = dict(os.environ, OMP_NUM_THREADS="1")  # a network this small gains nothing from more threads
    subprocess.run([sys.executable, "-W", "error", "-c", example], check=True, cwd=ROOT, env=environment)


def test_fingerprint_follows_contents_and_paths(tmp_path):
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "a.py").write_text("1")
    first = build_book.fingerprint(["lib"], root=tmp_path)
    (tmp_path / "lib" / "__pycache__").mkdir()
    (tmp_path / "lib" / "__pycache__" / "a.pyc").write_text("cache")
    assert build_book.fingerprint(["lib"], root=tmp_path) == first
    (tmp_path / "lib" / "a.py").write_text("2")
    second = build_book.fingerprint(["lib"], root=tmp_path)
    (tmp_path / "lib" / "a.py").rename(tmp_path / "lib" / "b.py")
    assert len({first, second, build_book.fingerprint(["lib"], root=tmp_path)}) == 3


def test_a_wrong_chromium_is_an_error(monkeypatch):
    monkeypatch.setenv("CHROMIUM", "/no/such/program")
    with pytest.raises(FileNotFoundError, match="does not start"):
        browser.find()
