"""Images as tensors: digits that need no download, sets that fit in memory, and a stream for those that don't."""
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from sobolev_lib.synthetic_gradients.image_files import (
    Opened,
    central,
    check_labels,
    data_folder,
    import_at_need,
    open_split,
    random_piece,
    read_image,
)

SHOWN = 224 / 256                                          # share of the shorter side that a central crop shows


@dataclass(repr=False, eq=False)
class Images:
    """A set of labelled images in memory, for training and for test.

    >>> images = load_images("digits")
    >>> images
    Images('digits', 1442 + 355 images of 1 x 8 x 8, 10 classes, from scikit-learn)
    >>> images.train[0].shape, images.train[1].shape
    (torch.Size([1442, 1, 8, 8]), torch.Size([1442]))

    ``train`` and ``test`` are pairs: images (N, C, H, W) uint8, labels (N,) int64 from 0 to ``num_classes`` - 1.
    ``mean`` and ``std`` (C,) are those of the training images, pixel by pixel, on the scale from 0 to 1. ``source``:
    "scikit-learn", "file", "folder" or "hub". ``encoding`` is the format of the files that a folder or the hub held, as Pillow
    names it: "JPEG" loses a little.

    Raises ``TypeError`` or ``ValueError`` for other dtypes or shapes, and for labels out of range.
    """

    name: str
    num_classes: int
    train: tuple[Tensor, Tensor]
    test: tuple[Tensor, Tensor]
    source: str
    encoding: str | None = None
    mean: Tensor = field(init=False)
    std: Tensor = field(init=False)

    def __post_init__(self):
        for split in ("train", "test"):
            images, labels = getattr(self, split)
            if images.dtype != torch.uint8 or labels.dtype != torch.int64:
                raise TypeError(f"{split}: expected images of torch.uint8 and labels of torch.int64, got "
                                f"{images.dtype} and {labels.dtype}")
            if images.ndim != 4 or len(images) == 0 or labels.shape != images.shape[:1]:
                raise ValueError(f"{split}: expected images (N, C, H, W) and labels (N,) with N >= 1, got "
                                 f"{tuple(images.shape)} and {tuple(labels.shape)}")
            check_labels(labels, self.num_classes, split)
        if self.train[0].shape[1:] != self.test[0].shape[1:]:
            raise ValueError(f"test: expected images {tuple(self.train[0].shape[1:])} as in training, got "
                             f"{tuple(self.test[0].shape[1:])}; size= makes them equal")
        images, levels = self.train[0], torch.arange(256, dtype=torch.float64) / 255
        # from the histogram of each channel: exact, and without a copy in floating point
        counts = torch.stack([torch.bincount(images[:, c].flatten(), minlength=256) for c in range(images.shape[1])])
        shares = counts.cpu().double() / counts[0].sum().item()
        mean = shares @ levels
        variance = (shares * (levels - mean.unsqueeze(1)) ** 2).sum(1)
        self.mean, self.std = mean.float(), variance.sqrt().float()

    def __repr__(self) -> str:
        (train, _), (test, _) = self.train, self.test
        return (f"Images({self.name!r}, {len(train)} + {len(test)} images of {' x '.join(map(str, train.shape[1:]))}, "
                f"{self.num_classes} classes, from {self.source})")


def load_images(name: str = "digits", *, folder: str | Path | None = None, size: int | None = None,
                progress: bool = True) -> Images:
    """Read a whole set of images into memory, as uint8.

    >>> load_images("digits", size=16).test[0].shape
    torch.Size([355, 1, 16, 16])
    >>> load_images("cifar10")                               # doctest: +SKIP
    Images('cifar10', 50000 + 10000 images of 3 x 32 x 32, 10 classes, from hub)

    "digits" comes with scikit-learn; of each class every fifth image is for test. "cifar10" and "imagenet" come from
    the Hugging Face hub, unless there is a folder of that name in ``folder`` (by default what the environment variable
    ``SOBOLEV_DATA`` names), or a file that ``pack`` has made, ``NAME.npz``. Any other folder or file there can be named too.
    A folder holds parquet files as the hub has them: names that start with "train", "test" or "valid", columns
    "img" or "image", and "label". Test images are those of "test", else of "valid"; for ImageNet the other way
    round.

    ``size`` resizes to size x size pixels: the central square, means of whole blocks of pixels where ``size`` divides
    its side, else antialiased bilinear. Grey images become (3, H, W) like the rest unless the whole set is grey.
    Meant for up to a few hundred MB; see ``image_stream`` for more.

    Raises ``FileNotFoundError`` if a set is neither in the folder nor to be had from the hub, ``ValueError`` for labels
    out of range and for images of unequal size without ``size``, ``ImportError`` if ``datasets`` or Pillow is missing.
    """
    if size is not None:
        _check_whole(size=(size, 1))
    if name == "digits":
        return _digits(size)
    splits, grey = [], True
    for split in ("train", "test"):
        opened = open_split(name, split, data_folder(folder))
        images, all_grey = _decode_all(opened, size, split, progress)
        splits.append((images, torch.from_numpy(opened.labels.copy())))
        grey &= all_grey
    encoding = opened.encoding if isinstance(opened, Opened) else None
    if grey:
        splits = [(images[:, :1].contiguous(), labels) for images, labels in splits]
    return Images(name, opened.num_classes, *splits, opened.source, encoding)


def image_stream(name: str, split: str, *, size: int = 224, batch_size: int, train: bool, seed: int, epoch: int = 0,
                 start_batch: int = 0, rank: int = 0, world: int = 1, workers: int = 0,
                 folder: str | Path | None = None) -> DataLoader:
    """One epoch of a set that does not fit in memory, as batches decoded on the fly.

    >>> for images, labels in image_stream("imagenet", "train", batch_size=256, train=True, seed=0):  # doctest: +SKIP
    ...     print(images.shape, labels.shape)
    torch.Size([256, 3, 224, 224]) torch.Size([256])

    Yields images (B, 3, size, size) uint8 and labels (B,) int64. ``split`` is "train" or "test"; ``load_images`` says
    where images are looked for. The result is a ``DataLoader``: its length is the number of batches,
    ``.dataset.num_classes`` that of the classes.

    ``train=True``: a random piece of each image (8% to 100% of its area, 3:4 to 4:3) and a flip, shuffled anew each
    ``epoch``; what does not fill a batch on every rank is left out. ``train=False``: the shorter side resized to
    256/224 of ``size`` and the centre cropped, every image once, in batches of nearly equal size. Each of ``world``
    ranks gets its own images and the same number of batches.

    Order, crops and flips depend on ``seed`` and ``epoch`` alone: not on ``workers`` (processes that decode), nor on
    ``start_batch``, which skips batches without decoding them, to resume.

    Raises ``ValueError`` for arguments out of range and too few images, and what ``load_images`` raises.
    Source: the usual preprocessing of ResNet-50 on ImageNet.
    """
    if split not in ("train", "test"):
        raise ValueError(f"split: expected 'train' or 'test', got {split!r}")
    _check_whole(size=(size, 1), batch_size=(batch_size, 1), seed=(seed, 0), epoch=(epoch, 0), rank=(rank, 0),
                 world=(world, 1), workers=(workers, 0), start_batch=(start_batch, 0))
    if rank >= world:
        raise ValueError(f"rank: expected 0 to {world - 1} in a world of {world}, got {rank}")
    opened = open_split(name, split, data_folder(folder))
    count, step = len(opened.labels), batch_size * world   # images, and how many of them all ranks take together
    if count < (step if train else world):
        raise ValueError(f"{name}, {split}: expected at least {step if train else world} images for {world} ranks with "
                         f"batch_size {batch_size}, got {count}")
    if train:
        order = np.random.default_rng([seed, epoch]).permutation(count)
        batches = list(order[:count // step * step].reshape(-1, world, batch_size)[:, rank])
    else:
        batches = np.array_split(np.arange(count), -(-count // step) * world)[rank::world]
    if start_batch > len(batches):
        raise ValueError(f"start_batch: expected 0 to {len(batches)}, the number of batches, got {start_batch}")
    # with a generator of its own, since a DataLoader draws a number that nothing here depends on
    return DataLoader(_Stream(opened, split, size, (seed, epoch) if train else None), sampler=batches[start_batch:],
                      batch_size=None, collate_fn=tuple, num_workers=workers, generator=torch.Generator(),
                      pin_memory=torch.cuda.is_available())


def augment(images: Tensor, generator: torch.Generator, *, pad: int = 4, flip: bool = True) -> Tensor:
    """Shift each image by up to ``pad`` pixels, and flip it left to right with probability 1/2.

    >>> images = torch.randint(256, (10, 3, 32, 32), dtype=torch.uint8)
    >>> augment(images, torch.Generator().manual_seed(0)).shape
    torch.Size([10, 3, 32, 32])

    Images (N, C, H, W) of any dtype, on any device; every image has its own shift and flip, all drawn from
    ``generator`` (on the images' device, or on the CPU). This is the usual random crop of a zero-padded image. What
    comes in at the edges is 0 in the images' own units: black for uint8 pixels, as is standard; the mean colour for
    images that ``normalize`` has seen. The result is laid out channels last.

    Raises ``TypeError`` without a generator and ``ValueError`` for another shape or a negative ``pad``.
    Source: the usual augmentation of CIFAR-10 (ResNet, section 4.2).
    """
    if not isinstance(generator, torch.Generator):
        raise TypeError(f"generator: expected a torch.Generator, got {type(generator).__name__}")
    if images.ndim != 4:
        raise ValueError(f"images: expected shape (N, C, H, W), got {tuple(images.shape)}")
    _check_whole(pad=(pad, 0))
    n, _, height, width = images.shape

    def draw(high):
        return torch.randint(high, (n, 1), generator=generator, device=generator.device).to(images.device)

    rows = draw(2 * pad + 1) + torch.arange(height, device=images.device)                 # (N, H)
    columns = draw(2 * pad + 1) + torch.arange(width, device=images.device)               # (N, W)
    if flip:
        columns = torch.where(draw(2) == 1, columns.flip(1), columns)
    padded = F.pad(images, (pad,) * 4).permute(0, 2, 3, 1)                                # (N, H + 2 pad, W + 2 pad, C)
    which = torch.arange(n, device=images.device)[:, None, None]
    return padded[which, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def normalize(images: Tensor, mean: Tensor | Sequence[float], std: Tensor | Sequence[float]) -> Tensor:
    """Pixels from 0 to 255 as float32 numbers with mean 0 and standard deviation 1 in each channel.

    >>> images = load_images("digits")
    >>> x = normalize(images.train[0], images.mean, images.std)
    >>> x.mean().abs() < 1e-4, x.std().round(decimals=3)
    (tensor(True), tensor(1.))

    uint8 (N, C, H, W) to float32 of the same shape, laid out channels last, which convolutions prefer. ``mean`` and
    ``std``: one number a channel, on the scale from 0 to 1.

    Raises ``TypeError`` for other dtypes, ``ValueError`` for other shapes or a ``std`` that is not positive.
    """
    if images.dtype != torch.uint8:
        raise TypeError(f"images: expected torch.uint8, got {images.dtype}")
    if images.ndim != 4:
        raise ValueError(f"images: expected shape (N, C, H, W), got {tuple(images.shape)}")
    mean, std = [torch.as_tensor(values, dtype=torch.float32) for values in (mean, std)]
    for what, values in (("mean", mean), ("std", std)):
        if values.shape != (images.shape[1],):
            raise ValueError(f"{what}: expected one number for each of {images.shape[1]} channels, got shape "
                             f"{tuple(values.shape)}")
    if not (std > 0).all():
        raise ValueError(f"std: expected positive numbers, got {std.tolist()}")
    # checked before they move, so that no batch waits for a device's answer
    shift, scale = [(255 * values[:, None, None]).to(images.device) for values in (mean, std)]
    return images.to(torch.float32, memory_format=torch.channels_last).sub_(shift).div_(scale)


def _digits(size: int | None) -> Images:
    from sklearn.datasets import load_digits  # here, since it takes a second to import

    digits = load_digits()
    pixels = np.rint(digits.images * (255 / 16)).astype(np.uint8)                         # (1797, 8, 8), from 0 to 16
    if size is not None:
        pixels = np.stack([central(import_at_need("PIL.Image").fromarray(picture), size) for picture in pixels])
    images, labels = torch.from_numpy(pixels).unsqueeze(1), torch.from_numpy(digits.target.astype(np.int64))
    test = torch.zeros(len(labels), dtype=torch.bool)
    for label in range(10):
        test[(labels == label).nonzero()[4::5]] = True
    return Images("digits", 10, (images[~test], labels[~test]), (images[test], labels[test]), "scikit-learn")


def _decode_all(opened: Opened, size: int | None, split: str, progress: bool) -> tuple[Tensor, bool]:
    """Images (N, 3, H, W), and whether all of them are grey."""
    count, pixels, grey = len(opened.labels), None, True
    with tqdm(total=count, desc=f"decoding {split} images", disable=not progress, delay=2) as bar:
        for start in range(0, count, 256):                 # so many files at once
            for i, file in enumerate(opened.files(slice(start, start + 256)), start):
                image, is_grey = read_image(file, f"{split} image {i}")
                picture = central(image, size) if size is not None else np.asarray(image)
                if pixels is None:
                    pixels = np.empty((count, *picture.shape), dtype=np.uint8)
                if picture.shape != pixels.shape[1:]:
                    (h, w), (height, width) = picture.shape[:2], pixels.shape[1:3]
                    raise ValueError(f"{split} image {i}: expected {height} x {width} pixels like the first, got {h} x "
                                     f"{w}; size= makes them equal")
                pixels[i] = picture
                grey &= is_grey
            bar.update(min(256, count - start))
    return torch.from_numpy(pixels).permute(0, 3, 1, 2), grey


class _Stream(Dataset):
    """Decodes the images whose indices it is asked for; ``key`` (seed, epoch) makes random crops, None central ones."""

    def __init__(self, opened: Opened, split: str, size: int, key: tuple[int, int] | None):
        self.opened, self.split, self.size, self.key = opened, split, size, key
        self.num_classes = opened.num_classes

    def __len__(self) -> int:
        return len(self.opened.labels)

    def __getitem__(self, indices: np.ndarray) -> tuple[Tensor, Tensor]:
        pixels = np.empty((len(indices), self.size, self.size, 3), dtype=np.uint8)
        rows = indices.tolist()
        for k, (index, file) in enumerate(zip(rows, self.opened.files(rows))):
            image, _ = read_image(file, f"{self.split} image {index}")
            if self.key is None:
                pixels[k] = central(image, self.size, SHOWN, blocks=False)
            else:
                # a generator for each image: whoever decodes it, and after whichever others, the crop is the same
                pixels[k] = random_piece(image, self.size, np.random.default_rng([*self.key, index]))
        return torch.from_numpy(pixels).permute(0, 3, 1, 2), torch.from_numpy(self.opened.labels[indices])


def _check_whole(**arguments: tuple[Any, int]) -> None:
    for name, (value, least) in arguments.items():
        if not isinstance(value, (int, np.integer)) or isinstance(value, bool) or value < least:
            raise ValueError(f"{name}: expected a whole number, at least {least}, got {value!r}")
