"""Execute chapters: `python scripts/chapters.py CACHE SECONDS NOTEBOOK...`, with so many seconds for a cell.

What is executed lands in the cache from which Jupyter Book takes it. Alone, it executes one chapter after another; here it is one a
core, each in a kernel of its own. To load PyTorch anew, and to let go of it, takes longer than the cells of most chapters: kernels
are forked from a process that has loaded it. The library itself each chapter imports as it would for a reader. A chapter that fails
here Jupyter Book executes again, and says why.
"""

import asyncio
import concurrent.futures
import multiprocessing
import os
import sys
import threading
import time
from pathlib import Path

import nbformat
from jupyter_cache import get_cache
from jupyter_cache.base import CacheBundleIn
from jupyter_client import AsyncKernelManager
from jupyter_client.provisioning import LocalProvisioner
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError

LOADED = ["anywidget", "ipykernel.ipkernel", "ipykernel.kernelapp", "ipykernel.zmqshell", "matplotlib.pyplot", "matplotlib_inline.backend_inline",
          "plotly.graph_objects", "scipy.stats", "sklearn.base", "torch._dynamo", "tqdm.auto"]
# On Windows nothing is forked: there each kernel loads all of it.
FORKS = multiprocessing.get_context("forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn")


def serve(connection, folder):
    """Be the kernel that a connection file describes, until it is told to shut down."""
    from ipykernel.kernelapp import IPKernelApp
    from tqdm import tqdm

    os.chdir(folder)
    tqdm.set_lock(threading.RLock())  # its own is one of many processes, and would outlive this
    ends_with = [] if os.name == "nt" else [f"--IPKernelApp.parent_handle={os.getppid()}"]
    IPKernelApp.launch_instance(argv=["-f", connection, "--quiet", *ends_with])


class Forked(LocalProvisioner):
    """A kernel in a process that is forked."""

    async def launch_kernel(self, cmd, *, cwd, **kwargs):
        self.process = FORKS.Process(target=serve, args=(cmd[cmd.index("-f") + 1], cwd))
        self.process.start()
        return self.connection_info

    async def poll(self):
        return self.process.exitcode if self.process else 0

    async def wait(self):
        while self.process.exitcode is None:
            await asyncio.sleep(0.05)
        self.process = None

    async def send_signal(self, signum):
        os.kill(self.process.pid, signum)

    async def kill(self, restart=False):
        self.process.kill()

    async def terminate(self, restart=False):
        self.process.terminate()


class KernelManager(AsyncKernelManager):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.provisioner = Forked(kernel_spec=self.kernel_spec, parent=self)


def execute(path, timeout):
    """The chapter's path, the executed notebook, or None if it failed, and the seconds that took."""
    start, notebook = time.monotonic(), nbformat.read(path, as_version=4)
    client = NotebookClient(notebook, timeout=timeout, kernel_manager_class=KernelManager, record_timing=False,
                            resources={"metadata": {"path": str(path.parent)}})
    try:
        client.execute()
    except (CellExecutionError, CellTimeoutError, RuntimeError):  # the last where a kernel dies, or does not come up
        notebook = None
    return path, notebook, time.monotonic() - start


def known(cache, path):
    try:
        return cache.match_cache_file(path) is not None
    except KeyError:
        return False


def main(folder, timeout, paths):
    os.environ["MPLBACKEND"] = "module://matplotlib_inline.backend_inline"  # as a kernel sets it before anything is loaded
    FORKS.set_forkserver_preload(LOADED)
    cache = get_cache(folder)
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for done in concurrent.futures.as_completed([pool.submit(execute, path, timeout) for path in paths if not known(cache, path)]):
            path, notebook, seconds = done.result()
            print(f"{path.stem}: {'executed' if notebook else 'failed'} in {seconds:.0f} s", flush=True)
            if notebook:
                cache.cache_notebook_bundle(CacheBundleIn(notebook, str(path), data={"execution_seconds": seconds}), overwrite=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), [Path(name) for name in sys.argv[3:]])
