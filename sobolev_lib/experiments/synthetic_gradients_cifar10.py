"""Table 1, CIFAR-10: a convolutional network cut into four parts, six ways to hand gradients across the cuts."""
from sobolev_lib.experiments.table_1 import Config, describe, run_unit, units

__all__ = ["NAME", "SHOWS", "PRESETS", "units", "run_unit", "describe"]
NAME = "synthetic-gradients-cifar10"
SHOWS = "Table 1, CIFAR-10"

PRESETS = {
    # scikit-learn's digits, and a network so narrow that random lower parts hurt; one choice each, so nothing is tuned
    "quick": Config("digits", "small_conv", width=8, cuts=(("block2", "block3", "block4"),), lrs=(2e-3,),
                    synthetic_lrs=(2e-3,), epochs=8, tuning_epochs=1, batch_size=50, validation_images=0, targets=("true",),
                    resumable=False),
    # sized for two cores: a quarter of the pixels, a quarter of the images
    "cpu": Config("cifar10", "small_conv", width=16, cuts=(("block1", "block2", "block3"),), lrs=(1e-3, 3e-3, 1e-2),
                  synthetic_lrs=(3e-4, 1e-3, 3e-3), epochs=16, tuning_epochs=4, image_size=16, train_images=12_000),
    "paper": Config("cifar10", "resnet_cifar", width=64, cuts=(("layer1", "layer2", "layer3"),), lrs=(0.03, 0.1, 0.3),
                    synthetic_lrs=(1e-4, 3e-4, 1e-3), epochs=100, tuning_epochs=20, batch_size=128, synthetic_width=128,
                    augmented=True, optimizer="sgd", weight_decay=5e-4, bfloat16=True,
                    tuned_for=("backprop", "each")),
}
