"""Parts in processes of their own: backpropagation in a pipeline is backpropagation; decoupled parts don't wait."""
import json
import signal
import time

import pytest
import torch
from forks import fork_group
from parts import main, network, stripes
from torch.nn import functional as F

from sobolev_lib.synthetic_gradients import InMemory
from sobolev_lib.synthetic_gradients.processes import train_part


def start(folder, method, cuts=("block2",), world=2, **options):
    """One process a part, without torchrun: it would end the others itself when one dies."""
    options = {"method": method, "cuts": list(cuts), "folder": str(folder), **options}
    return fork_group(main, options, output=folder, world=world)


def told(folder, rank):
    return (folder / f"output{rank}").read_text()


def finish(processes, folder):
    for rank, process in enumerate(processes):
        process.join(250)
        assert process.exitcode == 0, told(folder, rank)


def reports(folder, world=2):
    return [json.loads((folder / f"report{rank}.json").read_text()) for rank in range(world)]


def trained(folder, world=2):
    return [torch.load(folder / f"part{rank}.pt") for rank in range(world)]


@pytest.mark.parametrize("cuts, microbatches", [(["block1", "block3"], 2)])
def test_a_pipeline_takes_the_steps_of_backpropagation(tmp_path, cuts, microbatches):
    world = len(cuts) + 1
    finish(start(tmp_path, "backprop", cuts, world, steps=6, microbatches=microbatches), tmp_path)
    model = network("backprop", cuts)
    optimizer, losses = torch.optim.Adam(model.network_parameters(), lr=3e-3), []
    for _, (x, y) in zip(range(6), InMemory(stripes(), 20)(0)):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    for part, found in zip(model.modules_between_cuts, trained(tmp_path, world)):
        for ours, theirs in zip(part.state_dict().values(), found.values()):
            torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-5)
    assert reports(tmp_path, world)[-1]["loss"] == pytest.approx(losses, rel=1e-4)


@pytest.mark.parametrize("method, cuts", [("critic", ["block1", "block3"])])
def test_decoupled_parts_learn(tmp_path, method, cuts):
    world = len(cuts) + 1
    finish(start(tmp_path, method, cuts, world, steps=60), tmp_path)
    found = reports(tmp_path, world)
    loss = found[-1]["loss"]
    assert len(loss) == 60 and sum(loss[-5:]) < sum(loss[:5]) / 2
    for rank, report in enumerate(found):
        assert report["changed"] == [rank == k for k in range(world)], "a process trains its own part and no other"
        assert 0 < report["busy"] <= 1 and report["part"] == rank + 1
        kinds = {what for what, *_ in report["work"]}
        assert kinds == ({"forward", "backward"} if rank == world - 1 else {"forward", "backward", "synthetic gradient"})


def test_a_decoupled_part_does_not_wait_and_stays_within_its_bound(tmp_path):
    finish(start(tmp_path, "sobolev", steps=12, staleness=3, asleep=3), tmp_path)
    below = reports(tmp_path)[0]
    begins, ends = [{(what, step): moment for what, step, *moments in below["work"] for moment in moments[k:k + 1]}
                    for k in (0, 1)]
    # while the part above sleeps, three updates are made, and no fourth is begun before an answer has come
    assert ends["backward", 3] < begins["synthetic gradient", 1] < begins["forward", 4]
    for step in range(4, 13):
        assert begins["forward", step] > begins["synthetic gradient", step - 3], "more than 3 batches ahead"
    learned = [step for what, step, *_ in below["work"] if what == "synthetic gradient"]
    assert learned == list(range(1, 13)), "every answer is learned from, once and in order"


def test_without_propagation_only_the_last_part_learns(tmp_path):
    finish(start(tmp_path, "noprop", steps=10), tmp_path)
    assert [report["changed"][k] for k, report in enumerate(reports(tmp_path))] == [False, True]


def test_when_a_part_dies_the_others_say_so_and_the_run_goes_on_from_its_checkpoint(tmp_path):
    kept = tmp_path / "checkpoints"
    options = dict(steps=3_000, checkpoint=str(kept), checkpoint_every=20)
    processes = start(tmp_path, "sobolev", **options)
    while len(list(kept.glob("part*.safetensors"))) < 4:
        assert all(process.is_alive() for process in processes), told(tmp_path, 0)
        time.sleep(0.05)
    processes[1].kill()
    died = time.monotonic()
    processes[0].join(60)
    assert time.monotonic() - died < 35
    error = told(tmp_path, 0)
    assert processes[0].exitcode == 1 and "PartLost: part 1 of 2: a neighbour is gone" in error
    assert f"the last checkpoint is in {kept}" in error
    processes[1].join()
    assert processes[1].exitcode == -signal.SIGKILL
    steps = [max(int(path.stem.split("-")[1]) for path in kept.glob(f"part{rank}-*")) for rank in (0, 1)]
    finish(start(tmp_path, "sobolev", **{**options, "steps": min(steps) + 40}), tmp_path)
    report = reports(tmp_path)[1]
    assert len(report["loss"]) == 40, "it did not begin where it had been"
    assert sum(report["loss"][:5]) / 5 < 0.5, "what had been learned is gone"


def test_parts_and_processes_must_be_as_many():
    with pytest.raises(ValueError, match="one process for each of 2 parts, got no process group"):
        train_part(network("sobolev", ["block2"]), InMemory(stripes(), 20), steps=1)


def test_microbatches_must_divide_a_batch(tmp_path):
    processes = start(tmp_path, "backprop", steps=1, microbatches=3)
    for rank, process in enumerate(processes):
        process.join(60)
        assert "microbatches: expected a divisor of the batch size 20, got 3" in told(tmp_path, rank)
        assert process.exitcode == 1
