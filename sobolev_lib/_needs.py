"""What the library can't do without, asked at the import: an older PyTorch would fail later, and in words of its own."""
import torch

OLDEST_TORCH = (2, 9)                                       # as in pyproject.toml


def check_torch(version: str) -> None:
    """Raise ``ImportError`` for a PyTorch that is too old.

    >>> check_torch("2.9.1+cu128")
    """
    if tuple(int(part) for part in version.split(".")[:2]) < OLDEST_TORCH:
        raise ImportError(f"sobolev_lib needs PyTorch {'.'.join(map(str, OLDEST_TORCH))} or newer, got {version}: "
                          "pip install --upgrade torch, and restart Python or the notebook's kernel")


check_torch(torch.__version__)
