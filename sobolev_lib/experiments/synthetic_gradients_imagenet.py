"""A smoke test of Table 1's ImageNet rows: ResNet-50, cut once and three times, goes through the same code.

``cpu`` and ``paper`` take ``tiny-imagenet-100`` from the folder that ``SOBOLEV_DATA`` names: a hundred of ImageNet's
classes at 64 x 64 pixels. On a CPU nothing is trained long enough for an order of the methods to mean anything, so none
is read off. The whole of ImageNet is a command of its own, ``python -m sobolev_lib.synthetic_gradients``.
"""
from sobolev_lib.experiments.table_1 import Config, describe, probe, run_unit, units
from sobolev_lib.experiments.verdicts import Verdict
from sobolev_lib.records import MissingResults

__all__ = ["NAME", "SHOWS", "PRESETS", "units", "run_unit", "describe", "probe", "verdict"]
NAME = "synthetic-gradients-imagenet"
SHOWS = "Table 1, ImageNet: a smoke test of the code path"
CUTS = (("layer2",), ("layer1", "layer2", "layer3"))

PRESETS = {
    # minutes: whether it runs, not how well
    "cpu": Config("tiny-imagenet-100", "resnet50", width=8, cuts=CUTS, lrs=(3e-3,), synthetic_lrs=(3e-3,), epochs=1,
                  tuning_epochs=1, image_size=32, train_images=5_000, targets=("true",)),
    "paper": Config("tiny-imagenet-100", "resnet50", width=64, cuts=CUTS, lrs=(0.03, 0.1, 0.3),
                    synthetic_lrs=(1e-4, 3e-4, 1e-3), epochs=60, tuning_epochs=10, batch_size=128, synthetic_width=128,
                    augmented=True, optimizer="sgd", weight_decay=5e-4, bfloat16=True, tuned_for=("backprop", "each")),
}


def verdict(record: dict) -> Verdict:
    """Always open: the run shows that the code works, and is far too short for an order of the methods."""
    config, results = record["config"], {unit: found for unit, found in record["results"].items() if "runs" in found}
    if not any(found["runs"] for found in results.values()):
        raise MissingResults("record: expected runs, got none")
    values = [100 * run["test_accuracy"] for found in results.values() for run in found["runs"]]
    return Verdict(
        claim="ImageNet, three cuts, per cent right among the best five: noprop 38.0 < VFBN 52.9 < critic 86.9, "
              "Sobolev 87.4 (backprop 92.3).",
        measured=f"A smoke test of the code path: {len(values)} runs of {len(results)} ways to train ended, with "
                 f"{min(values):.1f} to {max(values):.1f} per cent right. No order is read off them.",
        scale=f"{config['data']}, epochs: {config['epochs']}, ResNet-50 with {config['width']} channels in the stem.",
        status="open", rule="Always open: nothing at this scale can decide.")
