"""Execution of chapters (scripts/chapters.py): what lands in the cache of Jupyter Book, and what does not."""

import subprocess
import sys

import chapters
import nbformat
from jupyter_cache import get_cache
from pages import ROOT

# With nothing loaded beforehand: that takes seconds.
RUN = "import sys, chapters; chapters.LOADED = []; chapters.main(sys.argv[1], 2, [chapters.Path(name) for name in sys.argv[2:]])"


def run(*arguments):
    return subprocess.run([sys.executable, "-c", RUN, *arguments], cwd=ROOT / "scripts", capture_output=True, text=True)


def chapter(path, *cells):
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    nbformat.write(notebook, path)
    return path


def test_each_has_a_kernel_of_its_own_and_what_fails_is_left_to_jupyter_book(tmp_path):
    good = [chapter(tmp_path / f"{name}.ipynb", f"import os, pathlib\n{name} = pathlib.Path.cwd().name",
                    "sorted({'one', 'two'} & {*globals()}), os.environ['MPLBACKEND']", "os.getpid()") for name in ("one", "two")]
    bad = [chapter(tmp_path / "error.ipynb", "1 / 0"), chapter(tmp_path / "slow.ipynb", "import time\ntime.sleep(60)"),
           chapter(tmp_path / "dead.ipynb", "import os\nos._exit(1)")]
    folder = tmp_path / "cache"

    first = run(folder, *good, *bad)
    assert (first.returncode, first.stderr) == (0, "")
    assert sorted(line.split(" in ")[0] for line in first.stdout.splitlines()) == [
        "dead: failed", "error: failed", "one: executed", "slow: failed", "two: executed"]
    cache = get_cache(folder)
    assert len(cache.list_cache_records()) == 2
    executed = [cache.merge_match_into_file(path)[1] for path in good]
    for notebook, name in zip(executed, ("one", "two")):
        assert [cell.execution_count for cell in notebook.cells] == [1, 2, 3]
        assert notebook.cells[1].outputs[0].data["text/plain"] == f"(['{name}'], 'module://matplotlib_inline.backend_inline')"
    assert len({notebook.cells[2].outputs[0].data["text/plain"] for notebook in executed}) == 2

    assert run(folder, *good).stdout == ""                  # nothing has changed


def test_the_library_is_imported_by_chapters_themselves():
    """What a chapter forgets to import would be missed on a reader's machine only."""
    assert [name for name in chapters.LOADED if name.startswith("sobolev_lib")] == []
