"""Table 1, ImageNet: ResNet-50 cut once and three times.

``cpu`` and ``paper`` take ``tiny-imagenet-100`` from the folder that ``SOBOLEV_DATA`` names: a hundred of ImageNet's
classes at 64 x 64 pixels. The whole of ImageNet is a command of its own, ``python -m sobolev_lib.synthetic_gradients``.
"""
from sobolev_lib.experiments.table_1 import Config, describe, run_unit, units

__all__ = ["NAME", "SHOWS", "PRESETS", "units", "run_unit", "describe"]
NAME = "synthetic-gradients-imagenet"
SHOWS = "Table 1, ImageNet"
CUTS = (("layer2",), ("layer1", "layer2", "layer3"))

PRESETS = {
    "cpu": Config("tiny-imagenet-100", "resnet50", width=8, cuts=CUTS, lrs=(1e-3, 3e-3), synthetic_lrs=(1e-3, 3e-3),
                  epochs=4, tuning_epochs=1, image_size=32, targets=("true",)),
    "paper": Config("tiny-imagenet-100", "resnet50", width=64, cuts=CUTS, lrs=(0.03, 0.1, 0.3),
                    synthetic_lrs=(1e-4, 3e-4, 1e-3), epochs=60, tuning_epochs=10, batch_size=128, synthetic_width=128,
                    augmented=True, optimizer="sgd", weight_decay=5e-4, bfloat16=True, tuned_for=("backprop", "each")),
}
