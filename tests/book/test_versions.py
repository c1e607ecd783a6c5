"""The published site of a throwaway repository with made-up releases, and no network."""

import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import offline
import pytest
import versions
import yaml
from pages import ROOT, served

PAGE = ('<!DOCTYPE html><html><head><meta charset="utf-8"></head><body><article class="bd-article"><h1>{}</h1></article>'
        '</body></html>')
ADDRESS = "https://someone.github.io/their-book/"


def made_site(folder, text, pages):
    """A site of the book's shape."""
    (folder / "book").mkdir(parents=True)
    (folder / "index.html").write_text('<meta http-equiv="Refresh" content="0; url=book/welcome.html" />')
    for page in pages:
        (folder / "book" / f"{page}.html").write_text(PAGE.format(f"{page}, {text}"))
    return folder


@pytest.fixture
def zips(tmp_path):
    """The offline books of four releases; one page was given up after 0.2."""
    for version in ("0.2.0", "0.2.1", "0.10.0", "0.9.3"):
        pages = ["welcome", "gone"] if version.startswith("0.2.") else ["welcome"]
        site = made_site(tmp_path / f"site-{version}", version, pages)
        offline.pack(site, tmp_path / "zips" / f"sobolev-training-{version}.zip")
    return tmp_path / "zips"


@pytest.fixture
def published(tmp_path, zips):
    versions.assemble(made_site(tmp_path / "html", "main", ["welcome"]), zips, tmp_path / "out", ADDRESS)
    return tmp_path / "out"


def test_each_version_has_a_folder_with_its_last_patch(published):
    assert {path.name for path in published.iterdir()} == {"index.html", "latest", "v0.2", "v0.9", "v0.10"}
    assert "welcome, main" in (published / "latest/book/welcome.html").read_text()
    assert "welcome, 0.2.1" in (published / "v0.2/book/welcome.html").read_text()
    assert (published / "v0.2/book/gone.html").exists() and not (published / "latest/book/gone.html").exists()


def test_the_root_leads_to_the_newest_and_lists_all(published):
    root = (published / "index.html").read_text()
    assert 'content="0; url=latest/index.html"' in root
    links = re.findall(r'href="([^"]+\.html)"', root)
    assert links == [f"{version}/index.html" for version in ("latest", "v0.10", "v0.9", "v0.2")]
    assert all((published / link).exists() for link in links)


def test_only_pages_of_releases_say_what_they_are(published):
    assert "You read version" not in (published / "latest/book/welcome.html").read_text()
    for page, link in (("welcome", "../../latest/book/welcome.html"), ("gone", "../../latest/index.html")):
        text = (published / f"v0.2/book/{page}.html").read_text()
        assert '<article class="bd-article"><p role="note"' in text
        assert "version 0.2 of" in text and f'href="{link}"' in text
        assert (published / "v0.2/book" / link).resolve().exists()
    assert (published / "v0.2/index.html").read_text().startswith("<meta http-equiv"), "what only leads on says nothing"


def test_the_newest_is_the_one_to_be_found(published):
    for version in ("latest", "v0.2"):
        head = (published / version / "book/welcome.html").read_text().split("</head>")[0]
        assert f'<link rel="canonical" href="{ADDRESS}latest/book/welcome.html">' in head
    assert "canonical" not in (published / "v0.2/book/gone.html").read_text()


def test_without_an_address_nothing_is_canonical(tmp_path, zips):
    versions.assemble(made_site(tmp_path / "html", "main", ["welcome"]), zips, tmp_path / "out", None)
    assert not [path for path in (tmp_path / "out").rglob("*.html") if "canonical" in path.read_text()]


@pytest.mark.parametrize("scheme", ["http", pytest.param("file", marks=pytest.mark.slow)])
def test_a_reader_of_an_old_version_comes_to_the_newest(published, chromium, scheme):
    with served(published) as address:
        page = chromium.new_page()
        page.goto(f"{address if scheme == 'http' else published.as_uri()}/index.html")
        page.wait_for_url("**/latest/book/welcome.html")
        page.goto(f"{address if scheme == 'http' else published.as_uri()}/v0.2/book/welcome.html")
        page.get_by_role("note").get_by_role("link").click()
        page.wait_for_url("**/latest/book/welcome.html")
        assert page.inner_text("h1") == "welcome, main"
        page.close()


@pytest.mark.parametrize("entry", ["../out.html", "sobolev-training-1.0.0/../../out.html", "/out.html", "other/index.html"])
def test_a_zip_that_writes_elsewhere_is_refused(tmp_path, entry):
    path = tmp_path / "sobolev-training-1.0.0.zip"
    with zipfile.ZipFile(path, "w") as packed:
        packed.writestr(entry, "")
    with pytest.raises(ValueError, match="expected files in sobolev-training-1.0.0/"):
        versions.unpack(path, tmp_path / "to")
    assert not (tmp_path / "to").exists() and not list(tmp_path.rglob("out.html"))


def broken(path, how):
    """Spoil an offline book, or put something else in its place."""
    whole = path.read_bytes()
    if how == "another shape":
        with zipfile.ZipFile(path, "w") as packed:
            packed.writestr(f"{path.stem}/book/welcome.html", "")
    elif how == "locked":                                  # the flag that says: encrypted
        path.write_bytes(whole.replace(b"PK\x03\x04\x14\x00\x00\x00", b"PK\x03\x04\x14\x00\x01\x00")
                         .replace(b"PK\x01\x02\x14\x03\x14\x00\x00\x00", b"PK\x01\x02\x14\x03\x14\x00\x01\x00"))
    else:
        path.write_bytes({"cut": whole[:-200], "empty": b"", "no zip": b"a" * 500,
                          "changed": whole.replace(b"PK\x01\x02", b"PK\x01\x03", 1),
                          "damaged": whole[:60] + bytes(40) + whole[100:]}[how])


@pytest.mark.parametrize("how", ["cut", "empty", "no zip", "changed", "damaged", "locked", "another shape"])
def test_a_broken_zip_is_named_and_nothing_is_written(tmp_path, zips, how):
    broken(zips / "sobolev-training-0.9.3.zip", how)
    site = made_site(tmp_path / "html", "main", ["welcome"])
    before = {path.name for path in tmp_path.iterdir()}
    with pytest.raises(ValueError, match=r"^expected .*sobolev-training-0\.9\.3\.zip"):
        versions.assemble(site, zips, tmp_path / "out", None)
    assert {path.name for path in tmp_path.iterdir()} == before


def test_a_site_that_is_there_is_left_as_it_is(tmp_path, zips):
    site, out = made_site(tmp_path / "html", "main", ["welcome"]), tmp_path / "out"
    (tmp_path / "out.partial").mkdir()                     # a run that was killed has left it
    versions.assemble(site, zips, out, None)
    (out / "own.txt").write_text("mine")
    command = [sys.executable, ROOT / "scripts" / "versions.py", site, zips, out]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1 and done.stderr == f"expected a folder that is not there yet, got {out}\n"
    assert (out / "own.txt").read_text() == "mine" and not (tmp_path / "out.partial").exists()


def test_arguments_that_are_no_folders_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="expected a folder with the releases' zips, got .*nowhere"):
        versions.assemble(made_site(tmp_path / "html", "main", ["welcome"]), tmp_path / "nowhere", tmp_path / "out", None)
    done = subprocess.run([sys.executable, ROOT / "scripts" / "versions.py", "one"], capture_output=True, text=True)
    assert done.returncode == 1 and "python scripts/versions.py _build/html ZIPS OUT" in done.stderr


def test_a_foreign_zip_and_a_missing_site_are_refused(tmp_path):
    (tmp_path / "book.zip").write_bytes(b"")
    with pytest.raises(ValueError, match="expected names such as sobolev-training-1.2.3.zip, got .*book.zip"):
        versions.releases(tmp_path)
    with pytest.raises(FileNotFoundError, match="run make book"):
        versions.assemble(tmp_path, tmp_path, tmp_path / "out", None)


GH = """#!/bin/bash
set -e
case "$1 $2" in
  "release list") git tag ;;
  "release download") cp "$RELEASED/sobolev-training-${3#v}.zip" "$7" ;;
esac
"""


def test_the_workflow_publishes_what_is_tagged(tmp_path, zips):
    clone, tools = tmp_path / "clone", tmp_path / "tools"
    (clone / "scripts").mkdir(parents=True)
    tools.mkdir()
    for name in ("scripts/versions.py", "scripts/repository.py", "pyproject.toml"):
        (clone / name).write_text((ROOT / name).read_text())
    made_site(clone / "_build" / "html", "main", ["welcome"])
    (tools / "gh").write_text(GH)
    (tools / "gh").chmod(0o755)
    for command in (["init", "--quiet"], ["remote", "add", "origin", "git@github.com:someone/their-book.git"],
                    ["-c", "user.name=A", "-c", "user.email=a@example.org", "commit", "--quiet", "--allow-empty", "-m", "A"],
                    ["tag", "v0.2.1"], ["tag", "v0.10.0"]):
        subprocess.run(["git", *command], cwd=clone, check=True)
    steps = yaml.safe_load((ROOT / ".github" / "workflows" / "pages.yml").read_text())["jobs"]["build"]["steps"]
    paths = os.pathsep.join([str(tools), str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**os.environ, "PATH": paths, "RELEASED": str(zips)}
    for step in steps:
        if "run" in step and step["run"] != "make book":
            subprocess.run(["bash", "-e", "-c", step["run"]], cwd=clone, check=True, env=environment)
    published = clone / steps[-1]["with"]["path"]
    assert {path.name for path in published.iterdir()} == {"index.html", "latest", "v0.2", "v0.10"}
    assert f'href="{ADDRESS}latest/book/welcome.html"' in (published / "v0.2/book/welcome.html").read_text()
