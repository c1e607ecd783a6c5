"""Table 1, CIFAR-10: a residual network cut into four parts, six ways to hand gradients across the cuts.

The ``cpu`` preset was looked for among set-ups in which backprop does not overfit and lies at least 15 points above noprop,
the modules have at most a quarter of the network's parameters, and Sobolev and critic come to lie clearly above noprop.
What was tried: ``resnet_cifar``, crops and flips, batches of 100, Adam 2e-3, one seed, true targets; per cent right of 4,000
test images (in brackets backprop's on training batches). Cosines are Sobolev's at the three cuts, at the end.

    depth, width  norm   pixels  images x epochs  synthetic lr  backprop     noprop  Sobolev  critic  cosines
    18, 16        batch  32      20,000 x 2       2e-3          53.4 (49)    39.6    39.2
    10, 16        batch  24      20,000 x 2       2e-3          53.6 (53)    43.1    44.0     43.4    0.22 0.31 0.49
    10, 16        group  24      20,000 x 2       2e-3          46.0 (43)    37.3    28.6     28.1    0.16 0.26 0.39
    10, 16        batch  24      20,000 x 4       5e-3          61.2 (58)    45.6    53.1             0.37 0.56 0.75
    10, 16        batch  24      20,000 x 4       1e-2          61.2 (58)    45.6    54.4     52.1    0.36 0.57 0.75
    10, 16        batch  32      48,000 x 2       1e-2          63.4 (60)    47.6    53.4             0.40 0.58 0.77

The last row is the preset's own, shortened: modules of ``synthetic_width`` 24, which have 42,798 parameters for Sobolev and
70,672 for direct, under a quarter of the network's 308,826; the rows above have 32 (the first is an earlier trial). So the
modules want a rate several times the network's, and many steps; BatchNorm, though it mixes the images of a batch, served
synthetic gradients better than GroupNorm; the gap to noprop grows with the steps. At 32 pixels one thread takes 608 images a
second by backprop, 1,278 by noprop, 364 by Sobolev: eight epochs are 11, 5 and 18 minutes. Eight are twice a trial's
length, and what two cores can finish. One seed each: this chose a set-up, and says nothing of the order. The images came from
JPEG files of quality 75, into which CIFAR-10's own, which are without loss, had been written.
"""
from sobolev_lib.experiments.table_1 import Config, describe, probe, run_unit, units
from sobolev_lib.experiments.table_1_verdict import verdict

__all__ = ["NAME", "SHOWS", "PRESETS", "units", "run_unit", "describe", "probe", "verdict"]
NAME = "synthetic-gradients-cifar10"
SHOWS = "Table 1, CIFAR-10"
CUTS = (("layer1", "layer2", "layer3"),)

PRESETS = {
    # scikit-learn's digits, and a network so narrow that random lower parts hurt; one choice each, so nothing is tuned
    "quick": Config("digits", "small_conv", width=8, cuts=(("block2", "block3", "block4"),), lrs=(2e-3,),
                    synthetic_lrs=(2e-3,), epochs=6, tuning_epochs=1, batch_size=50, validation_images=0, targets=("true",)),
    # sized for two cores: some twelve hours of one
    "cpu": Config("cifar10", "resnet_cifar", depth=10, width=16, cuts=CUTS, lrs=(2e-3, 5e-3, 1e-2),
                  synthetic_lrs=(3e-3, 1e-2, 3e-2), epochs=8, tuning_epochs=4, synthetic_width=24, augmented=True),
    # eight minutes of an H100, all units side by side: torchrun --nproc-per-node 10. The network's rate is the trials'
    "gpu": Config("cifar10", "resnet_cifar", depth=18, width=32, cuts=CUTS, lrs=(2e-3,), synthetic_lrs=(3e-3, 1e-2),
                  epochs=10, tuning_epochs=2, batch_size=200, synthetic_width=96, augmented=True, bfloat16=True),
    "paper": Config("cifar10", "resnet_cifar", width=64, cuts=CUTS, lrs=(0.03, 0.1, 0.3), synthetic_lrs=(1e-3, 3e-3, 1e-2),
                    epochs=100, tuning_epochs=20, batch_size=128, synthetic_width=128, augmented=True, optimizer="sgd",
                    weight_decay=5e-4, bfloat16=True, tuned_for=("backprop", "each")),
}
