"""Files of named tensors: safetensors with a sum over all they hold, written whole, and refused when they are not."""
import hashlib
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from sobolev_lib.files import write_whole
from sobolev_lib.identity import tensor_bytes

_SUM = "sha256"


def write_tensors(path: str | Path, tensors: dict[str, Tensor], about: dict[str, str]) -> None:
    """Write tensors, from any device, and what is to be known ``about`` them, to one file.

    >>> write_tensors("weights.safetensors", {"w": torch.ones(3)}, {"kind": "example"})        # doctest: +SKIP
    """
    # safetensors refuses tensors that share memory, as tied weights do: a copy each
    tensors = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in tensors.items()}
    write_whole(Path(path), save(tensors, metadata=about | {_SUM: _sum(tensors, about)}))


def read_tensors(path: str | Path, what: str) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors of a file, and what it says about them; files of earlier versions have no sum that could be compared.

    >>> tensors, about = read_tensors("weights.safetensors", "weights")                        # doctest: +SKIP

    Raises ``FileNotFoundError``, and ``ValueError`` naming the file if it is damaged. ``what`` begins the message.
    """
    try:
        with safe_open(path, framework="pt") as file:
            about = dict(file.metadata() or {})
            tensors = {name: file.get_tensor(name) for name in file.keys()}
    except SafetensorError as error:
        raise ValueError(f"{what}: expected a whole safetensors file, got a damaged or another one in {path}: "
                         f"{error}") from None
    except FileNotFoundError:
        raise
    except OSError as error:                               # a folder, for example; it does not name it
        raise ValueError(f"{what}: expected a file that can be read, got {path}: {error}") from None
    expected = about.pop(_SUM, None)
    misnamed = expected is None and any(len(key) == len(_SUM) and len(value) == 64 for key, value in about.items())
    if misnamed or expected is not None and expected != _sum(tensors, about):
        raise ValueError(f"{what}: expected the contents that were written, got others in {path}: it is damaged")
    return tensors, about


def read_about(path: str | Path) -> dict[str, str]:
    """What a file says about its tensors, without reading them; nothing if it is no such file.

    >>> read_about("weights.safetensors")["kind"]                                              # doctest: +SKIP
    'example'
    """
    try:
        with safe_open(path, framework="pt") as file:
            return dict(file.metadata() or {})
    except (SafetensorError, OSError):
        return {}


def _sum(tensors: dict[str, Tensor], about: dict[str, str]) -> str:
    found = hashlib.sha256(repr(sorted(about.items())).encode())
    for name, tensor in sorted(tensors.items()):
        found.update(f"{name} {tensor.dtype} {tuple(tensor.shape)};".encode())
        found.update(tensor_bytes(tensor))
    return found.hexdigest()
