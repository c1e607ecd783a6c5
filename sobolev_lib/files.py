"""Files that are written whole or not at all, whatever ends the process; on every system that Python runs on."""
import contextlib
import glob
import os
import secrets
import tempfile
import time
from pathlib import Path
from typing import IO

try:
    import fcntl
except ImportError:                                        # Windows, where nobody can delete a file that another has open
    fcntl = None  # type: ignore[assignment]

ABANDONED = 2                                              # seconds until a file that nobody holds is taken as left behind


def write_whole(path: str | Path, content: str | bytes) -> None:
    """Write a file so that a reader, or a crash, never sees half of it.

    >>> write_whole("notes/today.txt", "All of it")                                            # doctest: +SKIP

    Where ``path`` is a symbolic link, the file that it points to is written; folders that are missing are made. New files
    get the permissions that the process gives to its files. What killed processes have left beside the file goes. Raises
    ``OSError`` if the file can't be written, and leaves the old one.
    """
    path = Path(os.path.realpath(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    data = content.encode() if isinstance(content, str) else content
    remove_abandoned(path.parent, f".{glob.escape(path.name)}-*")
    temporary = path.with_name(f".{path.name}-{os.getpid()}-{secrets.token_hex(4)}")
    try:
        with open(temporary, "xb") as file:
            hold(file)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
            if path.exists():
                os.chmod(temporary, path.stat().st_mode & 0o7777)
            if fcntl is not None:
                os.replace(temporary, path)                # while it is held: nobody takes it for left behind
        if fcntl is None:
            os.replace(temporary, path)                    # Windows moves closed files only
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def hold(file: IO) -> None:
    """Mark an open file as one that this process still writes, until it is closed or the process ends.

    >>> with open("screens.tmp", "wb") as file:                                                # doctest: +SKIP
    ...     hold(file)

    On Windows an open file is marked as it is.
    """
    if fcntl is not None:
        with contextlib.suppress(OSError):                 # some network drives know no locks
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def remove_abandoned(folder: Path, pattern: str) -> None:
    """Delete files that were being written by processes which have ended since; those of ``hold``.

    >>> remove_abandoned(folder, "screens.*.tmp")                                              # doctest: +SKIP
    """
    for path in folder.glob(pattern):
        with contextlib.suppress(OSError):                 # held, or gone already
            if time.time() - path.stat().st_mtime < ABANDONED:
                continue                                   # perhaps made just now, and not held yet
            with open(path, "rb") if fcntl is not None else contextlib.nullcontext() as file:
                if fcntl is not None:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink()


def check_writable(path: str | Path) -> None:
    """Raises ``ValueError`` unless a file can be written at ``path``: before hours of work, not after.

    >>> check_writable("run.safetensors")
    """
    path = Path(os.path.realpath(path))
    try:
        if path.is_dir():
            raise IsADirectoryError("it is a folder")
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise ValueError(f"checkpoint: expected a file that can be written, got {path}: {error}") from None
