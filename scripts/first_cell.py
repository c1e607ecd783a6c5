"""Run the first cell of a chapter as a reader in Colab does, in the Python that runs this, where the library is missing.

Fails if the cell fails, shows more than one line, changes a package that is there, or installs another than the book's own
and those that packages there lack. The library is taken from this repository's last commit instead of its address:
``git+file://`` for ``git+https://``.
"""

import os
import re
import subprocess
import sys
import tempfile
import time
from importlib import metadata, util
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from run_chapters import QUIET
from sync_repository import install_cell

ROOT = Path(__file__).resolve().parent.parent
SECONDS = 600                                              # for a machine without a free core; Colab takes a few
LIBRARY = "sobolev_lib"


def installed():
    """Return {name: version} of what is there now."""
    return {package.metadata["Name"]: package.version for package in metadata.distributions()}


def git(*arguments):
    return subprocess.run(["git", "-C", ROOT, *arguments], capture_output=True, text=True, check=True).stdout.strip()


def lacking():
    """Return the names of what packages here need and do not find: pip brings it at the next call. In Colab that is jedi."""
    told = subprocess.run([sys.executable, "-m", "pip", "check"], capture_output=True, text=True).stdout
    return {*re.findall(r" requires ([\w.-]+), which is not installed", told)}


def shown(notebook):
    """Return the lines that a reader sees below the notebook's cells."""
    outputs = [output for cell in notebook.cells for output in cell.outputs]
    return [line for output in outputs for line in output.get("text", output.get("evalue", "")).splitlines() if line.strip()]


def main():
    if util.find_spec(LIBRARY):
        sys.exit(f"expected a Python without {LIBRARY}, got {sys.prefix}, which has it")
    if git("rev-parse", "--is-shallow-repository") == "true":    # git would fetch from it for ever
        sys.exit("expected a whole clone, got a shallow one: git fetch --unshallow")
    before, allowed = installed(), {LIBRARY, *lacking()}
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(install_cell(ROOT.as_uri()))])
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | QUIET
    environment["PIP_CONFIG_FILE"] = os.devnull            # settings of this machine's pip are none of Colab's
    with tempfile.TemporaryDirectory() as empty:           # in a folder with the library in it, it would be found
        client = NotebookClient(notebook, timeout=SECONDS, kernel_name="python3", resources={"metadata": {"path": empty}})
        start = time.monotonic()
        client.execute(env=environment)
        seconds = time.monotonic() - start
    after, lines = installed(), shown(notebook)
    changed = {name: after.get(name) for name in {*before, *after} if before.get(name) != after.get(name)}
    if len(lines) > 1:
        sys.exit("\n".join(["expected at most one line, got:", *lines]))
    if LIBRARY not in changed or {*changed} - allowed or {*changed} & {*before}:
        sys.exit(f"expected {LIBRARY} to be installed, and nothing else that was not lacking, got {changed}")
    print(f"The first cell took {seconds:.0f} s, installed {', '.join(sorted(changed))}, and said: {lines}")


if __name__ == "__main__":
    main()
