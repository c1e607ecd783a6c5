"""The devices and the browser that tests run on, and how to run tests where little else is installed."""
import gc
import json
import os
import re
from pathlib import Path

import pytest

# PyTorch is imported where it is needed: the process that only hands tests out to others need not wait for it
USES_DEVICE = re.compile(r"^ *def \w+\((?:[^)]*\W)?device[,)]", re.MULTILINE)


NEED_A_BROWSER = {"chromium", "jupyter", "site"}


def page_of(item):
    """The page of the book that a test in a browser is about, if it is about one."""
    of_a_page = {"site", "page"} <= {*getattr(item, "fixturenames", ())}
    return item.callspec.params.get("page") if of_a_page and hasattr(item, "callspec") else None


def pytest_itemcollected(item):
    """Mark as ``browser`` what asks for one, before ``-m`` chooses; `make test` looks for them in two folders only."""
    if NEED_A_BROWSER & {*getattr(item, "fixturenames", ())}:
        if item.path.parent.name not in ("book", "widgets"):
            raise pytest.UsageError(f"{item.nodeid}: a test in the browser belongs in tests/book or tests/widgets")
        item.add_marker("browser")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """All files, then page by page, as the tests of a page share its visits. With ``--dist worksteal`` each process takes a
    stretch of this order, and who has done takes of what is left of another's, so that few pages are visited twice."""
    items.sort(key=lambda item: page_of(item) or "")


def pytest_collection_finish():
    """What was imported and collected lives to the end: the garbage collector need not look through it again and again, nor
    as often as it does: a graph of tensors is hundreds of objects."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000)


def pytest_generate_tests(metafunc):
    """What asks for a device runs on each that there is."""
    if "device" in metafunc.fixturenames:
        import torch

        devices = ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]
        metafunc.parametrize("device", [pytest.param(device, marks=pytest.mark.device) for device in devices], indirect=True)


@pytest.fixture
def device(request, monkeypatch):
    """Each device there is. On a GPU convolutions are exact to float32's rounding, and the same at each call."""
    import torch

    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", True)
    return request.param


def pytest_ignore_collect(collection_path, config):
    """``-m device`` imports no file without such a test: a machine with a GPU need not have what the other files import."""
    if config.option.markexpr != "device":
        return None
    files = collection_path.rglob("test_*.py") if collection_path.is_dir() else [collection_path]
    return None if any(USES_DEVICE.search(file.read_text()) for file in files) else True


@pytest.fixture(autouse=True, scope="session")
def no_waiting_for_the_disk():
    """Files of tests need not outlive a loss of power, and to wait until the disk has them takes longer than to write them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", os.fstat)               # which refuses what is no open file, too
        yield


ARGUMENTS = ["--no-first-run", "--disable-sync", "--disable-background-networking", "--disable-component-update",
             "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
             "--process-per-site",                # a tab shares the process of the tabs beside it: to start one takes long
             "--disable-gpu-compositing",         # without a GPU pages are put together in half the time
             "--disable-accelerated-2d-canvas"]   # else reading pixels back changes how the next ones are drawn


@pytest.fixture(scope="session")
def chromium():
    """A headless Chromium that reaches nothing but this machine. No Chromium fails the tests: none is skipped."""
    import browser  # scripts/browser.py
    from playwright.sync_api import sync_playwright

    program = browser.find()
    if program is None:
        pytest.fail(browser.MISSING, pytrace=False)
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=program, args=[*browser.ARGUMENTS, *ARGUMENTS])
        yield running
        running.close()


@pytest.fixture(scope="session")
def windows(chromium):
    """A window of the browser for each set of options: to open a new one takes longer than most pages do."""
    opened = {}

    def window(options):
        key = json.dumps(options, sort_keys=True)
        if key not in opened:
            opened[key] = chromium.new_context(**options)
            # stays open, and with it the process that draws pages from disk: to start one takes longer than most tests do
            opened[key].new_page().goto(Path(__file__).parent.as_uri())
        return opened[key]

    yield window
    for one in opened.values():
        one.close()


@pytest.fixture
def new_tab(windows):
    """Opens a tab in a window of the given options. After the test it is closed, and what its page has stored forgotten."""
    tabs = []

    def opened(viewport=None, **options):
        tabs.append(windows(options).new_page())
        if viewport:
            tabs[-1].set_viewport_size(viewport)  # of the tab: windows of one size would be as many again
        return tabs[-1]

    yield opened
    for tab in tabs:
        if not tab.url.startswith("about:"):
            tab.evaluate("localStorage.clear()")
        tab.close()
