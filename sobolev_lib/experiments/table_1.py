"""Table 1's protocol, shared by its CIFAR-10 and its ImageNet rows.

Every method trains the same network from the same initial weights on the same batches, for the same number of steps. As
in the paper, the network's learning rate is the one that suits backprop best. The synthetic gradients' own learning rate
is tuned for each method and each kind of target, with as many trials. Trials are short runs on a seed of their own; the
highest accuracy on images held out of the training set wins. Where ``tuned_for`` holds "each", everything runs once more
with the network's learning rate chosen by each method for itself.
"""
import hashlib
import shutil
from dataclasses import asdict, dataclass, replace
from functools import cache

import torch

from sobolev_lib.experiments.keeping import Keep
from sobolev_lib.records import records_folder
from sobolev_lib.synthetic_gradients import METHODS, DecoupledNetwork, InMemory, networks, train
from sobolev_lib.synthetic_gradients.images import Images, load_images
from sobolev_lib.synthetic_gradients.network import TARGETS
from sobolev_lib.theory import jacobian_asymmetry

TUNING_SEED = 1000
NOTED = 25                                                 # points of a run's diagnostic curves
TESTED = 5                                                 # points of its test curve, and checkpoints


@dataclass(frozen=True)
class Config:
    data: str
    network: str                                           # a function in sobolev_lib.synthetic_gradients.networks
    width: int
    cuts: tuple[tuple[str, ...], ...]                      # each is a way to cut the network
    lrs: tuple[float, ...]                                 # of the network, tried for backprop
    synthetic_lrs: tuple[float, ...]                       # of the synthetic gradients, tried for each method
    epochs: int
    tuning_epochs: int
    batch_size: int = 100
    image_size: int | None = None                          # in pixels; None as they come
    train_images: int | None = None                        # None for all
    validation_images: int = 2_000
    methods: tuple[str, ...] = tuple(METHODS)
    targets: tuple[str, ...] = TARGETS
    synthetic_width: int = 32
    augmented: bool = False
    optimizer: str = "adam"
    weight_decay: float = 0.0
    bfloat16: bool = False
    tuned_for: tuple[str, ...] = ("backprop",)             # whom the network's learning rate suits; or "each" besides
    resumable: bool = True                                 # checkpoints within a run; quick runs need none


def units(config: Config) -> list[str]:
    """Backprop; then each way to cut with each method, and each kind of target where something is predicted."""
    found = [("backprop",)] if "backprop" in config.methods else []
    for tuned_for in config.tuned_for:
        suffix = () if tuned_for == "backprop" else (tuned_for,)
        found += [(str(len(cuts)), "noprop", *suffix) for cuts in config.cuts if "noprop" in config.methods]
        found += [(str(len(cuts)), method, targets, *suffix) for targets in config.targets for cuts in config.cuts
                  for method in config.methods if method not in ("backprop", "noprop")]
    return ["/".join(parts) for parts in found]


def run_unit(unit: str, config: Config, seeds: list[int], device: str, keep: Keep | None = None) -> dict:
    """Tune one method with one kind of target and one way to cut, then run it on every seed."""
    count, method, targets, tuned_for = _parse(unit)
    cuts = next(cuts for cuts in config.cuts if count in (None, len(cuts)))
    tuned = tune(config, cuts, method, targets, tuned_for, device)
    images, _ = images_of(config)
    kept = records_folder() / ".unfinished" / "table-1" / _digest(config, unit)
    runs = []
    for seed in seeds:
        checkpoint = kept / f"{seed}.safetensors" if config.resumable else None
        model, history = fit(config, images, cuts, method, targets, tuned["lr"], tuned["synthetic_lr"], seed, device,
                             checkpoint)
        runs.append({
            "seed": seed, "test_accuracy": history.test_accuracy[-1], "test_top5": history.test_top5[-1],
            "test_loss": history.test_loss[-1], "train_accuracy": history.accuracy[-1], "seconds": history.seconds,
            "curve": {"steps": history.test_steps, "test_accuracy": history.test_accuracy},
            "diagnostics": {"steps": history.steps, "cuts": history.cuts},
            "asymmetry": asymmetry(model, images, device),
        })
    if kept.exists():
        shutil.rmtree(kept)
    return {"method": method, "targets": targets, "tuned_for": tuned_for, "cuts": list(cuts), "tuned": tuned, "runs": runs,
            "parameters": {"network": sum(p.numel() for p in model.network_parameters()),
                           "synthetic": sum(p.numel() for p in model.synthetic_parameters())}}


def describe(config: Config) -> dict:
    """What the record says of the run."""
    return asdict(config)


def tune(config: Config, cuts, method: str, targets: str, tuned_for: str, device: str) -> dict:
    """The winning learning rates and all trials."""
    lrs = config.lrs if method == "backprop" or tuned_for == "each" else (_backprop_lr(config, device),)
    synthetic_lrs = config.synthetic_lrs if method not in ("backprop", "noprop") else (0.0,)
    pairs = [(lr, synthetic_lr) for lr in lrs for synthetic_lr in synthetic_lrs]
    if len(pairs) == 1:
        return {"lr": lrs[0], "synthetic_lr": synthetic_lrs[0], "trials": []}
    train_part, validation = images_of(config)
    held_out = replace(train_part, test=validation)
    trials = []
    for lr, synthetic_lr in pairs:
        _, history = fit(replace(config, epochs=config.tuning_epochs), held_out, cuts, method, targets, lr, synthetic_lr,
                         TUNING_SEED, device)
        trials.append({"lr": lr, "synthetic_lr": synthetic_lr, "validation_accuracy": history.test_accuracy[-1],
                       "validation_loss": history.test_loss[-1]})
    best = max(trials, key=lambda trial: trial["validation_accuracy"])
    return {"lr": best["lr"], "synthetic_lr": best["synthetic_lr"], "trials": trials}


@cache
def _backprop_lr(config: Config, device: str) -> float:
    return tune(config, config.cuts[0], "backprop", "true", "backprop", device)["lr"]


@cache
def images_of(config: Config) -> tuple[Images, tuple[torch.Tensor, torch.Tensor]]:
    """Training and test images, and those held out of the training images for tuning."""
    images = load_images(config.data, size=config.image_size)
    pixels, labels = images.train
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(TUNING_SEED))
    held_out, rest = order[:config.validation_images], order[config.validation_images:]
    rest = rest[:config.train_images]
    return replace(images, train=(pixels[rest], labels[rest])), (pixels[held_out], labels[held_out])


def fit(config: Config, images: Images, cuts, method: str, targets: str, lr: float, synthetic_lr: float, seed: int,
        device: str, checkpoint=None, **options):
    """One run: the trained network and its history. ``options`` go to ``train``."""
    model = build(config, images, cuts, method, targets, seed).to(device, memory_format=torch.channels_last)
    batches = InMemory(images, config.batch_size, seed=seed, augmented=config.augmented, device=device)
    steps = config.epochs * batches.steps_an_epoch
    history = train(model, batches, steps=steps, lr=lr, synthetic_lr=synthetic_lr, optimizer=config.optimizer,
                    weight_decay=config.weight_decay, test=batches.test, report_every=max(1, steps // NOTED),
                    test_every=-(-steps // TESTED), bfloat16=config.bfloat16, checkpoint=checkpoint,
                    fingerprint=f"{_digest(config, method)} {seed}", progress=False, **options)
    return model, history


def build(config: Config, images: Images, cuts, method: str, targets: str, seed: int) -> DecoupledNetwork:
    """A network with its synthetic gradients; the same seed gives every method the same initial weights."""
    generator, example = torch.Generator().manual_seed(seed), images.train[0][:2].float()
    make = getattr(networks, config.network)
    if config.network == "small_conv":
        network = make(example.shape[1], images.num_classes, width=config.width, image_size=example.shape[2],
                       generator=generator)
    else:
        network = make(images.num_classes, width=config.width, generator=generator)
    return DecoupledNetwork(network, cuts, method, example=example, width=config.synthetic_width, targets=targets,
                            generator=generator)


def asymmetry(model: DecoupledNetwork, images: Images, device: str, rows: int = 16, probes: int = 8) -> list[float]:
    """Proposition 4, measured at each cut: how far the synthetic gradient's field is from a gradient; a mean over images."""
    if not model.synthetic_parameters():
        return []
    batches = InMemory(images, len(images.train[1]), device=device)
    x, y = next(iter(batches.test()))
    h, y, found = x[:rows], y[:rows], []
    model.eval()
    for part, synthetic in zip(model.modules_between_cuts, model.synthetic):
        h = part(h).detach()
        field = jacobian_asymmetry(lambda h: synthetic.gradient(h, y), h, probes=probes,
                                   generator=torch.Generator().manual_seed(TUNING_SEED))
        found.append(float(field.mean()))
    return found


def _parse(unit: str) -> tuple[int | None, str, str, str]:
    """The number of cuts (None for backprop, which is the same with any), the method, the kind of target, ``tuned_for``."""
    if unit == "backprop":
        return None, unit, "true", "backprop"
    count, method, *rest = unit.split("/")
    targets = next((part for part in rest if part in TARGETS), "true")
    return int(count), method, targets, "each" if "each" in rest else "backprop"


def _digest(*parts) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:12]
