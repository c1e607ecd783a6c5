"""The devices that tests run on, and how to run those tests where little else is installed."""
import re

import pytest
import torch

DEVICES = ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]
USES_DEVICE = re.compile(r"^ *def \w+\((?:[^)]*\W)?device[,)]", re.MULTILINE)


@pytest.fixture(params=[pytest.param(device, marks=pytest.mark.device) for device in DEVICES])
def device(request, monkeypatch):
    """Each device there is. On a GPU convolutions are exact to float32's rounding, and the same at each call."""
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", True)
    return request.param


def pytest_ignore_collect(collection_path, config):
    """``-m device`` imports no file without such a test: a machine with a GPU need not have what the other files import."""
    if config.option.markexpr != "device":
        return None
    files = collection_path.rglob("test_*.py") if collection_path.is_dir() else [collection_path]
    return None if any(USES_DEVICE.search(file.read_text()) for file in files) else True
