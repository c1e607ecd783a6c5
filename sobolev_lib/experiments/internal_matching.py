"""Internal derivatives: a small network learns from a large one by what derivatives, by the input or by hidden layers?

Section 5 names it an unexplored path. A student sees a few images without labels, and what its teacher says of them. Every
way has as many trials, on one more seed with one number of images; the lowest validation divergence decides. Students then
learn from equally many steps, and from as much of the processor's time as the whole Jacobian by the input takes. A seed
draws the teacher, the images and the initial weights. The ways are those of ``internal_ways``; the reference is
scikit-learn's ``MLPRegressor`` on the teacher's logits, run to its own end.
"""
import statistics
import time
import warnings
from dataclasses import asdict, dataclass, field, replace

import torch
from torch import Tensor, nn

from sobolev_lib.derivatives import value_and_derivatives
from sobolev_lib.experiments.internal_verdict import verdict
from sobolev_lib.experiments.internal_ways import BATCH, REFERENCE, WAYS, images, networks, teacher_of
from sobolev_lib.experiments.keeping import Keep
from sobolev_lib.experiments.own_peers import by

__all__ = ["DEVICE", "NAME", "PRESETS", "SHOWS", "Config", "describe", "probe", "run_unit", "units", "verdict"]

NAME = "internal-matching"
SHOWS = "Section 5, internal derivatives: distillation that matches them, beside matching at the input"
DEVICE = "cpu"                                             # times are compared
_RATE = 1e-2
_WEIGHTS = [{"weight": weight, "lr": _RATE} for weight in (0.02, 0.1, 0.5, 2.5)]
TRIALS = dict.fromkeys(WAYS, _WEIGHTS) | {
    "answers": [{"weight": 0.0, "lr": rate} for rate in (3e-3, 1e-2, 2e-2, 4e-2)],
    REFERENCE: [{"alpha": alpha} for alpha in (1e-3, 1e-1, 1.0, 10.0)]}


@dataclass(frozen=True)
class Config:
    images: dict = field(default_factory=lambda: {"digits": (50, 200, 1000), "shapes": (200,)})
    trials: dict = field(default_factory=lambda: TRIALS)   # by way
    steps: int = 300
    teacher_steps: int = 400
    tuning_seed: int = 1000
    tuning_images: int = 200
    equal_time: bool = True
    pictures: int = 6                                      # of digits, in the page


PRESETS = {
    "quick": Config(images={"digits": (50,)}, trials={way: [TRIALS[way][1]] for way in ("answers", "input", "layer 1")},
                    steps=60, teacher_steps=100, tuning_images=50, equal_time=False, pictures=2),
    "cpu": Config(),
}


def units(config: Config) -> list[str]:
    """One a set of images and a way."""
    return [f"{name}/{way}" for name in config.images for way in config.trials]


def run_unit(unit: str, config: Config, seeds: list[int], device: str, keep: Keep | None = None) -> dict:
    """Tune a way on one seed, and let its winner teach a student of every seed, by steps and by time."""
    keep, (name, way) = keep or Keep(), unit.split("/")
    trials = config.trials[way]
    tried = [keep.once(f"trial-{k}", lambda: _told(name, way, config.tuning_images, config.tuning_seed, trial, config.steps,
                                                   config, "validation"))["kl"] for k, trial in enumerate(trials)]
    winner = trials[min(range(len(trials)), key=lambda k: tried[k])]
    found = {"by": by(way), "trials": [{"settings": trial, "validation_kl": kl} for trial, kl in zip(trials, tried)],
             "chosen": winner, "runs": []}
    if config.equal_time and way != REFERENCE:
        found["price"] = keep.once("price", lambda: _price(name, way, config))
    for count in config.images[name]:
        for seed in seeds:
            mine = {"seed": seed, "images": count}
            run = keep.once(f"{count}-{seed}", lambda: _told(name, way, count, seed, winner, config.steps, config, "test"))
            found["runs"].append({**mine, "equal": "steps", **run})
            if config.equal_time:
                if "price" in found and way != "input":    # whose own time is the measure
                    steps = max(1, round(config.steps / found["price"]))
                    run = keep.once(f"{count}-{seed}-time",
                                    lambda: _told(name, way, count, seed, winner, steps, config, "test"))
                found["runs"].append({**mine, "equal": "time", **run})
    if config.pictures and name == "digits":
        found["pictures"] = keep.once("pictures", lambda: _pictures(way, config, seeds[0], winner))
    return found


def _told(name: str, way: str, count: int, seed: int, trial: dict, steps: int, config: Config, part: str) -> dict:
    student, seconds = _student(name, way, count, seed, trial, steps, config)
    x, labels = images(name)[part]
    teacher = teacher_of(name, seed, config.teacher_steps)
    expected, slopes = (found.detach() for found in value_and_derivatives(teacher, x))
    with torch.no_grad():
        y = student(x)
    kl = (expected.softmax(1) * (expected.log_softmax(1) - y.log_softmax(1))).sum(1).mean()
    says, said = y.argmax(1), expected.argmax(1)
    found = {"kl": float(kl), "accuracy": _share(says == labels), "agreement": _share(says == said),
             "teacher_accuracy": _share(said == labels), "steps": steps, "seconds": seconds}
    if isinstance(student, nn.Module):                     # the reference shows no slopes
        off = value_and_derivatives(student, x)[1].detach() - slopes
        found["slope"] = float(off.square().sum() / slopes.square().sum())
    return found


def _student(name: str, way: str, count: int, seed: int, trial: dict, steps: int, config: Config):
    """The student that has learned, and the processor's seconds; the teacher's answers are asked for within them."""
    teacher, x = teacher_of(name, seed, config.teacher_steps), images(name)["train"][0]
    x = x[torch.randperm(len(x), generator=torch.Generator().manual_seed(seed))[:count]]
    start = time.process_time()
    if way == REFERENCE:
        return _by_scikit_learn(teacher, x, seed, **trial), time.process_time() - start
    student = networks(x.shape[1], teacher[-1].out_features, seed)[1]
    for _ in _steps(student, WAYS[way](teacher, x), count, steps, seed, **trial):
        pass
    return student, time.process_time() - start


def _steps(student: nn.Module, way, count: int, steps: int, seed: int, weight: float, lr: float):
    """Train, and yield after each step."""
    generator = torch.Generator().manual_seed(seed)
    adam = torch.optim.Adam(student.parameters(), lr=lr, fused=True)
    slower = torch.optim.lr_scheduler.CosineAnnealingLR(adam, steps)
    for _ in range(steps):
        values, more = way(student, torch.randperm(count, generator=generator)[:BATCH], generator)
        adam.zero_grad()
        (values + weight * more).backward()
        adam.step()
        slower.step()
        yield


def _by_scikit_learn(teacher: nn.Module, x: Tensor, seed: int, alpha: float):
    from sklearn.neural_network import MLPRegressor

    y = teacher(x)
    mean, std = y.mean(0), y.std()
    network = MLPRegressor(hidden_layer_sizes=(32, 32, 24), alpha=alpha, activation="relu", learning_rate_init=1e-2,
                           batch_size=BATCH, max_iter=500, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")                    # that it would go on
        network.fit(x.numpy(), ((y - mean) / std).numpy())
    return lambda x: torch.as_tensor(network.predict(x.numpy()), dtype=torch.float32) * std + mean


def _price(name: str, way: str, config: Config) -> float:
    """The time of a step, over that of a step with the whole Jacobian by the input, by turns on this machine."""
    count = config.tuning_images
    teacher, x = teacher_of(name, config.tuning_seed, config.teacher_steps), images(name)["train"][0][:count]

    def seconds(way: str) -> float:
        student = networks(x.shape[1], teacher[-1].out_features, 0)[1]
        steps = _steps(student, WAYS[way](teacher, x), count, 25, 0, 1.0, 1e-3)
        for _ in range(5):                                 # the first ones prepare
            next(steps)
        start = time.process_time()
        for _ in steps:
            pass
        return time.process_time() - start
    return statistics.median(seconds(way) / seconds("input") for _ in range(7))


def _pictures(way: str, config: Config, seed: int, trial: dict) -> dict:
    """By each pixel of test digits, the slope of what decides for the teacher's class: its logit less the logits' mean."""
    student, _ = _student("digits", way, config.tuning_images, seed, trial, config.steps, config)
    teacher, (x, labels) = teacher_of("digits", seed, config.teacher_steps), images("digits")["test"]
    shown = [int((labels == digit).nonzero()[0]) for digit in range(config.pictures)]
    classes = teacher(x[shown]).argmax(1)

    def slopes(network: nn.Module) -> list:
        at = x[shown].clone().requires_grad_()
        y = network(at)
        decides = (y - y.mean(1, keepdim=True))[torch.arange(len(shown)), classes].sum()
        return _short(torch.autograd.grad(decides, at)[0])

    if not isinstance(student, nn.Module):
        return {}
    same = {"images": _short(x[shown]), "teacher": slopes(teacher)} if way == "answers" else {}
    return same | {"student": slopes(student)}


def _short(rows: Tensor) -> list:
    return [[float(f"{entry:.3g}") for entry in row] for row in rows.tolist()]


def _share(right: Tensor) -> float:
    return float(right.float().mean())


def describe(config: Config) -> dict:
    return asdict(config)


def probe() -> dict:
    """The numbers of a few steps by every way, without times."""
    config = replace(PRESETS["quick"], images={"digits": (20,), "shapes": (20,)}, tuning_images=20, steps=8, pictures=0,
                     teacher_steps=20, trials={way: [TRIALS[way][2]] for way in WAYS})
    found = {unit: run_unit(unit, config, [0], "cpu") for unit in units(config)}
    return {unit: each | {"runs": [{key: part for key, part in run.items() if key != "seconds"} for run in each["runs"]]}
            for unit, each in found.items()}
