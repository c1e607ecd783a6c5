"""What each process of test_processes.py runs: a part of a small network, trained on stripes."""
import datetime
import itertools
import json
import time
from pathlib import Path

import torch
import torch.distributed as dist

from sobolev_lib.synthetic_gradients import DecoupledNetwork, InMemory, small_conv
from sobolev_lib.synthetic_gradients.images import Images
from sobolev_lib.synthetic_gradients.processes import train_part


def stripes(n=120):
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(3, (n,), generator=generator)
    pictures = torch.randint(60, (n, 1, 8, 8), generator=generator, dtype=torch.uint8)
    pictures[torch.arange(n), 0, :, labels] += 120
    return Images("stripes", 3, (pictures, labels), (pictures, labels), "folder")


def network(method, cuts):
    generator = torch.Generator().manual_seed(0)
    made = small_conv(1, 3, width=8, image_size=8, generator=generator)
    return DecoupledNetwork(made, cuts, method, example=torch.zeros(2, 1, 8, 8), width=8, targets="bootstrapped",
                            generator=generator)


def main(options):
    torch.set_num_threads(1)
    dist.init_process_group("gloo", timeout=datetime.timedelta(seconds=30))
    model, rank, folder = network(options.pop("method"), options.pop("cuts")), dist.get_rank(), Path(options.pop("folder"))
    batches, asleep = InMemory(stripes(), 20), options.pop("asleep", 0)

    def drowsy(first):
        """The part at the top sleeps before its first batch."""
        for count, found in enumerate(batches(first)):
            if count == 0 and first == 0 and rank > 0 and next(calls) > 0:
                time.sleep(asleep)
            yield found

    calls = itertools.count()
    before = [{k: v.clone() for k, v in part.state_dict().items()} for part in model.modules_between_cuts]
    history = train_part(model, drowsy if asleep else batches, progress=False, lr=3e-3, synthetic_lr=1e-2, **options)
    after = [part.state_dict() for part in model.modules_between_cuts]
    changed = [any(not torch.equal(old[k], new[k]) for k in old) for old, new in zip(before, after)]
    torch.save(after[rank], folder / f"part{rank}.pt")
    (folder / f"report{rank}.json").write_text(json.dumps({
        "part": history.part, "loss": history.loss, "work": history.work, "seconds": history.seconds, "busy": history.busy,
        "changed": changed}))
    dist.destroy_process_group()
