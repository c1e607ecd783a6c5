"""Processes of their own that begin with PyTorch in place: forks of a clean process, which alone has to import it."""
import multiprocessing
import os
import runpy
import signal
import socket
import sys
import time
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


def fork_group(function, *arguments, output, world=2):
    """``function(*arguments)`` in processes of one group, with what torchrun would set; each prints to ``output<rank>``."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    return [fork(function, *arguments, output=output / f"output{rank}", RANK=str(rank), LOCAL_RANK=str(rank),
                 WORLD_SIZE=str(world), MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port)) for rank in range(world)]


def run_script(path, *arguments):
    """What ``python path arguments`` does."""
    sys.argv, sys.path[:0] = [str(path), *map(str, arguments)], [str(Path(path).parent)]
    runpy.run_path(str(path), run_name="__main__")


def kill_at(process, step, output):
    """Kill a process, with no warning, once it has printed that step."""
    until, printed = time.monotonic() + 250, ""
    while not any(line.isdigit() and int(line) >= step for line in printed.split("\n")[:-1]):    # the last may be cut
        assert process.is_alive() and time.monotonic() < until, printed
        time.sleep(0.01)
        printed = output.read_text() if output.exists() else ""
    process.kill()
    process.join()
    assert process.exitcode == -signal.SIGKILL


def run_code(code, *arguments):
    """What ``python -c code arguments`` does."""
    sys.argv = ["-c", *map(str, arguments)]
    exec(code, {"__name__": "__main__"})


def _work(function, arguments, output, environment):
    os.environ.update(environment)
    file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(file, 1)
    os.dup2(file, 2)
    function(*arguments)
