"""Several processes train one network: the same steps as one process with all the images, and a resumed run."""
import contextlib
import json
import os
import signal
import sys
import time

import numpy as np
import psutil
import pytest
import torch
import torch.distributed.run
from forks import fork, fork_group
from safetensors import safe_open

from sobolev_lib.synthetic_gradients import __main__ as command

DIGITS = ["--epochs", "1", "--width", "8", "--synthetic-width", "8", "--lr", "0.003"]


def start(folder, *arguments):
    """The command line in two processes, as torchrun would start them."""
    return fork_group(command.main, list(arguments), output=folder)


def finish(processes, folder):
    """What the first one printed last."""
    for process in processes:
        process.join(250)
        assert process.exitcode == 0, (folder / "output0").read_text()
    return json.loads((folder / "output0").read_text().strip().splitlines()[-1])


TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m",
            "sobolev_lib.synthetic_gradients"]
ONE_THREAD = {**os.environ, "OMP_NUM_THREADS": "1"}


def torchrun(folder, *arguments):
    """Torchrun itself is a fork; the processes that it starts are not."""
    agent = fork(torch.distributed.run.main, [*TORCHRUN[3:], *arguments], output=folder / "output", OMP_NUM_THREADS="1")
    agent.join(250)
    printed = (folder / "output").read_text()
    assert agent.exitcode == 0, printed
    return json.loads([line for line in printed.splitlines() if line.startswith("{")][-1])


def one_process(capsys, *arguments):
    assert command.main(list(arguments)) == 0
    return json.loads(capsys.readouterr().out.strip().splitlines()[-1])


def weights(path):
    with safe_open(path, framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys() if name.startswith("model.")}


@pytest.mark.parametrize("method", ["sobolev", pytest.param("noprop", marks=pytest.mark.slow)])
def test_two_processes_take_the_steps_of_one(tmp_path, capsys, method):
    """Gradients are means over images: two halves make the whole. (A synthetic loss is relative to the size of its own
    batch's targets, so for it two halves make nearly the whole.)"""
    arguments = ["--method", method, "--optimizer", "sgd", *DIGITS]
    paths = [tmp_path / name for name in ("one.safetensors", "two.safetensors")]
    one = one_process(capsys, *arguments, "--batch-size", "180", "--checkpoint", str(paths[0]))
    arguments += ["--batch-size", "90", "--checkpoint", str(paths[1])]
    two = finish(start(tmp_path, *arguments), tmp_path) if method == "sobolev" else torchrun(tmp_path, *arguments)
    assert one["steps"] == two["steps"] == 8 and one["test_accuracy"] == pytest.approx(two["test_accuracy"], abs=0.02)
    tolerance = dict(rtol=0.05, atol=5e-3) if method == "sobolev" else dict(rtol=1e-3, atol=1e-5)
    for (name, ours), theirs in zip(weights(paths[0]).items(), weights(paths[1]).values()):
        torch.testing.assert_close(ours, theirs, msg=name, **tolerance)


@pytest.mark.slow
def test_a_killed_pair_of_processes_goes_on_from_its_checkpoint(tmp_path):
    path = tmp_path / "run.safetensors"
    arguments = ["--method", "sobolev", "--batch-size", "60", *DIGITS, "--epochs", "2", "--checkpoint-seconds", "0"]
    whole = finish(start(tmp_path, *arguments, "--checkpoint", str(tmp_path / "whole.safetensors")), tmp_path)
    processes = start(tmp_path, *arguments, "--checkpoint", str(path))
    while not path.exists():
        assert processes[0].is_alive(), "ended before it wrote a checkpoint"
        time.sleep(0.002)
    for process in processes:
        process.kill()
        process.join()
    assert processes[0].exitcode == -signal.SIGKILL, "the run was over before it could be killed"
    resumed = finish(start(tmp_path, *arguments, "--checkpoint", str(path)), tmp_path)
    assert resumed["test_loss"] == whole["test_loss"] and resumed["steps"] == whole["steps"]


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("how", ["asked to end", "killed"])
def test_a_killed_torchrun_goes_on_from_its_checkpoint(tmp_path, how):
    """A scheduler asks torchrun to end, which ends its processes; or kills it and them."""
    path = tmp_path / "run.safetensors"
    arguments = ["--method", "sobolev", "--batch-size", "60", *DIGITS, "--epochs", "4", "--checkpoint-seconds", "0"]
    whole = torchrun(tmp_path, *arguments, "--checkpoint", str(tmp_path / "whole.safetensors"))
    with open(tmp_path / "output", "w") as output:
        agent, workers = psutil.Popen([*TORCHRUN, *arguments, "--checkpoint", str(path)], env=ONE_THREAD, stdout=output,
                                      stderr=output), []
        try:
            while not path.exists():
                assert agent.poll() is None, f"ended before it wrote a checkpoint: {(tmp_path / 'output').read_text()}"
                time.sleep(0.002)
            workers = agent.children(recursive=True)
            assert len(workers) >= 2
            if how == "asked to end":
                agent.terminate()
                assert not psutil.wait_procs(workers, 60)[1], "torchrun left processes behind"
            agent.kill()
            assert agent.wait(60) != 0, "the run was over before it could be killed"
        finally:
            for process in (agent, *workers):
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
            psutil.wait_procs(workers, 60)
    resumed = torchrun(tmp_path, *arguments, "--checkpoint", str(path))
    assert resumed["test_loss"] == whole["test_loss"] and resumed["steps"] == whole["steps"]


def test_a_folder_in_imagenets_layout_is_streamed(tmp_path, monkeypatch, capsys):
    datasets = pytest.importorskip("datasets")
    image = pytest.importorskip("PIL.Image")
    rng = np.random.default_rng(0)
    folder = tmp_path / "tiny"
    folder.mkdir()
    for split, count in (("train", 24), ("validation", 10)):
        pictures = [image.fromarray(rng.integers(0, 255, (40 + k % 3, 48, 3), dtype=np.uint8)) for k in range(count)]
        features = datasets.Features(image=datasets.Image(), label=datasets.ClassLabel(num_classes=4))
        datasets.Dataset.from_dict({"image": pictures, "label": [k % 4 for k in range(count)]}, features=features) \
            .to_parquet(str(folder / f"{split}-00000.parquet"))
    monkeypatch.setenv("SOBOLEV_DATA", str(tmp_path))
    found = one_process(capsys, "--data", "tiny", "--stream", "--size", "32", "--network", "resnet50", "--width", "8", "--cuts",
                        "layer3", "--method", "sobolev", "--synthetic-width", "4", "--batch-size", "8", "--epochs", "1",
                        "--optimizer", "sgd", "--lr", "0.1", "--bfloat16", "--accumulate", "3")
    assert found["steps"] == 1 and 0 <= found["test_accuracy"] <= found["test_top5"] <= 1


@pytest.mark.parametrize("arguments, message", [
    (["--cuts", "block9"], "cuts: expected names of children"), (["--data", "no-such-set"], "no-such-set"),
    (["--network", "resnet50"], "expected small_conv for grey images"), (["--batch-size", "5000"], "batch_size: expected"),
])
def test_what_does_not_fit_is_said_in_one_line(arguments, message, capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert command.main(arguments) == 2
    assert message in capsys.readouterr().err
