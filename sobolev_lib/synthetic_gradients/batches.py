"""Batches to train on, from any step on: what a resumed run sees is what it would have seen."""
from typing import Iterator

import torch
from torch import Tensor

from sobolev_lib.synthetic_gradients.images import Images, augment, image_stream, normalize


class InMemory:
    """Shuffled batches of a set that fits in memory, normalised, and if wanted augmented on its device.

    >>> batches = InMemory(load_images("digits"), batch_size=50)                               # doctest: +SKIP
    >>> x, y = next(batches(0))                                                                # doctest: +SKIP
    >>> x.shape, y.shape                                                                       # doctest: +SKIP
    (torch.Size([50, 1, 8, 8]), torch.Size([50]))

    ``batches(first)`` yields images (N, C, H, W) float32 and labels (N,) from step ``first`` on, for ever. Order, shifts and
    flips depend on ``seed`` and the step alone. Each epoch takes every image at most once; what does not fill a batch on
    all ``world`` ranks is left out. Raises ``ValueError`` if there are fewer images than that.
    """

    def __init__(self, images: Images, batch_size: int, *, seed: int = 0, augmented: bool = False,
                 device: torch.device | str = "cpu", rank: int = 0, world: int = 1):
        self.images, self.labels = [tensor.to(device) for tensor in images.train]
        self.test_images, self.test_labels = [tensor.to(device)[rank::world] for tensor in images.test]
        self.mean, self.std, self.num_classes = images.mean, images.std, images.num_classes
        self.batch_size, self.seed, self.augmented = batch_size, seed, augmented
        self.rank, self.world = rank, world
        self.steps_an_epoch = len(self.labels) // (batch_size * world)
        if self.steps_an_epoch == 0:
            raise ValueError(f"batch_size: expected at most {len(self.labels) // world} for {world} "
                             f"rank{'s' if world > 1 else ''}, got {batch_size}")

    def __call__(self, first: int) -> Iterator[tuple[Tensor, Tensor]]:
        step, order, ordered = first, None, None
        while True:
            epoch, k = divmod(step, self.steps_an_epoch)
            if ordered != epoch:
                generator = torch.Generator().manual_seed(_mixed(self.seed, epoch, 0))
                order, ordered = torch.randperm(len(self.labels), generator=generator), epoch
            start = (k * self.world + self.rank) * self.batch_size
            index = order[start:start + self.batch_size].to(self.labels.device)
            x = self.images[index]
            if self.augmented:
                x = augment(x, torch.Generator().manual_seed(_mixed(self.seed, step, 1 + self.rank)))
            yield normalize(x, self.mean, self.std), self.labels[index]
            step += 1

    def test(self) -> Iterator[tuple[Tensor, Tensor]]:
        """This rank's share of the test set, every image once."""
        for images, labels in zip(self.test_images.split(500), self.test_labels.split(500)):
            yield normalize(images, self.mean, self.std), labels


class Streamed:
    """The same for a set that is decoded on the fly, such as ImageNet.

    >>> batches = Streamed("imagenet", 256, size=224, workers=8)                               # doctest: +SKIP

    Yields images (N, 3, size, size) float32 and labels (N,). Crops and flips are ``image_stream``'s. ``mean``
    and ``std`` are ImageNet's usual ones.
    """

    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

    def __init__(self, name: str, batch_size: int, *, size: int = 224, seed: int = 0, workers: int = 0, folder=None,
                 device: torch.device | str = "cpu", rank: int = 0, world: int = 1):
        self.device = device
        self.arguments = dict(name=name, split="train", size=size, batch_size=batch_size, train=True, seed=seed, rank=rank,
                              world=world, workers=workers, folder=folder)
        stream = image_stream(**self.arguments)
        self.steps_an_epoch, self.num_classes = len(stream), stream.dataset.num_classes

    def __call__(self, first: int) -> Iterator[tuple[Tensor, Tensor]]:
        epoch, start = divmod(first, self.steps_an_epoch)
        while True:
            for images, labels in image_stream(**self.arguments, epoch=epoch, start_batch=start):
                yield normalize(images.to(self.device), self.mean, self.std), labels.to(self.device)
            epoch, start = epoch + 1, 0

    def test(self) -> Iterator[tuple[Tensor, Tensor]]:
        """This rank's share of the test set, every image once."""
        for images, labels in image_stream(**{**self.arguments, "split": "test", "train": False}):
            yield normalize(images.to(self.device), self.mean, self.std), labels.to(self.device)


def _mixed(*numbers: int) -> int:
    """One seed from several numbers, different for different numbers."""
    mixed = 0
    for number in numbers:
        mixed = (mixed * 1_000_003 + number + 1) % 2**63
    return mixed
