"""The project's own files: the repository's address, the vendored files, the pins, the workflow, the build's stamps."""

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import browser
import build_book
import check_release
import freeze
import offline
import pytest
import repository
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
    path = repository.declared().split("://")[1]
    listed = {"pyproject.toml", *sync_repository.PLACES}
    files = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    others = [name for name in files if name not in listed and not re.fullmatch(r"book/\w+\.ipynb", name)]
    assert [name for name in others if path.encode() in (ROOT / name).read_bytes()] == []


@pytest.fixture
def copy(tmp_path):
    """The files that hold the address, with one notebook, in a folder of their own."""
    for folder in ("book", "scripts", "sobolev_lib"):
        (tmp_path / folder).mkdir()
    for name in ("pyproject.toml", "sobolev_lib/__init__.py", "scripts/repository.py", "scripts/sync_repository.py",
                 *sync_repository.PLACES):
        shutil.copy(ROOT / name, tmp_path / name)
    notebook = {"cells": [{"cell_type": "code", "source": ["x = 1"]}], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    (tmp_path / "book" / "a.ipynb").write_text(json.dumps(notebook))
    return tmp_path


def test_new_address_reaches_every_file(copy):
    declare(copy, "https://example.org/someone/else")
    changed = dict(sync_repository.out_of_step(copy))
    assert {path.relative_to(copy).as_posix() for path in changed} == {*sync_repository.PLACES, "book/a.ipynb"}
    assert all("https://example.org/someone/else" in text for text in changed.values())
    assert not any(repository.declared() in text for text in changed.values())
    for path, text in changed.items():
        path.write_text(text)
    assert list(sync_repository.out_of_step(copy)) == []


@pytest.mark.parametrize("remote", [
    "https://github.com/some-one/their.book", "https://github.com/some-one/their.book.git",
    "http://github.com/some-one/their.book/", "https://x-access-token:secret@github.com/some-one/their.book", "git@github.com:some-one/their.book.git",
    "ssh://git@github.com/some-one/their.book", "ssh://git@ssh.github.com:443/some-one/their.book.git"])
def test_a_remote_on_github_has_an_address(remote):
    assert repository.on_github(remote + "\n") == "https://github.com/some-one/their.book"


@pytest.mark.parametrize("remote", [
    "/srv/git/book", "../book", "https://gitlab.com/a/b", "https://github.com.example.org/a/b",
    "https://example.org/github.com/a/b", "https://github.com/a", "git@example.org:a/b.git", ""])
def test_any_other_remote_has_none(remote):
    assert repository.on_github(remote) is None


def git(folder, *arguments):
    return subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=True).stdout


def declare(folder, url):
    project = folder / "pyproject.toml"
    project.write_text(project.read_text().replace(repository.declared(folder), url))


def test_the_remote_counts_then_what_is_declared(copy):
    declare(copy, repository.NOBODY + "book")
    assert repository.known(copy) is None  # no clone, and nothing declared
    git(copy, "init", "--quiet")
    assert repository.known(copy) is None
    declare(copy, "https://example.org/declared/book")
    assert repository.known(copy) == "https://example.org/declared/book"
    git(copy, "remote", "add", "origin", "/srv/git/book")
    assert repository.known(copy) == "https://example.org/declared/book"
    git(copy, "remote", "set-url", "origin", "git@github.com:someone/their-book.git")
    assert repository.known(copy) == "https://github.com/someone/their-book"


def first_push(clone):
    """Do in the clone what the workflow does that writes the address."""
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "address.yml").read_text())
    for step in workflow["jobs"]["write"]["steps"]:
        if "run" in step:
            environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
            subprocess.run(["bash", "-e", "-c", step["run"]], cwd=clone, check=True, capture_output=True, env=environment)


def test_the_first_push_writes_the_address_and_commits_it(copy, tmp_path_factory):
    hub = tmp_path_factory.mktemp("hub")
    git(hub, "init", "--quiet", "--bare", "--initial-branch=main")
    declare(copy, repository.NOBODY + "book")
    for path, text in sync_repository.out_of_step(copy):
        path.write_text(text)
    git(copy, "init", "--quiet", "--initial-branch=main")
    git(copy, "add", "--all")
    git(copy, "-c", "user.name=A", "-c", "user.email=a@example.org", "commit", "--quiet", "--message", "All")
    git(copy, "remote", "add", "origin", "https://github.com/someone/their-book")
    git(copy, "remote", "set-url", "--push", "origin", str(hub))
    first_push(copy)
    assert git(hub, "log", "--format=%s", "main").splitlines() == ["The repository's address", "All"]
    assert git(copy, "status", "--porcelain", "--untracked-files=no") == ""
    assert git(hub, "grep", "--name-only", "OWNER", "main").splitlines() == ["main:scripts/repository.py"]
    readme = git(hub, "show", "main:README.md")
    assert "git clone https://github.com/someone/their-book\n    cd their-book\n" in readme
    first_push(copy)  # a later push, and a push to a fork
    git(copy, "remote", "set-url", "origin", "https://github.com/fork/their-book")
    first_push(copy)
    assert len(git(hub, "log", "--format=%s", "main").splitlines()) == 2


def test_without_an_address_nothing_names_one():
    page = (ROOT / "book" / "about.md").read_text()
    text = sync_repository.page_text("book/about.md", page, None)
    assert "git clone" in page and "git clone" not in text and "make book" in text and "OWNER" not in text
    cell = sync_repository.install_cell(None)
    assert "github" not in cell and "%pip" not in cell and "import sobolev_lib as sl" in cell


def test_new_version_reaches_the_citation(copy):
    library = copy / "sobolev_lib" / "__init__.py"
    library.write_text(re.sub(r'__version__ = ".*"', '__version__ = "9.8.7"', library.read_text()))
    citation = dict(sync_repository.out_of_step(copy))[copy / "CITATION.cff"]
    assert yaml.safe_load(citation)["version"] == "9.8.7" and repository.declared() in citation


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


def test_every_pin_but_that_of_torch_has_hashes():
    text = (ROOT / "requirements-hashed.txt").read_text()
    found = re.findall(r"^([\w.-]+)==([\w.]+)((?: \\\n    --hash=sha256:[0-9a-f]{64})+)$", text, re.MULTILINE)
    assert "".join(f"{name}=={version}{hashes}\n" for name, version, hashes in found) == text
    pins = {freeze.canonicalize_name(name): version for name, version in requirements().items() if name != "torch"}
    assert {freeze.canonicalize_name(name): version for name, version, _ in found} == pins, "run make freeze"


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


def test_the_oldest_torch_is_tested():
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "tests.yml").read_text())
    oldest = ".".join(map(str, sobolev_lib._needs.OLDEST_TORCH))
    assert f"torch=={oldest}.*" in workflow["jobs"]["library"]["strategy"]["matrix"]["torch"]


def test_workflows_name_files_that_are_there():
    for file in (ROOT / ".github" / "workflows").glob("*.yml"):
        for name in re.findall(r"(?:tests|scripts)/[\w/]+(?:\.py)?", file.read_text()):
            assert (ROOT / name).exists(), f"{file.name}: {name}"


@pytest.mark.slow
def test_a_chapter_that_fails_is_told(tmp_path):
    shown = "class A:\n    def _repr_html_(self):\n        {}\nA()"    # what fails while it is shown ends no cell
    bar = "from tqdm import tqdm\nfor _ in tqdm(range(3)):\n    pass"
    for name, source in (("good", bar), ("bad", "x = 1 / 0"), ("shown", shown.format("return 1 / 0")),
                         ("warns", shown.format("import warnings; warnings.warn('old'); return 'A'")),
                         ("late", "get_ipython().events.register('post_execute', lambda: 1 / 0)")):
        cell = {"cell_type": "code", "execution_count": None, "id": "a", "metadata": {}, "outputs": [], "source": source}
        notebook = {"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
        (tmp_path / f"{name}.ipynb").write_text(json.dumps(notebook))
    assert run_chapters.run(tmp_path / "good.ipynb") is None
    assert "ZeroDivisionError" in run_chapters.run(tmp_path / "bad.ipynb")
    assert "division by zero" in run_chapters.run(tmp_path / "shown.ipynb")
    assert "UserWarning: old" in run_chapters.run(tmp_path / "warns.ipynb")
    assert "division by zero" in run_chapters.run(tmp_path / "late.ipynb")


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


def test_make_help_lists_every_target():
    listed = subprocess.run(["make", "--no-print-directory", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    targets = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)[1].split()
    assert [line.split()[1] for line in listed] != [] and {line.split()[1] for line in listed} == {*targets}
    assert all(len(line.split()) > 3 for line in listed)


def test_the_development_container_uses_what_is_there():
    folder = ROOT / ".devcontainer"
    container = json.loads((folder / "devcontainer.json").read_text())
    assert (folder / container["build"]["dockerfile"]).exists()
    assert container["postCreateCommand"] == "make install" and container["forwardPorts"] == [8000]
    assert re.search(r"^FROM python:3\.11", (folder / "Dockerfile").read_text(), re.MULTILINE)


def test_a_release_wants_the_tag_the_heading_and_the_address(copy):
    shutil.copy(ROOT / "CHANGELOG.md", copy / "CHANGELOG.md")
    declare(copy, "https://github.com/someone/their-book")
    for path, text in sync_repository.out_of_step(copy):
        path.write_text(text)
    version = sync_repository.version(copy)
    assert check_release.faults(f"v{version}", copy) == []
    assert "got v9.0.0" in check_release.faults("v9.0.0", copy)[0]
    (copy / "CHANGELOG.md").write_text("## Unreleased\n")
    declare(copy, repository.NOBODY + "book")
    found = check_release.faults(f"v{version}", copy)
    assert "a heading for" in found[0] and "the repository's address" in found[1]
    assert all("out of step" in text for text in found[2:])
    assert {text.split(":")[0] for text in found[2:]} == {*sync_repository.PLACES, "book/a.ipynb"}


def test_the_offline_book_is_the_site_in_one_folder(tmp_path):
    site = tmp_path / "html"
    (site / "book").mkdir(parents=True)
    (site / "index.html").write_text("front")
    (site / "book" / "a.html").write_text("chapter")
    (site / ".buildinfo").write_text("when")
    first, second = tmp_path / "dist" / "book-1.zip", tmp_path / "again" / "book-1.zip"
    offline.pack(site, first)
    os.utime(site / "index.html", (0, 0))
    offline.pack(site, second)
    assert first.read_bytes() == second.read_bytes()
    with zipfile.ZipFile(first) as packed:
        assert packed.namelist() == ["book-1/book/a.html", "book-1/index.html"]
        assert packed.read("book-1/index.html") == b"front"
    assert [path.name for path in first.parent.iterdir()] == ["book-1.zip"]
    with pytest.raises(FileNotFoundError, match="expected a built site"):
        offline.pack(tmp_path / "empty", first)


def test_citation_parses_and_has_the_package_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert str(citation["version"]) == sobolev_lib.__version__


def test_example_of_the_readme_runs():
    examples = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), flags=re.DOTALL)
    found = {}
    exec("\n".join(examples).replace("steps=500", "steps=500, progress=False"), found)      # test_distribution.py runs the first alone
    assert found["sl"].errors(found["network"], found["data"])["value_mse"] < 1e-3
    assert found["model"].predict_gradient(found["X"]).shape == found["dy"].shape


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
