"""Run the chapters as a reader does in Jupyter or Colab, without building a book.

    python scripts/run_chapters.py [NAME...]    all of them, or those named

Fails if a cell of any of them does, and if a reader would see a warning: what goes wrong while a result is *shown* ends
no cell, and stands in its outputs only.
"""

import argparse
import os
import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

BOOK = Path(__file__).resolve().parent.parent / "book"
TIMEOUT = 1200  # seconds for one cell, on a slow machine
# Without progress bars, and what the kernel's debugger says of itself, nothing belongs on stderr.
QUIET = {"TQDM_DISABLE": "1", "PYDEVD_DISABLE_FILE_VALIDATION": "1"}


def run(path):
    """Run a notebook in a fresh kernel; return None, or what went wrong."""
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(notebook, timeout=TIMEOUT, kernel_name="python3", resources={"metadata": {"path": str(path.parent)}})
    try:
        client.execute(env={**os.environ, **QUIET})
    except CellExecutionError as error:
        return str(error)
    return "\n".join(complaints(notebook)) or None


def complaints(notebook):
    """Return the errors and warnings among a notebook's outputs, each with its cell."""
    return [f"{cell.id}: {output.get('text') or output.get('evalue')}"
            for cell in notebook.cells for output in cell.get("outputs", [])
            if output.output_type == "error" or output.get("name") == "stderr"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="chapters, as their files are called, without the ending")
    names = parser.parse_args().names or [path.stem for path in sorted(BOOK.glob("*.ipynb"))]
    failed = []
    for name in names:
        start = time.monotonic()
        trouble = run(BOOK / f"{name}.ipynb")
        print(f"{name}: {'failed' if trouble else 'ran'} in {time.monotonic() - start:.0f} s", flush=True)
        if trouble:
            failed.append(name)
            print(trouble, flush=True)
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
