"""Table 1's methods when decoupled in earnest: what helps synthetic gradients that learn from synthetic gradients.

With bootstrapped targets a synthetic gradient learns from the one above it, never from the truth. Each unit changes one
setting and trains noprop (which no target touches), critic and Sobolev anew, from the same weights on the same batches.
"""
from dataclasses import asdict, dataclass, field, replace

from sobolev_lib.experiments import table_1
from sobolev_lib.experiments.keeping import Keep
from sobolev_lib.synthetic_gradients import InMemory

NAME = "synthetic-gradients-bootstrapping"
SHOWS = "Table 1, one change at a time"


@dataclass(frozen=True)
class Setting:
    """What a change can change."""

    targets: str = "bootstrapped"
    epochs: float = 1.0                                    # times those of the table
    lr: float = 3e-3
    synthetic_lr: float = 1e-3
    warmup: float = 0.0                                    # share of the steps
    synthetic_steps: int = 1
    clip: float | None = None


@dataclass(frozen=True)
class Config:
    table: table_1.Config
    base: Setting = Setting()
    methods: tuple[str, ...] = ("noprop", "critic", "sobolev")
    changes: dict[str, dict] = field(default_factory=lambda: {
        "as in the table": {},
        "true targets": {"targets": "true"},
        "synthetic gradients learn 3 times as fast": {"synthetic_lr": 3e-3},
        "network learns a third as fast": {"lr": 1e-3},
        "warm-up over a tenth of the steps": {"warmup": 0.1},
        "gradient clipped at norm 0.5": {"clip": 0.5},
        "3 synthetic updates a step": {"synthetic_steps": 3},
        "3 times the steps": {"epochs": 3.0},
    })


_CIFAR = table_1.Config("cifar10", "small_conv", width=16, cuts=(("block1", "block2", "block3"),), lrs=(), synthetic_lrs=(),
                        epochs=6, tuning_epochs=0, image_size=16, train_images=12_000, resumable=False)
PRESETS = {
    "quick": Config(replace(_CIFAR, data="digits", image_size=None, width=8, train_images=500, epochs=2, batch_size=50),
                    changes={"as in the table": {}, "warm-up over a tenth of the steps": {"warmup": 0.1}}),
    "cpu": Config(_CIFAR),
    "paper": Config(replace(_CIFAR, image_size=None, width=64, train_images=None, epochs=30, augmented=True)),
}


def units(config: Config) -> list[str]:
    """One unit a change."""
    return list(config.changes)


def run_unit(unit: str, config: Config, seeds: list[int], device: str, keep: Keep | None = None) -> dict:
    """Train every method with one setting changed."""
    setting = replace(config.base, **config.changes[unit])
    table = replace(config.table, epochs=round(setting.epochs * config.table.epochs))
    images, _ = table_1.images_of(config.table)
    steps = table.epochs * InMemory(images, table.batch_size).steps_an_epoch
    runs = []
    for seed in seeds:
        for method in config.methods:
            _, history = table_1.fit(table, images, table.cuts[0], method, setting.targets, setting.lr, setting.synthetic_lr,
                                     seed, device, warmup=round(setting.warmup * steps),
                                     synthetic_steps=setting.synthetic_steps, clip=setting.clip)
            runs.append({"method": method, "seed": seed, "test_accuracy": history.test_accuracy[-1],
                         "curve": {"steps": history.test_steps, "test_accuracy": history.test_accuracy},
                         "cosine": [cut["cosine"][-1] for cut in history.cuts],
                         "norm_ratio": [cut["norm_ratio"][-1] for cut in history.cuts], "seconds": history.seconds})
    return {"setting": asdict(setting), "runs": runs}


def describe(config: Config) -> dict:
    """What the record says of the run."""
    return asdict(config)
