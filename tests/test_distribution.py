"""The archives that `python -m build` makes hold all that is needed, and the library works from them alone."""
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

import sobolev_lib

ROOT = Path(sobolev_lib.__file__).resolve().parents[1]
DATA = {".safetensors", ".json", ".js", ".css", ".txt"}                # the last: licences of data


def backend(call, folder):
    """Ask the build backend for an archive, as ``build`` does, without its own environment; returns the archive's path."""
    script = f"from setuptools import build_meta; print(build_meta.{call}('dist'))"
    run = subprocess.run([sys.executable, "-c", script], cwd=folder, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr[-2000:]
    assert "would be ignored" not in run.stderr, "a folder of data that later setuptools would leave out"
    return folder / "dist" / run.stdout.splitlines()[-1]


@pytest.fixture(scope="module")
def tracked():
    return subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()


@pytest.fixture(scope="module")
def sdist(tmp_path_factory, tracked):
    """The source archive of what is committed, unpacked."""
    folder = tmp_path_factory.mktemp("committed")
    for name in tracked:
        if (ROOT / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    unpacked = tmp_path_factory.mktemp("unpacked")
    with tarfile.open(backend("build_sdist", folder)) as archive:
        archive.extractall(unpacked, **({"filter": "data"} if hasattr(tarfile, "data_filter") else {}))
    inside, = unpacked.iterdir()
    return inside


@pytest.fixture(scope="module")
def wheel(sdist):
    """The wheel, built from the source archive alone."""
    return backend("build_wheel", sdist)


def test_the_wheel_holds_every_module_and_every_file_that_they_read(wheel, tracked):
    names = set(zipfile.ZipFile(wheel).namelist())
    modules = {name for name in tracked if re.match(r"sobolev_lib/.*\.py$", name)} | {"sobolev_lib/py.typed"}
    data = {name for name in tracked if name.startswith("sobolev_lib/") and Path(name).suffix in DATA}
    records = {name.replace("book/records/", "sobolev_lib/recorded/") for name in tracked
               if re.match(r"book/records/[\w-]+\.json$", name)}
    assert modules | data | records <= names and len(records) > 5
    held = {name for name in names if ".dist-info/" not in name}
    assert held == modules | data | records, "and nothing else"
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)


def test_the_metadata_says_what_it_is(wheel):
    with zipfile.ZipFile(wheel) as archive:
        metadata = archive.read(next(name for name in archive.namelist() if name.endswith("METADATA"))).decode()
    assert f"\nVersion: {sobolev_lib.__version__}\n" in metadata and "\nRequires-Python: >=3.10\n" in metadata
    assert "\nLicense-Expression: MIT\n" in metadata and "# Sobolev Training" in metadata
    assert "\nProject-URL: Repository, https://" in metadata


def test_the_source_archive_holds_its_tests_and_no_site(sdist):
    held = {path.relative_to(sdist).as_posix() for path in sdist.rglob("*") if path.is_file()}
    assert {"README.md", "LICENSE", "CHANGELOG.md", "CITATION.cff", "pyproject.toml", "tests/conftest.py",
            "tests/test_losses.py", "tests/theory/test_interpolation.py"} <= held
    assert not [name for name in held if name.startswith(("book/assets", "tests/book", "_build", ".github"))]


@pytest.mark.slow
def test_the_readmes_example_and_the_records_work_from_the_wheel_alone(wheel, tmp_path):
    installed = tmp_path / "installed"
    zipfile.ZipFile(wheel).extractall(installed)
    script = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), flags=re.DOTALL)[0] + """
import sobolev_lib as sl
from sobolev_lib.records import load_record, records_folder
assert sl.__file__.startswith(EXPECTED) and str(records_folder()).startswith(EXPECTED)
assert load_record("seven-functions")["results"]
assert sl.atari.load_teacher("pong") and sl.widgets.Playground() and len(sl.datasets.engine_deck()) == 1056
"""
    environment = {**os.environ, "PYTHONPATH": str(installed), "OMP_NUM_THREADS": "1"}
    run = subprocess.run([sys.executable, "-W", "error", "-c", f"EXPECTED = {str(installed)!r}\n{script}"], cwd=tmp_path,
                         capture_output=True, text=True, env=environment)
    assert run.returncode == 0, run.stderr[-2000:]
