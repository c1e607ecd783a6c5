"""Which points a step takes: shuffled epochs, or draws with replacement."""
import torch
from torch import Tensor


class Epochs:
    """Row indices of one batch after another, in shuffled epochs; can be put back where it was.

    >>> epochs = Epochs(5, batch_size=2, seed=0)
    >>> [len(epochs.next()) for _ in range(4)]
    [2, 2, 1, 2]

    All N points a step, as None, if ``batch_size`` is None or not less than N.
    """

    def __init__(self, n: int, batch_size: int | None, seed: int):
        self.n, self.size = n, None if batch_size is None or batch_size >= n else batch_size
        self.generator = torch.Generator().manual_seed(seed)
        self.epoch_state, self.position, self.order = self.generator.get_state(), -1, None     # no epoch has begun

    def next(self) -> Tensor | None:
        if self.size is None:
            return None
        if self.order is None or self.position >= self.n:
            self.epoch_state, self.position = self.generator.get_state(), 0
            self.order = torch.randperm(self.n, generator=self.generator)
        self.position += self.size
        return self.order[self.position - self.size:self.position]

    def restore(self, epoch_state: Tensor, position: int) -> None:
        self.generator.set_state(epoch_state)
        self.epoch_state, self.position = epoch_state, position
        self.order = None
        if self.size is not None and position >= 0:
            self.order = torch.randperm(self.n, generator=self.generator)


class EpochsOfAll:
    """The epochs of several networks, each with its own seed: for each the batches that ``fit`` takes with that seed.

    >>> index, widths = EpochsOfAll(5, batch_size=2, seeds=[0, 1]).take(4)
    >>> index.shape, widths
    (torch.Size([2, 4, 2]), [2, 2, 1, 2])

    ``take(count)`` gives the rows of the next steps (K, count, batch), and how many of them each step has: the last batch
    of an epoch may be smaller, and zeros fill it up. ``index`` is None where a step takes all points.
    """

    def __init__(self, n: int, batch_size: int | None, seeds: list[int]):
        self.n, self.size = n, n if batch_size is None else min(batch_size, n)
        self.generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        self.position, self.orders = -1, None              # no epoch has begun
        self.states = self._states()

    def take(self, count: int) -> tuple[Tensor | None, list[int]]:
        if self.size == self.n:
            return None, [self.size] * count
        index, widths = torch.zeros(len(self.generators), count, self.size, dtype=torch.int64), []
        for t in range(count):
            if self.orders is None or self.position >= self.n:
                self.states, self.position, self.orders = self._states(), 0, self._shuffled()
            rows = self.orders[:, self.position:self.position + self.size]
            self.position += self.size
            index[:, t, :rows.shape[1]] = rows
            widths.append(rows.shape[1])
        return index, widths

    def state(self) -> tuple[Tensor, dict]:
        """Random states (K, ...), and what JSON holds."""
        return self.states, {"position": self.position}

    def restore(self, states: Tensor, progress: dict) -> None:
        for generator, state in zip(self.generators, states):
            generator.set_state(state.clone())             # of a view it would read the beginning of the whole
        self.states, self.position = states, progress["position"]
        self.orders = None if self.position < 0 else self._shuffled()

    def _states(self) -> Tensor:
        return torch.stack([generator.get_state() for generator in self.generators])

    def _shuffled(self) -> Tensor:
        return torch.stack([torch.randperm(self.n, generator=generator) for generator in self.generators])


class WithReplacement:
    """Points drawn with replacement, for several networks, each with its own seed; as ``EpochsOfAll``.

    >>> index, widths = WithReplacement(5, 2, seeds=[0, 1]).take(4)
    >>> index.shape, widths
    (torch.Size([2, 4, 2]), [2, 2, 2, 2])
    """

    def __init__(self, n: int, size: int, seeds: list[int]):
        self.n, self.size = n, size
        self.generators = [torch.Generator().manual_seed(seed) for seed in seeds]

    def take(self, count: int) -> tuple[Tensor | None, list[int]]:
        widths = [self.size] * count
        if self.size >= self.n:
            return None, widths
        # many steps at once draw what one after another would
        return torch.stack([torch.randint(self.n, (count, self.size), generator=g) for g in self.generators]), widths

    def state(self) -> tuple[Tensor, dict]:
        return torch.stack([generator.get_state() for generator in self.generators]), {}

    def restore(self, states: Tensor, progress: dict) -> None:
        for generator, state in zip(self.generators, states):
            generator.set_state(state.clone())
