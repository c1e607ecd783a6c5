"""Widgets in a real JupyterLab and a real Notebook 7: the playground trains and Python reads what it has learned; the keyboard;
a kernel's restart."""
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request

import nbformat
import pytest

pytestmark = pytest.mark.slow                  # JupyterLab alone takes ten seconds

CELLS = ["import sobolev_lib as sl\nplayground = sl.widgets.Playground('booth', points=30, width=16, speed=100)\nplayground",
         "import json\nprint(json.dumps({'metrics': playground.metrics, 'history': playground.history}))",
         "data = playground.data\nmodel = playground.network('sobolev')\n"
         "print(len(data), ((model(data.inputs)[:, 0] - data.values) ** 2).mean().item())",
         "playground.settings = {'points': 7}\nplayground.running = True",
         "playground.running = False\nearly = sl.widgets.Playground('wave', points=5)\nearly.running = True\nearly",
         "line = lambda N: sl.widgets.line_panel([0, 1], {'true': [0, N]}, caption=f'N is {N}')\n"
         "sl.widgets.Explorer({'N': [1, 2, 5, 9]}, compute=line)",
         "import matplotlib.pyplot as plt\nfrom IPython.display import display\nfrom sobolev_lib import plotting\n"
         "from sobolev_lib.experiments.reproduction import rows\nfrom sobolev_lib.notebook import table\n"
         "from sobolev_lib.notebook.claims import claims\nplotting.style.use()\nfigure, ax = plt.subplots()\n"
         "for name in ('true', 'Regular', 'Sobolev'):\n    ax.plot([0, 1], [0, 1], label=name, **plotting.style_of(name).line())\n"
         "ax.legend()\ndisplay(table(['method', 'error'], [['*Sobolev*', '`0.5` (0.1 to 1)']], caption='What we saw.'),\n"
         "        claims(rows(['theorem-2', 'section-3-polynomials'])),\n"
         "        sl.widgets.Question('Which?', {'one': 'Yes.', 'two': 'No.'}, right='one'), sl.widgets.Wave())\n"
         "plotting.show(figure, caption='Three lines.', alt='Three straight lines that rise from zero to one.')"]
# Contrast as WCAG defines it, of what the outputs of a cell say, against the nearest ground that is painted behind it.
FAINT = """i => {
  const parts = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const light = (colour) => {
    const [r, g, b] = parts(colour).map((v) => v / 255).map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (el) => {
    for (; el; el = el.parentElement) {
      const colour = getComputedStyle(el).backgroundColor, [, , , a = 1] = parts(colour);
      if (a > 0.5) return colour;
    }
    return "rgb(255, 255, 255)";
  };
  const cell = document.querySelectorAll(".jp-Notebook .jp-CodeCell")[i];
  const says = (el) => [...el.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
  const told = [...cell.querySelectorAll(".jp-OutputArea-output *")].filter((el) => el.checkVisibility({ visibilityProperty: true })
    && el.getClientRects().length && says(el) && !el.closest("style, script, defs"));
  const faint = told.flatMap((el) => {
    const style = getComputedStyle(el), colour = el.closest("svg") ? style.fill : style.color;
    if (!colour.startsWith("rgb")) return [];
    const [a, b] = [light(colour), light(ground(el))].sort((x, y) => y - x);
    return (a + 0.05) / (b + 0.05) < 4.5 ? [`${el.outerHTML.slice(0, 120)}: ${colour} on ${ground(el)}`] : [];
  });
  return { ground: light(ground(cell.querySelector(".jp-OutputArea-output"))), told: told.length, faint };
}"""


# module, where it shows a notebook, what its toolbar says of the kernel
PROGRAMS = {"JupyterLab": ("jupyterlab", "lab/tree/try.ipynb?reset", ".jp-Notebook-ExecutionIndicator[data-status=idle]"),
            "Notebook 7": ("notebook", "notebooks/try.ipynb", ".jp-NotebookKernelStatus-fade")}


@pytest.fixture(scope="module", params=PROGRAMS)
def program(request):
    return PROGRAMS[request.param]


@pytest.fixture(scope="module")
def jupyter(tmp_path_factory, program):
    """The address of a Jupyter of this Python's, that knows nothing of the user's settings and calls nobody."""
    folder = tmp_path_factory.mktemp(program[0])
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
    command = [sys.executable, "-m", program[0], "--no-browser", "--allow-root", f"--port={port}", "--ServerApp.port_retries=0",
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
def page(chromium, jupyter):
    """A page that reaches this machine and nothing else; for each program its own, so that none still asks the other's server."""
    opened = chromium.new_page(viewport={"width": 1300, "height": 1600})
    yield opened
    opened.close()


def wait_for(address, server, log):
    for _ in range(240):
        assert server.poll() is None, log.read_text()
        try:
            urllib.request.urlopen(address, timeout=5).close()
            return
        except OSError:
            time.sleep(0.5)
    raise AssertionError(log.read_text())


def wait_for_kernel(page, jupyter, program):
    """Jupyter shows "idle" before there is a kernel, and a cell that is run then is never answered."""
    for _ in range(240):
        try:
            with urllib.request.urlopen(f"{jupyter}/api/kernels", timeout=30) as answer:
                kernels = json.load(answer)
        except OSError as error:     # the server's own error 500 while a kernel is on its way, or no answer in time
            kernels = error
        else:
            if any(kernel["connections"] and kernel["execution_state"] == "idle" for kernel in kernels):
                break
        page.wait_for_timeout(500)
    else:
        raise AssertionError(f"expected an idle kernel that the page is connected to, got {kernels}")
    page.wait_for_selector(program[2])


def run(page, i):
    """Run cell i of the notebook on show; returns it once the kernel has finished with it."""
    cell = page.locator(".jp-Notebook .jp-CodeCell").nth(i)
    cell.locator(".cm-content").click()
    page.wait_for_function("i => document.querySelectorAll('.jp-Notebook .jp-CodeCell')[i].matches('.jp-mod-active')", arg=i)
    # The prompt says [*] meanwhile. Its number does not tell: after a restart it may be the same as before.
    page.evaluate("""i => {
      const cell = document.querySelectorAll('.jp-Notebook .jp-CodeCell')[i];
      window.begun = false;
      new MutationObserver(() => { window.begun ||= cell.querySelector('.jp-InputPrompt').textContent.includes('*'); })
        .observe(cell, {subtree: true, childList: true, characterData: true}); }""", i)
    page.keyboard.press("Shift+Enter")
    page.wait_for_function("""i => window.begun && /\\[\\d+\\]/.test(
      document.querySelectorAll('.jp-Notebook .jp-CodeCell')[i].querySelector('.jp-InputPrompt').textContent)""", arg=i, timeout=90_000)
    return cell


def output(page, i):
    """What cell i prints when it is run."""
    return run(page, i).locator(".jp-OutputArea-output").inner_text()


def standing(page):
    """What Python knows of the training once that is what the page shows: the last step and report are on their way for a while."""
    for _ in range(60):
        known = json.loads(output(page, 1))
        shown = page.evaluate("({...document.querySelector('.sobolev-playground').dataset})")
        if str(known["metrics"]["step"]) == shown["step"]:
            break
        page.wait_for_timeout(500)
    return known, shown


def test_python_reads_what_the_browser_has_trained(page, jupyter, program):
    errors, requests = [], []
    page.on("request", lambda request: requests.append(request.url))
    page.goto(f"{jupyter}/{program[1]}")
    page.wait_for_selector(".jp-Notebook .jp-CodeCell .cm-content", timeout=90_000)
    wait_for_kernel(page, jupyter, program)
    page.on("pageerror", lambda error: errors.append(str(error)))       # Notebook 7 has one of its own while it starts

    run(page, 0)
    root = page.locator(".sobolev-playground")
    page.wait_for_selector(".sobolev-playground[data-step='0']", timeout=90_000)
    root.get_by_role("button", name="Play").click()
    page.wait_for_function("Number(document.querySelector('.sobolev-playground').dataset.step) >= 30")
    root.get_by_role("button", name="Pause").click()
    known, shown = standing(page)
    metrics, history = known["metrics"], known["history"]
    assert sorted(metrics) == ["regular", "sobolev", "step", "stopped"] and metrics["step"] >= 30
    assert metrics["step"] == history["steps"][-1] == int(shown["step"])
    assert len(history["errors"][1][0]) == len(history["steps"]) > 2      # the whole curve, not its beginning
    for method in ("regular", "sobolev"):
        assert metrics[method]["value_mse"] == pytest.approx(float(shown[f"{method}Error"]))
    count, training_error = output(page, 2).split()
    assert count == "30" and float(training_error) > 0

    run(page, 3)         # Python changes the settings and presses play
    page.wait_for_function("document.querySelector('.spg-caption').textContent.startsWith('7 points')")
    page.wait_for_function("Number(document.querySelector('.sobolev-playground').dataset.step) > 0")

    early = run(page, 4).locator(".sobolev-playground")     # Python has pressed play before there was anything to see
    early.get_by_role("button", name="Pause").wait_for()
    page.wait_for_function("Number([...document.querySelectorAll('.sobolev-playground')].at(-1).dataset.step) > 0")
    early.get_by_role("button", name="Pause").click()
    assert errors == []
    assert [url for url in requests if not url.startswith((jupyter, jupyter.replace("http", "ws"), "blob:", "data:"))] == []


def test_keys_move_sliders_and_no_cell_and_a_restart_is_told(page, jupyter, program):
    page.goto(f"{jupyter}/{program[1]}")
    page.wait_for_selector(".jp-Notebook .jp-CodeCell .cm-content", timeout=90_000)
    wait_for_kernel(page, jupyter, program)
    run(page, 0)
    run(page, 5)
    page.wait_for_selector(".sbx canvas", timeout=90_000)
    page.wait_for_selector(".sobolev-playground[data-step='0']", timeout=90_000)
    explorer = page.locator(".sbx").get_by_role("slider", name="N")
    playground = page.locator(".sobolev-playground input[type=range]:visible").first
    # whether a cell's toolbar has room is found out later, and has nothing to do with keys
    cells = """() => [...document.querySelectorAll('.jp-Notebook .jp-Cell')].map((cell) =>
        [...cell.classList].filter((name) => name !== 'jp-toolbar-overlap').join(' '))"""

    explorer.focus()
    before = page.evaluate(cells)
    for key, value in (("ArrowRight", "1"), ("ArrowUp", "2"), ("End", "3"), ("ArrowDown", "2"), ("ArrowLeft", "1"), ("Home", "0")):
        page.keyboard.press(key)
        assert explorer.input_value() == value
    page.keyboard.press("a")         # adds a cell where Jupyter hears of it
    assert page.evaluate(cells) == before
    playground.focus()
    before = page.evaluate(cells)
    page.keyboard.press("Home")
    low = playground.input_value()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowUp")
    assert int(playground.input_value()) == int(low) + 1
    page.keyboard.press("d")         # twice, it deletes the cell
    page.keyboard.press("d")
    assert page.evaluate(cells) == before

    page.wait_for_function("document.querySelector('.sbx-note').textContent === ''")
    page.locator(".jp-NotebookPanel-toolbar [data-jp-item-name=restart] :is(button, jp-button)").first.click()
    page.locator(".jp-Dialog .jp-mod-accept").click()
    page.get_by_text("The kernel was restarted: run this cell again.").first.wait_for(timeout=90_000)
    assert page.get_by_text("The kernel was restarted: run this cell again.").count() == 2      # each widget says so
    assert page.locator(".sbx-note").inner_text() == ""
    wait_for_kernel(page, jupyter, program)
    run(page, 0)
    run(page, 5)
    page.wait_for_selector(".sbx canvas")
    page.wait_for_function("!document.body.innerText.includes('The kernel was restarted')")


def test_what_the_notebook_kit_shows_is_readable_in_both_themes(page, jupyter, program):
    if program is not PROGRAMS["JupyterLab"]:
        pytest.skip("Notebook 7 has the same themes")
    page.goto(f"{jupyter}/{program[1]}")
    page.wait_for_selector(".jp-Notebook .jp-CodeCell .cm-content", timeout=90_000)
    wait_for_kernel(page, jupyter, program)
    run(page, 0)
    for theme, dark in (("JupyterLab Dark", True), ("JupyterLab Light", False)):
        page.get_by_role("menuitem", name="Settings", exact=True).click()
        for item in ("Theme", theme):
            page.locator(".lm-Menu-itemLabel").get_by_text(item, exact=True).click()
        page.wait_for_function("theme => document.body.dataset.jpThemeName === theme", arg=theme)
        cell = run(page, 6)      # anew, as what was shown before follows the theme as well
        cell.locator(".swv-point").first.wait_for(timeout=90_000)
        page.wait_for_timeout(1000)     # the theme fades
        seen = page.evaluate(FAINT, 6)
        assert seen["told"] > 40 and (seen["ground"] < 0.1) == dark
        assert seen["faint"] == []
