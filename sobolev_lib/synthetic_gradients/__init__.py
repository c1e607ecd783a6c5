"""Section 4.3: networks cut into parts that learn from synthetic gradients."""
from sobolev_lib.synthetic_gradients.batches import InMemory, Streamed
from sobolev_lib.synthetic_gradients.images import Images, load_images
from sobolev_lib.synthetic_gradients.methods import METHODS
from sobolev_lib.synthetic_gradients.network import CutReport, DecoupledNetwork, StepReport
from sobolev_lib.synthetic_gradients.networks import resnet50, resnet_cifar, small_conv
from sobolev_lib.synthetic_gradients.training import TrainingHistory, evaluate, train

__all__ = ["CutReport", "DecoupledNetwork", "Images", "InMemory", "METHODS", "StepReport", "Streamed", "TrainingHistory",
           "evaluate", "load_images", "resnet50", "resnet_cifar", "small_conv", "train"]
