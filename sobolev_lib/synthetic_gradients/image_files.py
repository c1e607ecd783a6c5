"""Image files: finding a set in a packed file, in a folder or on the hub (both by ``datasets``), and decoding its images."""
import functools
import io
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from sobolev_lib.synthetic_gradients.packed import PackedSplit, read_packed

# name: repository on the hub, the split that stands for "test" (ImageNet's own test labels are secret), classes
HUB = {"cifar10": ("uoft-cs/cifar10", "test", 10), "imagenet": ("ILSVRC/imagenet-1k", "validation", 1000)}
STARTS = {"train": "train", "test": "test", "validation": "valid"}      # how the names of a split's files start
AREA, RATIO = (0.08, 1.0), (3 / 4, 4 / 3)                  # of a random piece: share of the image, width to height


@dataclass(frozen=True)
class Opened:
    """A split that is open but not decoded."""

    table: Any                                             # of datasets, one column
    labels: np.ndarray                                     # (N,) int64
    num_classes: int
    source: str

    def files(self, rows: slice | list[int]) -> list[dict]:
        """The bytes (or the path) of these images' files."""
        return self.table[rows][self.table.column_names[0]]

    @property
    def encoding(self) -> str | None:
        """The format of the first image's file as Pillow names it, such as "JPEG", which loses a little, or "PNG"."""
        return _opened(self.files(slice(1))[0]).format


def data_folder(folder: str | Path | None) -> Path | None:
    """Where folders with sets lie: ``folder``, else what the environment variable SOBOLEV_DATA names, else nowhere."""
    folder = folder or os.environ.get("SOBOLEV_DATA")
    return Path(folder).expanduser() if folder else None


# the last few stay open: each epoch of a stream asks again, and ImageNet's three hundred files take seconds
@functools.lru_cache(maxsize=4)
def open_split(name: str, split: str, root: Path | None) -> Opened | PackedSplit:
    """"train" or "test" of a set: from its packed file or its folder in ``root`` if there is one, else from the hub."""
    if not isinstance(name, str) or not name or Path(name).name != name:
        raise ValueError(f"name: expected the name of a set or of a folder in folder=, not a path, got {name!r}")
    if root is not None and (root / f"{name}.npz").is_file():
        packed = read_packed(root / f"{name}.npz", split)
        check_labels(packed.labels, packed.num_classes, f"{name}, {split}")
        return packed
    datasets, _ = import_at_need("datasets"), import_at_need("PIL.Image")
    repository, test_split, num_classes = HUB.get(name, (None, "test", None))
    if root is not None and (root / name).is_dir():
        source = "folder"
        wanted = ["train"] if split == "train" else [test_split, *({"test", "validation"} - {test_split})]
        table = datasets.load_dataset("parquet", data_files={split: _files(root / name, wanted)}, split=split)
    elif repository is None:
        raise FileNotFoundError(_nowhere(name, root, f"the Hugging Face hub is asked only for {' and '.join(HUB)}, and "
                                                     f"load_images has the digits without either"))
    else:
        source = "hub"
        try:
            table = datasets.load_dataset(repository, split="train" if split == "train" else test_split)
        except Exception as error:                         # whatever the hub's client raises, the answer is the same
            said = f"the Hugging Face hub, asked for {repository}, said {type(error).__name__}: {error}"
            raise FileNotFoundError(_nowhere(name, root, said)) from error
    image = next((column for column in ("img", "image") if column in table.column_names), None)
    if image is None or "label" not in table.column_names:
        raise ValueError(f"{name}, {split}: expected columns img or image, and label, got "
                         f"{', '.join(table.column_names)}")
    labels = np.asarray(table.select_columns(["label"]).with_format("numpy")[:]["label"])
    if len(labels) == 0 or labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(f"{name}, {split} labels: expected N >= 1 integers, got {labels.dtype} of shape "
                         f"{labels.shape}")
    num_classes = getattr(table.features["label"], "num_classes", num_classes)
    if num_classes is None:
        # the files don't say how many classes there are: as many as training meets
        num_classes = int(labels.max()) + 1 if split == "train" else open_split(name, "train", root).num_classes
    check_labels(labels, num_classes, f"{name}, {split}")
    # the files' bytes as they are: they are decoded here, once, at the size that is wanted
    table = table.select_columns([image]).cast_column(image, datasets.Image(decode=False))
    return Opened(table, labels.astype(np.int64), num_classes, source)


def _files(folder: Path, splits: list[str]) -> list[str]:
    """The parquet files of the first of these splits that has any, at any depth: a clone from the hub will do."""
    found = sorted(folder.rglob("*.parquet"))
    for split in splits:
        files = [str(path) for path in found if path.name.startswith(STARTS[split])]
        if files:
            return files
    expected = " or ".join(f"{STARTS[split]}*.parquet" for split in splits)
    got = ", ".join(path.name for path in found) or "no parquet files"
    raise FileNotFoundError(f"{folder}: expected {expected}, got {got}")


def _nowhere(name: str, root: Path | None, said: str) -> str:
    looked = f"there is no folder {root / name}" if root else "no folder was given and SOBOLEV_DATA is not set"
    gated = " ImageNet's owners want to be asked: accept their terms on its page of the hub, then run `hf auth login`."
    return (f"images {name!r}: {looked}; {said}. To read them from a folder, set SOBOLEV_DATA (or pass folder=) to one "
            f"in which {name}/ holds train*.parquet and test*.parquet or valid*.parquet, with columns img or image, "
            f"and label." + gated * (name == "imagenet"))


def check_labels(labels: Tensor | np.ndarray, num_classes: int, what: str) -> None:
    """Raises ``ValueError`` unless all labels (N,) lie between 0 and ``num_classes`` - 1."""
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= num_classes:
        hidden = " (-1 usually stands for a label that is kept secret)" if low == -1 else ""
        raise ValueError(f"{what} labels: expected 0 to {num_classes - 1}, got {low} to {high}{hidden}")


def import_at_need(module: str):
    """A module of the extra "images": the digits, and all that works on tensors, do without."""
    try:
        return __import__(module, fromlist=["*"])
    except ImportError as error:
        raise ImportError('reading images needs datasets and Pillow: pip install "sobolev_lib[images]"') from error


def _opened(file: dict):
    source = io.BytesIO(file["bytes"]) if file["bytes"] is not None else file["path"]
    return import_at_need("PIL.Image").open(source)


def read_image(file: dict, what: str):
    """A file's image as RGB, and whether it is a grey one."""
    try:
        image = _opened(file)
        image.load()
    except (OSError, SyntaxError) as error:                # Pillow's words for a broken PNG are a SyntaxError
        raise ValueError(f"{what}: expected an image that Pillow can read, got {error}") from error
    if image.mode.startswith(("I", "F")):
        raise ValueError(f"{what}: expected 8 bits a channel, got mode {image.mode}")
    return image.convert("RGB"), image.mode in ("1", "L", "LA")


def central(image, size: int, share: float = 1.0, *, blocks: bool = True) -> np.ndarray:
    """The central square, ``share`` of the shorter side, at size x size; ``blocks``: by means of blocks if they fit."""
    side = share * min(image.size)
    left, top = [(length - side) // 2 for length in image.size]
    box = (left, top, left + side, top + side)
    if blocks and side % size == 0:
        return np.asarray(image.reduce(int(side) // size, box=tuple(map(int, box))))
    return np.asarray(image.resize((size, size), import_at_need("PIL.Image").Resampling.BILINEAR, box=box))


def random_piece(image, size: int, rng: np.random.Generator) -> np.ndarray:
    """A random piece of the image at size x size, flipped left to right with probability 1/2."""
    pillow = import_at_need("PIL.Image")
    width, height = image.size
    for _ in range(10):
        area = width * height * rng.uniform(*AREA)
        ratio = math.exp(rng.uniform(*np.log(RATIO)))
        w, h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < w <= width and 0 < h <= height:
            left, top = int(rng.integers(width - w + 1)), int(rng.integers(height - h + 1))
            break
    else:                                                  # too long an image: the largest central piece of that shape
        w, h = min(width, round(height * RATIO[1])), min(height, round(width * RATIO[1]))
        left, top = (width - w) // 2, (height - h) // 2
    piece = image.resize((size, size), pillow.Resampling.BILINEAR, box=(left, top, left + w, top + h))
    return np.asarray(piece.transpose(pillow.Transpose.FLIP_LEFT_RIGHT) if rng.random() < 0.5 else piece)
