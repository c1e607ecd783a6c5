"""The playground in a real JupyterLab: it renders, trains, and Python reads what it has learned."""
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request

import browser as browser_finder   # scripts/browser.py
import nbformat
import pytest
from playwright.sync_api import sync_playwright
from test_widgets_browser import ARGUMENTS

CELLS = ["import sobolev_lib as sl\nplayground = sl.widgets.Playground('booth', points=30, width=16, speed=100)\nplayground",
         "print(sorted(playground.metrics), playground.metrics['step'] > 0, playground.metrics['sobolev'])",
         "print(playground.metrics['step'], playground.history['steps'][-1], len(playground.history['errors'][1][0]))",
         "data = playground.data\nmodel = playground.network('sobolev')\n"
         "print(len(data), ((model(data.inputs)[:, 0] - data.values) ** 2).mean().item())",
         "playground.settings = {'points': 7}\nplayground.running = True",
         "playground.running = False\nearly = sl.widgets.Playground('wave', points=5)\nearly.running = True\nearly"]


@pytest.fixture(scope="module")
def jupyterlab(tmp_path_factory):
    """The address of a JupyterLab of this Python's, that knows nothing of the user's settings and calls nobody."""
    folder = tmp_path_factory.mktemp("jupyterlab")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    home = {name: str(folder / name.lower()) for name in ("HOME", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR",
                                                          "IPYTHONDIR", "JUPYTERLAB_SETTINGS_DIR", "JUPYTERLAB_WORKSPACES_DIR")}
    environment = {**os.environ, **home, "OMP_NUM_THREADS": "1"}
    environment.pop("SOBOLEV_BOOK_BUILD", None)
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in CELLS])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    work = folder / "work"
    work.mkdir()
    nbformat.write(notebook, work / "try.ipynb")
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", f"--port={port}", "--ServerApp.port_retries=0",
               "--IdentityProvider.token=", f"--ServerApp.root_dir={work}", "--LabApp.news_url=", "--LabApp.check_for_updates_class="
               "jupyterlab.handlers.announcements.NeverCheckForUpdate"]
    with open(folder / "log.txt", "w") as log:
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=work, start_new_session=True)
        try:
            wait_for(f"http://127.0.0.1:{port}/api", server, folder / "log.txt")
            yield f"http://127.0.0.1:{port}"
        finally:
            os.killpg(server.pid, signal.SIGTERM)
            server.wait(30)


@pytest.fixture(scope="module")
def page():
    """A page that reaches this machine and nothing else."""
    program = browser_finder.find()
    if program is None:
        pytest.fail(browser_finder.MISSING)
    arguments = [one + ", EXCLUDE 127.0.0.1" if "host-resolver" in one else one for one in ARGUMENTS]
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=program, args=arguments)
        yield running.new_page(viewport={"width": 1300, "height": 1600})
        running.close()


def wait_for(address, server, log):
    for _ in range(240):
        assert server.poll() is None, log.read_text()
        try:
            urllib.request.urlopen(address, timeout=5).close()
            return
        except OSError:
            time.sleep(0.5)
    raise AssertionError(log.read_text())


def wait_for_kernel(page, jupyterlab):
    """JupyterLab shows "idle" before there is a kernel, and a cell that is run then is never answered."""
    for _ in range(240):
        with urllib.request.urlopen(f"{jupyterlab}/api/kernels", timeout=30) as answer:
            kernels = json.load(answer)
        if any(kernel["connections"] and kernel["execution_state"] == "idle" for kernel in kernels):
            break
        page.wait_for_timeout(500)
    else:
        raise AssertionError(f"expected an idle kernel that the page is connected to, got {kernels}")
    page.wait_for_selector(".jp-Notebook-ExecutionIndicator[data-status=idle]")


def run(page, i):
    """Run cell i of the notebook on show; returns it once the kernel has finished with it."""
    cell = page.locator(".jp-Notebook .jp-CodeCell").nth(i)
    cell.locator(".cm-content").click()
    page.wait_for_function("i => document.querySelectorAll('.jp-Notebook .jp-CodeCell')[i].matches('.jp-mod-active')", arg=i)
    page.keyboard.press("Shift+Enter")
    page.wait_for_function("""i => /\\[\\d+\\]/.test(document.querySelectorAll('.jp-Notebook .jp-CodeCell')[i]
                              .querySelector('.jp-InputPrompt').textContent)""", arg=i, timeout=90_000)
    return cell


def test_python_reads_what_the_browser_has_trained(page, jupyterlab):
    errors, requests = [], []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    page.goto(f"{jupyterlab}/lab/tree/try.ipynb?reset")
    page.wait_for_selector(".jp-Notebook .jp-CodeCell .cm-content", timeout=90_000)
    wait_for_kernel(page, jupyterlab)

    run(page, 0)
    root = page.locator(".sobolev-playground")
    page.wait_for_selector(".sobolev-playground[data-step='0']", timeout=90_000)
    root.get_by_role("button", name="Play").click()
    page.wait_for_function("Number(document.querySelector('.sobolev-playground').dataset.step) >= 30")
    root.get_by_role("button", name="Pause").click()
    shown = None
    while shown != (shown := page.evaluate("({...document.querySelector('.sobolev-playground').dataset})")):
        page.wait_for_timeout(1000)  # a step on its way is shown, and the last report goes through the kernel

    text = run(page, 1).locator(".jp-OutputArea-output").inner_text()
    assert text.startswith("['regular', 'sobolev', 'step', 'stopped'] True {'value_mse': ")
    assert float(text.split("'value_mse': ")[1].split(",")[0]) == pytest.approx(float(shown["sobolevError"]))
    step, last, errors_known = map(int, run(page, 2).locator(".jp-OutputArea-output").inner_text().split())
    assert step == last == int(shown["step"]) and errors_known > 2      # the whole curve, not its beginning
    count, training_error = run(page, 3).locator(".jp-OutputArea-output").inner_text().split()
    assert count == "30" and float(training_error) > 0

    run(page, 4)         # Python changes the settings and presses play
    page.wait_for_function("document.querySelector('.spg-caption').textContent.startsWith('7 points')")
    page.wait_for_function("Number(document.querySelector('.sobolev-playground').dataset.step) > 0")

    early = run(page, 5).locator(".sobolev-playground")     # Python has pressed play before there was anything to see
    early.get_by_role("button", name="Pause").wait_for()
    page.wait_for_function("Number([...document.querySelectorAll('.sobolev-playground')].at(-1).dataset.step) > 0")
    early.get_by_role("button", name="Pause").click()
    assert errors == []
    assert [url for url in requests if not url.startswith((jupyterlab, jupyterlab.replace("http", "ws"), "blob:", "data:"))] == []
