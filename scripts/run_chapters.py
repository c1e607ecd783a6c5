"""Run the chapters as a reader does in Jupyter or Colab, without building a book.

    python scripts/run_chapters.py [NAME...]    all of them, or those named; fails if a cell of any of them does
"""

import argparse
import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

BOOK = Path(__file__).resolve().parent.parent / "book"
TIMEOUT = 1200  # seconds for one cell, on a slow machine


def run(path):
    """Run a notebook in a fresh kernel; return None, or what went wrong."""
    notebook = nbformat.read(path, as_version=4)
    try:
        NotebookClient(notebook, timeout=TIMEOUT, kernel_name="python3",
                       resources={"metadata": {"path": str(path.parent)}}).execute()
    except CellExecutionError as error:
        return str(error)
    return None


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
