"""Processes of their own that begin with PyTorch in place: forks of a clean process, which alone has to import it."""
import multiprocessing
import os
import runpy
import sys
from pathlib import Path

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["sobolev_lib.experiments.__main__", "sobolev_lib.experiments.decoupled_parts",
                                "sobolev_lib.synthetic_gradients.__main__",
                                "torch._dynamo",           # which an optimiser's first step imports
                                "matplotlib.pyplot"])


def fork(function, *arguments, output, **environment):
    """Begin ``function(*arguments)`` in a process of its own; what it prints, on either stream, goes to the file ``output``.

    The function must be importable by its name, from a module that is no test: the process knows nothing of this one.
    """
    process = CONTEXT.Process(target=_work, args=(function, arguments, str(output), environment), daemon=True)
    process.start()
    return process


def run_script(path, *arguments):
    """What ``python path arguments`` does."""
    sys.argv, sys.path[:0] = [str(path), *map(str, arguments)], [str(Path(path).parent)]
    runpy.run_path(str(path), run_name="__main__")


def _work(function, arguments, output, environment):
    os.environ.update(environment)
    file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(file, 1)
    os.dup2(file, 2)
    function(*arguments)
