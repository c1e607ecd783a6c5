"""Arrays in few bytes: numbers rounded to 8 or 16 bits between two limits, equal arrays stored once.

A figure with a few hundred surfaces has to fit into a web page. On a screen, 256 heights are enough for a surface,
65,535 for a curve, and 20 opacities for a colour laid over an image.
"""
import base64
import zlib

import numpy as np

GAP = 65535   # 16-bit code of a missing number in a curve
STEPS = 20    # opacities of an overlay: gradients are noise, and every doubling costs a bit a pixel


class Blobs:
    """Byte strings by a short key; the same bytes get the same key.

    >>> blobs = Blobs()
    >>> blobs.add(np.zeros(3, np.uint8)) == blobs.add(np.zeros(3, np.uint8))
    True
    """

    def __init__(self):
        self._keys: dict[bytes, str] = {}
        self._texts: dict[str, str] = {}

    def add(self, array: np.ndarray) -> str:
        raw = np.ascontiguousarray(array.astype(array.dtype.newbyteorder("<"))).tobytes()
        key = self._keys.setdefault(raw, str(len(self._keys)))
        self._texts[key] = base64.b64encode(raw).decode()
        return key

    def used_by(self, panels: list[dict]) -> dict[str, str]:
        """Key to base64 of the byte strings that packed panels refer to."""
        keys = [panel.get(name) for panel in panels for name in ("z", "arrows", "points", "x", "image", "overlay")]
        keys += [curve.get(name) for panel in panels for curve in panel.get("curves", []) for name in ("y", "band")]
        return {key: self._texts[key] for key in keys if key is not None}


def pack8(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Numbers in [low, high] as 0..255; numbers outside are moved to the nearer limit.

    >>> pack8(np.array([0.0, 0.5, 2.0]), 0.0, 1.0)
    array([  0, 128, 255], dtype=uint8)
    """
    return np.rint((np.clip(values, low, high) - low) / ((high - low) or 1.0) * 255).astype(np.uint8)


def pack16(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Numbers in [low, high] as 0..65534, NaN as 65535; numbers outside are moved to the nearer limit.

    >>> pack16(np.array([0.0, 1.0, np.nan]), 0.0, 1.0)
    array([    0, 65534, 65535], dtype=uint16)
    """
    scaled = np.rint((np.clip(values, low, high) - low) / ((high - low) or 1.0) * (GAP - 1))
    return np.where(np.isnan(scaled), GAP, scaled).astype(np.uint16)


def pack_signed(values: np.ndarray, limit: float) -> np.ndarray:
    """Numbers in [-limit, limit] as 0..40, zero as 20; numbers outside are moved to the nearer limit.

    >>> pack_signed(np.array([-9.0, 0.0, 0.5]), 1.0)
    array([ 0, 20, 30], dtype=uint8)
    """
    return (np.rint(np.clip(values / (limit or 1.0), -1, 1) * STEPS) + STEPS).astype(np.uint8)


def deflate(array: np.ndarray) -> np.ndarray:
    """The array's bytes, compressed; in the page ``DecompressionStream("deflate")`` takes them back.

    >>> zlib.decompress(deflate(np.zeros(5, np.uint8)).tobytes()) == bytes(5)
    True
    """
    squeeze = zlib.compressobj(9, strategy=zlib.Z_FILTERED)   # for noise: a tenth smaller than the default
    return np.frombuffer(squeeze.compress(array.tobytes()) + squeeze.flush(), np.uint8)
