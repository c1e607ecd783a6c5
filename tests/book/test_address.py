"""The site of a repository with a made-up remote, and of one without: two pages of it, built from nothing."""

import json
import os
import shutil
import subprocess
import sys

import pytest
from bs4 import BeautifulSoup
from pages import ROOT

pytestmark = [pytest.mark.timeout(600), pytest.mark.slow]

PAGES = ("welcome", "about")


@pytest.fixture(scope="module")
def throwaway(tmp_path_factory):
    """A copy of what is committed, its tests left out, as a repository of its own; its welcome has the install cell only."""
    folder = tmp_path_factory.mktemp("throwaway")
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in listed.splitlines():
        if not name.startswith(("tests/", "benchmarks/")):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    welcome = folder / "book" / "welcome.ipynb"
    notebook = json.loads(welcome.read_text())
    install = next(cell for cell in notebook["cells"] if cell["cell_type"] == "code")
    title = {"cell_type": "markdown", "id": "title", "metadata": {}, "source": "# Welcome"}
    welcome.write_text(json.dumps({**notebook, "cells": [title, install]}))
    subprocess.run(["git", "init", "--quiet"], cwd=folder, check=True)
    return folder


def built(folder):
    """Build the pages; returns the markup of each, and the notebook that the site offers."""
    environment = dict(os.environ, PYTHONPATH=str(folder))
    command = [sys.executable, "scripts/build_book.py", *PAGES]
    run = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environment)
    assert run.returncode == 0, run.stdout[-2000:] + run.stderr[-2000:]
    html = folder / "_build" / "html"
    pages = [BeautifulSoup((html / "book" / f"{page}.html").read_text(), "html.parser") for page in PAGES]
    assert [path.name for path in (html / "_sources").rglob("*.*")] == ["welcome.ipynb"]
    return *pages, (html / "_sources" / "book" / "welcome.ipynb").read_text()


def outside(markup):
    """The links to where a repository lives."""
    return [tag["href"] for tag in markup.find_all("a", href=True) if "github" in tag["href"]]


def test_without_an_address_then_with_one(throwaway):
    welcome, about, notebook = built(throwaway)
    assert outside(welcome) == outside(about) == []
    assert "Report a mistake" not in welcome.get_text() and "Colab" not in welcome.select_one(".sl-run").get_text()
    assert "github" not in welcome.select_one(".sl-setup").get_text() and "github" not in notebook
    assert "git clone" not in about.get_text() and "make book" in about.get_text()
    assert welcome.select("a[download]")

    subprocess.run(["git", "remote", "add", "origin", "git@github.com:someone/their-book.git"], cwd=throwaway, check=True)
    welcome, about, notebook = built(throwaway)
    address = "https://github.com/someone/their-book"
    colab = "https://colab.research.google.com/github/someone/their-book/blob/main/book/welcome.ipynb"
    assert outside(welcome) == [address, colab, address, f"{address}/issues/new?title=Issue%20on%20page%20book/welcome"]
    assert f'repository = "{address}"' in welcome.select_one(".sl-setup pre").get_text()
    assert f'\\"{address}\\"' in notebook
    assert f"git clone {address}\ncd their-book\n" in about.get_text()
    assert "OWNER" not in welcome.get_text() + about.get_text() + notebook
