"""Table 1's protocol, shared by its CIFAR-10 and its ImageNet rows.

Every method trains the same network from the same initial weights on the same batches, for the same number of steps. As
in the paper, the network's learning rate is the one that suits backprop best. The synthetic gradients' own learning rate
is tuned for each method and each kind of target, with as many trials. Trials are shorter runs on a seed of their own; the
highest accuracy on images held out of the training set wins, the lower loss among equals. Where ``tuned_for`` holds
"each", everything runs once more with the network's learning rate chosen by each method for itself. What a step costs is
measured in one unit, the methods taking turns.
"""
import hashlib
import time
from dataclasses import asdict, dataclass, replace
from functools import cache, partial
from statistics import median
from typing import NamedTuple

import torch

from sobolev_lib.experiments.keeping import Keep
from sobolev_lib.synthetic_gradients import METHODS, DecoupledNetwork, InMemory, evaluate, networks, train
from sobolev_lib.synthetic_gradients.images import Images, load_images, normalize
from sobolev_lib.synthetic_gradients.network import TARGETS
from sobolev_lib.synthetic_gradients.training import OPTIMIZERS
from sobolev_lib.theory import jacobian_asymmetry

TUNING_SEED = 1000
NOTED = 25                                                 # points of a run's diagnostic curves
TESTED = 5                                                 # points of its test curve
SHOWN = 10_000                                             # training images that the final training accuracy is taken on
TURNS, TIMED = 5, 10                                       # of each method when steps are timed, and steps a turn


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
    depth: int = 18                                        # of resnet_cifar
    synthetic_width: int = 32
    augmented: bool = False
    optimizer: str = "adam"
    weight_decay: float = 0.0
    bfloat16: bool = False
    tuned_for: tuple[str, ...] = ("backprop",)             # whom the network's learning rate suits; or "each" besides


class Data(NamedTuple):
    """Training and test images, and the same with images held out of the training set in the place of the test's."""

    images: Images
    held_out: Images | None


class Case(NamedTuple):
    """What a unit trains."""

    method: str
    targets: str
    cuts: tuple[str, ...]
    tuned_for: str


def units(config: Config) -> list[str]:
    """Backprop; each way to cut with each method, and each kind of target if something is predicted; the cost of steps."""
    found = [("backprop",)] if "backprop" in config.methods else []
    for tuned_for in config.tuned_for:
        suffix = () if tuned_for == "backprop" else (tuned_for,)
        found += [(str(len(cuts)), "noprop", *suffix) for cuts in config.cuts if "noprop" in config.methods]
        found += [(str(len(cuts)), method, targets, *suffix) for targets in config.targets for cuts in config.cuts
                  for method in config.methods if method not in ("backprop", "noprop")]
    return [*("/".join(parts) for parts in found), "cost"]


def run_unit(unit: str, config: Config, seeds: list[int], device: str, keep: Keep | None = None) -> dict:
    """Tune one method with one kind of target and one way to cut, then run it on every seed; or time everybody's steps."""
    return measure(unit, config, data_of(config), seeds, device, keep or Keep())


def describe(config: Config) -> dict:
    """What the record says of the run."""
    return asdict(config)


def probe() -> dict:
    """Three steps of every method, tuning included, on made-up images: numbers that rounding does not move."""
    draw = partial(torch.randint, generator=torch.Generator().manual_seed(0))
    images, labels = draw(256, (64, 3, 8, 8), dtype=torch.uint8), draw(4, (64,))
    images[torch.arange(64), labels % 3, :, :4] //= 3      # something to learn
    train, held_out, test = [(images[part], labels[part]) for part in (slice(48), slice(48, 56), slice(56, 64))]
    made_up = Images("made-up", 4, train, test, "probe")
    data = Data(made_up, replace(made_up, test=held_out))
    config = Config("made-up", "resnet_cifar", depth=10, width=8, cuts=(("layer1", "layer2"),), lrs=(1e-3, 2e-3),
                    synthetic_lrs=(1e-2,), epochs=1, tuning_epochs=1, batch_size=16, synthetic_width=4, augmented=True)
    found = {}
    for unit in units(config)[:-1]:                        # what a step costs is no number to compare
        result = measure(unit, config, data, [0], "cpu", Keep())
        run = result["runs"][0]
        found[unit] = {"test_loss": run["test_loss"], "parameters": result["parameters"],
                       "trials": [trial["validation_loss"] for trial in result["tuned"]["trials"]],
                       "norm_ratio": [cut["norm_ratio"][-1] for cut in run["diagnostics"]["cuts"]],
                       "asymmetry": run["asymmetry"] if result["method"] == "direct" else []}   # zero up to rounding else
    return found


def measure(unit: str, config: Config, data: Data, seeds: list[int], device: str, keep: Keep) -> dict:
    """``run_unit`` on given data."""
    if unit == "cost":
        return cost(config, data.images, device)
    case = _parse(unit, config)
    tuned = tune(config, data, case, device, keep)
    runs = [keep.once(f"seed-{seed}", partial(run, config, data.images, case, tuned, seed, device, keep)) for seed in seeds]
    model = build(config, data.images, case, seed=0)
    return {"method": case.method, "targets": case.targets, "tuned_for": case.tuned_for, "cuts": list(case.cuts),
            "tuned": tuned, "runs": runs,
            "parameters": {"network": sum(p.numel() for p in model.network_parameters()),
                           "synthetic": sum(p.numel() for p in model.synthetic_parameters())}}


def run(config: Config, images: Images, case: Case, tuned: dict, seed: int, device: str, keep: Keep) -> dict:
    """One seed: train to the end, and measure."""
    name = f"seed-{seed}"
    model, history = fit(config, images, case, tuned["lr"], tuned["synthetic_lr"], seed, device, keep, name)
    few = replace(images, test=tuple(part[:SHOWN] for part in images.train))
    _, train_accuracy, _ = evaluate(model, InMemory(few, config.batch_size, device=device).test())
    return {"seed": seed, "test_accuracy": history.test_accuracy[-1], "test_top5": history.test_top5[-1],
            "test_loss": history.test_loss[-1], "train_accuracy": train_accuracy, "seconds": history.seconds,
            "curve": {"steps": history.test_steps, "test_accuracy": history.test_accuracy},
            "diagnostics": {"steps": history.steps, "cuts": history.cuts},
            "asymmetry": asymmetry(model, images, device)}


def tune(config: Config, data: Data, case: Case, device: str, keep: Keep) -> dict:
    """The winning learning rates and all trials. Backprop's are made once for all units."""
    lrs = config.lrs
    if case.method == "backprop":
        keep = keep.beside("tuning-backprop")
    elif case.tuned_for == "backprop" and len(lrs) > 1:
        lrs = (tune(config, data, Case("backprop", "true", config.cuts[0], "backprop"), device, keep)["lr"],)
    synthetic_lrs = config.synthetic_lrs if case.method not in ("backprop", "noprop") else (0.0,)
    pairs = [(lr, synthetic_lr) for lr in lrs for synthetic_lr in synthetic_lrs]
    if len(pairs) == 1:
        return {"lr": lrs[0], "synthetic_lr": synthetic_lrs[0], "trials": []}
    trials = []
    with keep.alone():                                     # all units want backprop's, and several processes may be at it
        for lr, synthetic_lr in pairs:
            name = f"trial-{lr}-{synthetic_lr}"
            trials.append(keep.once(name, partial(trial, config, data, case, lr, synthetic_lr, device, keep, name)))
    best = max(trials, key=lambda trial: (trial["validation_accuracy"], -trial["validation_loss"]))
    return {"lr": best["lr"], "synthetic_lr": best["synthetic_lr"], "trials": trials}


def trial(config: Config, data: Data, case: Case, lr: float, synthetic_lr: float, device: str, keep: Keep,
          name: str) -> dict:
    """A shorter run, judged on the images held out."""
    if data.held_out is None:
        raise ValueError("validation_images: expected some where there are learning rates to choose from, got 0")
    short = replace(config, epochs=config.tuning_epochs)
    _, history = fit(short, data.held_out, case, lr, synthetic_lr, TUNING_SEED, device, keep, name)
    return {"lr": lr, "synthetic_lr": synthetic_lr, "validation_accuracy": history.test_accuracy[-1],
            "validation_loss": history.test_loss[-1]}


@cache
def data_of(config: Config) -> Data:
    """The images a config names; those held out are never trained on."""
    images = load_images(config.data, size=config.image_size)
    pixels, labels = images.train
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(TUNING_SEED))
    held_out, rest = order[:config.validation_images], order[config.validation_images:]
    rest = rest[:config.train_images]
    images = replace(images, train=(pixels[rest], labels[rest]))
    return Data(images, replace(images, test=(pixels[held_out], labels[held_out])) if len(held_out) else None)


def fit(config: Config, images: Images, case: Case, lr: float, synthetic_lr: float, seed: int, device: str, keep: Keep,
        name: str):
    """One training, taken up where an earlier one was killed: the trained network and its history."""
    model = build(config, images, case, seed).to(device, memory_format=torch.channels_last)
    batches = InMemory(images, config.batch_size, seed=seed, augmented=config.augmented, device=device)
    steps = config.epochs * batches.steps_an_epoch
    mark = hashlib.sha256(repr((config, images.name, len(images.train[1]), case)).encode()).hexdigest()[:12]
    # a resumed run ends where an uninterrupted one does: on a GPU only with algorithms that repeat themselves
    with torch.backends.cudnn.flags(enabled=True, deterministic=True):
        history = train(model, batches, steps=steps, lr=lr, synthetic_lr=synthetic_lr, optimizer=config.optimizer,
                        weight_decay=config.weight_decay, test=batches.test, report_every=max(1, steps // NOTED),
                        test_every=-(-steps // TESTED), bfloat16=config.bfloat16, checkpoint=keep.checkpoint(name),
                        on_checkpoint=keep.reached, fingerprint=f"{mark} {seed}", progress=False)
    return model, history


def build(config: Config, images: Images, case: Case, seed: int) -> DecoupledNetwork:
    """A network with its synthetic gradients; the same seed gives every method the same initial weights."""
    generator, example = torch.Generator().manual_seed(seed), images.train[0][:2].float()
    make = {"small_conv": lambda: networks.small_conv(example.shape[1], images.num_classes, width=config.width,
                                                      image_size=example.shape[2], generator=generator),
            "resnet_cifar": lambda: networks.resnet_cifar(images.num_classes, depth=config.depth, width=config.width,
                                                          generator=generator),
            "resnet50": lambda: networks.resnet50(images.num_classes, width=config.width, generator=generator)}
    return DecoupledNetwork(make[config.network](), case.cuts, case.method, example=example, width=config.synthetic_width,
                            targets=case.targets, generator=generator)


def cost(config: Config, images: Images, device: str) -> dict:
    """Images a second in training, for each method and kind of target: medians over turns taken one after the other.

    And how the images' files were encoded, which anyone who compares accuracies wants to know.
    """
    cuts = config.cuts[-1]
    cases = {"backprop": Case("backprop", "true", cuts, "backprop"), "noprop": Case("noprop", "true", cuts, "backprop")}
    cases |= {f"{method}/{targets}": Case(method, targets, cuts, "backprop")
              for targets in config.targets for method in METHODS if method not in cases}
    x, y = next(InMemory(images, config.batch_size, augmented=config.augmented, device=device)(0))
    ready = {}
    for name, case in cases.items():
        if case.method in config.methods:
            model = build(config, images, case, seed=0).to(device, memory_format=torch.channels_last)
            groups = [group for group in (model.network_parameters(), model.synthetic_parameters()) if group]
            ready[name] = model, [OPTIMIZERS[config.optimizer](group, 1e-4, 0.0) for group in groups]
    rates = {name: [] for name in ready}
    for _ in range(TURNS + 1):                             # the first warms up
        for name, (model, optimizers) in ready.items():
            start = time.perf_counter()
            for _ in range(TIMED):
                for optimizer in optimizers:
                    optimizer.zero_grad(set_to_none=True)
                with torch.autocast(torch.device(device).type, torch.bfloat16, enabled=config.bfloat16):
                    loss, _ = model.objective(x, y, diagnose=False)
                loss.backward()
                for optimizer in optimizers:
                    optimizer.step()
            float(loss.detach())                           # waits for a GPU
            rates[name].append(config.batch_size * TIMED / (time.perf_counter() - start))
    return {"images_per_second": {name: median(found[1:]) for name, found in rates.items()},
            "turns": {name: found[1:] for name, found in rates.items()}, "encoding": images.encoding}


def asymmetry(model: DecoupledNetwork, images: Images, device: str, rows: int = 16, probes: int = 8) -> list[float]:
    """Proposition 4, measured at each cut: how far the synthetic gradient's field is from a gradient; a mean over images."""
    if not model.synthetic_parameters():
        return []
    x, y = [part[:rows].to(device) for part in images.test]
    h, found = normalize(x, images.mean, images.std), []
    model.eval()
    for part, synthetic in zip(model.modules_between_cuts, model.synthetic):
        h = part(h).detach()
        field = jacobian_asymmetry(lambda h: synthetic.gradient(h, y), h, probes=probes,
                                   generator=torch.Generator().manual_seed(TUNING_SEED))
        found.append(float(field.mean()))
    return found


def _parse(unit: str, config: Config) -> Case:
    if unit == "backprop":                                 # is the same with any cuts
        return Case("backprop", "true", config.cuts[0], "backprop")
    count, method, *rest = unit.split("/")
    return Case(method, next((part for part in rest if part in TARGETS), "true"),
                next(cuts for cuts in config.cuts if len(cuts) == int(count)), "each" if "each" in rest else "backprop")
