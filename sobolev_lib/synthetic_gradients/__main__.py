"""Train a network cut by synthetic gradients, on one or many processes.

    python -m sobolev_lib.synthetic_gradients --method sobolev                                  (digits, one process)
    torchrun --nproc-per-node 8 -m sobolev_lib.synthetic_gradients --data imagenet --network resnet50 \\
        --cuts layer3 --method sobolev --optimizer sgd --lr 0.4 --batch-size 128 --epochs 90 --bfloat16 --workers 8 \\
        --checkpoint resnet50-sobolev.safetensors

    python -m sobolev_lib.synthetic_gradients pack cifar10 --to cifar10.npz                    (all images in one small file)

Killed, it goes on from its checkpoint; with ``torchrun --max-restarts`` by itself. The batch size is each process's own.
"""
import argparse
import json
import os
import sys

import torch
import torch.distributed as dist

from sobolev_lib.synthetic_gradients.batches import InMemory, Streamed
from sobolev_lib.synthetic_gradients.image_files import data_folder, open_split
from sobolev_lib.synthetic_gradients.images import load_images
from sobolev_lib.synthetic_gradients.methods import METHODS
from sobolev_lib.synthetic_gradients.network import TARGETS, DecoupledNetwork
from sobolev_lib.synthetic_gradients.networks import resnet50, resnet_cifar, small_conv
from sobolev_lib.synthetic_gradients.packed import pack
from sobolev_lib.synthetic_gradients.training import OPTIMIZERS, train

CUTS = {"small_conv": ["block1", "block2", "block3"], "resnet_cifar": ["layer1", "layer2", "layer3"],
        "resnet50": ["layer1", "layer2", "layer3"]}


def main(arguments: list[str] | None = None) -> int:
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments[:1] == ["pack"]:
        return _pack(arguments[1:])
    options = _options().parse_args(arguments)
    rank, world = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0))) if torch.cuda.is_available() else torch.device("cpu")
    if world > 1:
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        _run(options, device, rank, world)
    except (ValueError, FileNotFoundError, ImportError) as error:
        print(error, file=sys.stderr)
        return 2
    finally:
        if world > 1:
            dist.destroy_process_group()
    return 0


def _pack(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m sobolev_lib.synthetic_gradients pack",
                                     description="Pack a set of images into one file, which SOBOLEV_DATA's folder may hold.")
    parser.add_argument("name", help="cifar10 or a folder in SOBOLEV_DATA")
    parser.add_argument("--to", required=True, help="the file, NAME.npz")
    options = parser.parse_args(arguments)
    try:
        size = pack(options.to, {split: open_split(options.name, split, data_folder(None)) for split in ("train", "test")})
    except (ValueError, OSError, ImportError) as error:
        print(error, file=sys.stderr)
        return 2
    print(f"{options.to}: {size / 1e6:.1f} MB")
    return 0


def _run(options, device: torch.device, rank: int, world: int) -> None:
    shared = dict(seed=options.seed, device=device, rank=rank, world=world)
    if options.stream or options.data == "imagenet":
        batches = Streamed(options.data, options.batch_size, size=options.size or 224, workers=options.workers, **shared)
    else:
        batches = InMemory(load_images(options.data, size=options.size, progress=rank == 0), options.batch_size,
                           augmented=options.data != "digits", **shared)
    example, _ = next(batches(0))
    generator = torch.Generator().manual_seed(options.seed)  # the same initial weights in every process
    if options.network == "small_conv":
        network = small_conv(example.shape[1], batches.num_classes, width=options.width or 32, image_size=example.shape[2],
                             generator=generator)
    elif example.shape[1] != 3:
        raise ValueError(f"network: expected small_conv for grey images, got {options.network}")
    else:
        make = {"resnet_cifar": resnet_cifar, "resnet50": resnet50}[options.network]
        network = make(batches.num_classes, width=options.width or 64, generator=generator)
    cuts = CUTS[options.network] if options.cuts is None else options.cuts
    model = DecoupledNetwork(network, cuts, options.method, example=example[:2].cpu(), width=options.synthetic_width,
                             targets=options.targets, generator=generator)
    model.to(device, memory_format=torch.channels_last)
    steps = options.epochs * batches.steps_an_epoch // options.accumulate
    history = train(model, batches, steps=steps, lr=options.lr, synthetic_lr=options.synthetic_lr,
                    optimizer=options.optimizer, weight_decay=options.weight_decay, test=batches.test,
                    test_every=max(1, batches.steps_an_epoch // options.accumulate), bfloat16=options.bfloat16,
                    accumulate=options.accumulate, checkpoint=options.checkpoint,
                    checkpoint_seconds=options.checkpoint_seconds, progress=rank == 0,
                    fingerprint=f"{options.data} {options.network} {options.size} {options.width} {options.batch_size} "
                                f"{world} {options.seed} {options.stream}")
    if rank == 0:
        print(json.dumps({"test_accuracy": history.test_accuracy[-1], "test_top5": history.test_top5[-1],
                          "test_loss": history.test_loss[-1], "steps": history.steps[-1],
                          "seconds": round(history.seconds, 1)}))


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m sobolev_lib.synthetic_gradients", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="digits", help="digits, cifar10, imagenet or a folder in SOBOLEV_DATA")
    parser.add_argument("--stream", action="store_true", help="decode images on the fly, as for imagenet")
    parser.add_argument("--size", type=int, help="pixels a side")
    parser.add_argument("--network", choices=CUTS, default="small_conv")
    parser.add_argument("--width", type=int, help="channels of the network's first layers")
    parser.add_argument("--cuts", nargs="*", help="children after which the network is cut (default: three of them)")
    parser.add_argument("--method", choices=METHODS, default="sobolev")
    parser.add_argument("--targets", choices=TARGETS, default="true")
    parser.add_argument("--synthetic-width", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--batch-size", type=int, default=50, help="images a process and batch")
    parser.add_argument("--accumulate", type=int, default=1, help="batches a step")
    parser.add_argument("--optimizer", choices=OPTIMIZERS, default="adam")
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--synthetic-lr", type=float, default=1e-3)
    parser.add_argument("--weight-decay", type=float, default=0.0)
    parser.add_argument("--bfloat16", action="store_true")
    parser.add_argument("--workers", type=int, default=0, help="processes that decode images, for each process that trains")
    parser.add_argument("--checkpoint", help="file to go on from")
    parser.add_argument("--checkpoint-seconds", type=float, default=60.0, help="how often it is written")
    parser.add_argument("--seed", type=int, default=0)
    return parser


if __name__ == "__main__":
    sys.exit(main())
