"""A whole set of images in one small file: its JPEG or PNG files and their labels, for machines without a hub."""
import io
import tokenize
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sobolev_lib.files import write_whole

LIMIT = 30_000_000                                         # bytes; above it images are encoded anew
QUALITY = 80                                               # of those JPEGs
SPLITS = ("train", "test")
# what reading a damaged file can end in, wherever the damage lies
_DAMAGES = (OSError, EOFError, KeyError, TypeError, ValueError, IndexError, NotImplementedError, zipfile.BadZipFile,
            zlib.error, tokenize.TokenError)


@dataclass(frozen=True)
class PackedSplit:
    """A split out of a packed file: its labels (N,) int64, and its images' files, not decoded."""

    contents: np.ndarray                                   # all files one after another, uint8
    ends: np.ndarray                                       # of each file, (N,) int64
    labels: np.ndarray
    num_classes: int
    source: str = "file"

    def files(self, rows: slice | list[int]) -> list[dict]:
        """The bytes of these images' files."""
        starts = np.concatenate([[0], self.ends[:-1]])
        return [{"bytes": self.contents[start:end].tobytes(), "path": None}
                for start, end in zip(starts[rows], self.ends[rows])]


def pack(path: str | Path, splits: dict, limit: int = LIMIT) -> int:
    """Write "train" and "test", as ``open_split`` gives them, into one file at ``path``; returns its size in bytes.

    >>> pack("cifar10.npz", {split: open_split("cifar10", split, None) for split in ("train", "test")})  # doctest: +SKIP
    18123456

    The images' files are kept as they are if the result has at most ``limit`` bytes; else they become JPEGs of quality 80.
    ``load_images`` finds the file in the folder that SOBOLEV_DATA names. Written whole or not at all. Raises
    ``ValueError`` if the result is larger than ``limit`` all the same.
    """
    if tuple(splits) != SPLITS:
        raise ValueError(f"splits: expected {' and '.join(SPLITS)}, got {' and '.join(splits)}")
    for encode in (_as_it_is, _as_jpeg):
        data = _packed(splits, encode)
        if len(data) <= limit:
            write_whole(Path(path), data)
            return len(data)
    raise ValueError(f"limit: expected at least {len(data)} bytes for these images, got {limit}")


def read_packed(path: Path, split: str) -> PackedSplit:
    """"train" or "test" of a file that ``pack`` has written; raises ``ValueError`` for any other file."""
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as file:
            contents, ends, labels, num_classes = [file[name] for name in (
                f"{split}_contents", f"{split}_ends", f"{split}_labels", "num_classes")]
        sizes = np.diff(ends, prepend=0)
        if not (len(ends) == len(labels) > 0 and ends[-1] == len(contents) and (sizes > 0).all()
                and np.issubdtype(labels.dtype, np.integer) and num_classes.ndim == 0):
            raise ValueError(f"{len(labels)} labels and {len(ends)} files that do not fit each other")
    except _DAMAGES as error:
        raise ValueError(f"{path}: expected a file made by `python -m sobolev_lib.synthetic_gradients pack`, got one that "
                         f"gives: {error}") from error
    return PackedSplit(contents, ends, labels.astype(np.int64), int(num_classes))


def _packed(splits: dict, encode) -> bytes:
    arrays = {"num_classes": np.int64(splits["train"].num_classes)}
    for split, opened in splits.items():
        files = [encode(file) for file in opened.files(slice(None))]
        arrays |= {f"{split}_contents": np.frombuffer(b"".join(files), np.uint8), f"{split}_labels": opened.labels,
                   f"{split}_ends": np.cumsum([len(file) for file in files])}
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)                  # small JPEGs share most of their headers
    return buffer.getvalue()


def _as_it_is(file: dict) -> bytes:
    return file["bytes"] if file["bytes"] is not None else Path(file["path"]).read_bytes()


def _as_jpeg(file: dict) -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    image = Image.open(io.BytesIO(_as_it_is(file)))
    # grey images stay grey: who reads them tells the two apart
    image.convert("L" if image.mode in ("1", "L", "LA") else "RGB").save(buffer, "jpeg", quality=QUALITY)
    return buffer.getvalue()
