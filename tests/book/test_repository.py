"""The project's own files: the repository's address, the vendored files, the pins, the workflow, the build's stamps."""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib

import browser
import build_book
import pytest
import sobolev_lib
import sync_repository
import vendor
import yaml
from pages import ROOT


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
    for name in ("pyproject.toml", *sync_repository.PLACES):
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
    needs = project["dependencies"] + sum(project["optional-dependencies"].values(), [])
    needs += ["jupyter-book", "setuptools", "pytest", "pytest-timeout", "playwright"]
    assert {re.match(r"[\w-]+", need)[0].lower().replace("_", "-") for need in needs} <= pins


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
            assert all(re.fullmatch(r"[\w-]+/[\w-]+@v\d+", action) for action in actions)


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
