"""Training on points as they come: one pass over each lot, by an Adam that goes on from lot to lot."""
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Adam

from sobolev_lib.data import SobolevData
from sobolev_lib.losses import Loss
from sobolev_lib.training.estimating import Settings, output_sizes
from sobolev_lib.training.fitting import fit
from sobolev_lib.training.history import History

MOMENTS = ("step", "exp_avg", "exp_avg_sq")                # what PyTorch's Adam keeps of each parameter


class Stream:
    """What has to be remembered of the points that were seen: Adam's moments, the terms' divisors, the unit of weights.

    >>> data = sobolev_lib.label(sobolev_lib.functions.booth, torch.rand(20, 2))
    >>> networks, loss = [sobolev_lib.models.MLP(2, 8, 1)], sobolev_lib.SobolevLoss(1, normalize=True)
    >>> stream = Stream(networks)
    >>> histories = [stream.learn(networks, data, loss, Settings(lr=1e-2)) for _ in range(3)]
    >>> stream.passes
    3

    ``unit``: the sample weight that counts as 1, whichever points come next. ``divisors``: by order, the mean square of the
    first labels there were, by which a normalised loss divides its terms from then on; ``sizes`` (q,), each output's mean
    squared gradient then, or None.
    """

    def __init__(self, networks: Sequence[nn.Module], unit: float = 1.0):
        self.unit, self.passes = unit, 0
        self.divisors: dict[int, float] = {}
        self.sizes: np.ndarray | None = None
        # as Adam itself begins: nothing has happened yet
        self.moments = [{f"{name}.{key}": torch.zeros(()) if key == "step" else torch.zeros_like(parameter.detach())
                         for name, parameter in network.named_parameters() for key in MOMENTS} for network in networks]

    def see(self, data: SobolevData) -> None:
        """Let these be the first labels of each order that has none yet."""
        new = [k for k, labels in enumerate(data.derivatives) if k not in self.divisors and labels.nan_to_num().any()]
        if new:
            squares = data.mean_squares(data.order)
            self.divisors = self.divisors | {k: squares[k] for k in new}     # a new one: a copy of the stream has the other
        if 1 in new:
            self.sizes = output_sizes(data)

    def learn(self, networks: Sequence[nn.Module], data: SobolevData, loss: Loss, settings: Settings) -> list[History]:
        """Train the networks, in place, by one pass over the data; if that fails, they and the stream are as before."""
        seen = dict(self.divisors), self.sizes
        weights = [{name: tensor.clone() for name, tensor in network.state_dict().items()} for network in networks]
        try:
            self.see(data)
            divided = loss.with_numbers(loss.weights, tuple(self.divisors.get(k, 1.0) for k in range(data.order + 1)))
            adams = [self._adam(network, moments, settings) for network, moments in zip(networks, self.moments)]
            histories = [fit(network, data, loss=divided, steps=settings.steps_in_epoch(len(data)), optimizer=adam,
                             batch_size=settings.batch_size, seed=self.passes, progress=settings.progress)
                         for network, adam in zip(networks, adams)]
        except BaseException:                              # an interruption, too
            self.divisors, self.sizes = seen
            for network, before in zip(networks, weights):
                network.load_state_dict(before)
            raise
        self.moments = [{f"{name}.{key}": adam.state[parameter][key] for name, parameter in network.named_parameters()
                         for key in MOMENTS} for network, adam in zip(networks, adams)]
        self.passes += 1
        return histories

    def tensors(self) -> dict[str, Tensor]:
        """Adam's moments by name, of all networks; none before there was a pass."""
        return {f"adam{k or ''}.{name}": tensor for k, moments in enumerate(self.moments if self.passes else ())
                for name, tensor in moments.items()}

    @staticmethod
    def _adam(network: nn.Module, moments: dict[str, Tensor], settings: Settings) -> Adam:
        """Adam where it was, at the rate of now; on a copy of the moments, in the network's dtype, on the device of now."""
        network.to(settings.device)
        adam = Adam(network.parameters(), lr=float(settings.lr))
        for name, parameter in network.named_parameters():
            state = {key: moments[f"{name}.{key}"] for key in MOMENTS}
            adam.state[parameter] = {key: (tensor.to("cpu", torch.float32, copy=True) if key == "step"
                                           else tensor.to(parameter, copy=True)) for key, tensor in state.items()}
        return adam
