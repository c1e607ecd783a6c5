"""What a run on a GPU leaves, as an archive in a few small files, and back into a checkout; used by scripts/gpu.sh.

    python scripts/gpu_results.py begin ITEM              the time and the unfinished folders, to be handed to pack
    python scripts/gpu_results.py pack ITEM OUT BEGAN     all that was written since, as OUT/results.zip.0 and so on
    python scripts/gpu_results.py collect FOLDER          put it in place here

If there is more than the files may hold, checkpoints are left out, oldest first, and named.
"""
import io
import json
import sys
import time
import zipfile
import zlib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
RECORDS, WEIGHTS = ROOT / "book" / "records", ROOT / "sobolev_lib" / "atari" / "weights"
PIECE, PIECES = 16_000_000, 4                              # bytes a file, files
MANIFEST = "manifest.json"


def begin(item: str) -> str:
    """What ``pack`` must know of the moment before the run."""
    return json.dumps({"time": time.time(), "folders": [path.name for path in _folders(item)]})


def pack(item: str, out: Path, began: dict, piece: int = PIECE) -> list[str]:
    """Write the archive's pieces; returns what was left out."""
    names = sorted({*began["folders"], *(path.name for path in _folders(item))})
    held = {name: sorted(_relative(path) for path in (RECORDS / ".unfinished" / name).rglob("*") if path.is_file())
            for name in names}
    # a hidden file is what a kill left of one half written
    files = [ROOT / path for paths in held.values() for path in paths if not Path(path).name.startswith(".")]
    files = [*files, *RECORDS.glob("*.json"), *WEIGHTS.glob("*.safetensors")]
    files = sorted((path for path in files if path.stat().st_mtime >= began["time"]),
                   key=lambda path: (path.suffix != ".json", -path.stat().st_mtime))
    archive, left_out = io.BytesIO(), []
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as zipped:
        zipped.writestr(MANIFEST, json.dumps(held))
        for path in files:
            # what a file takes beyond its own size: its name, twice, and the headers
            if archive.tell() + path.stat().st_size + 10_000 > piece * PIECES:
                left_out.append(_relative(path))
            else:
                zipped.write(path, _relative(path))
    whole = archive.getvalue()
    for k, start in enumerate(range(0, len(whole), piece)):
        (out / f"results.zip.{k}").write_bytes(whole[start:start + piece])
    return left_out


def collect(folder: Path) -> list[str]:
    """Put what ``pack`` wrote in place; returns the files' names. Nothing is written or deleted unless all of it is sound.

    Raises ``ValueError`` for an archive that is damaged, lacks a piece, or wants to reach other folders.
    """
    from sobolev_lib.files import write_whole  # takes a second, which the other commands need not

    pieces = sorted(folder.glob("results.zip.*"), key=lambda path: int(path.suffix[1:]))
    if not pieces:
        raise FileNotFoundError(f"results: expected {folder}/results.zip.0 and so on, as scripts/gpu.sh leaves them")
    try:
        with zipfile.ZipFile(io.BytesIO(b"".join(path.read_bytes() for path in pieces))) as zipped:
            contents = {name: zipped.read(name) for name in zipped.namelist()}
        held = dict(json.loads(contents.pop(MANIFEST)))
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"results: expected all pieces of an archive, as scripts/gpu.sh leaves them, got {len(pieces)} in "
                         f"{folder}: {error}") from error
    for name in contents:
        target = (ROOT / name).resolve()
        if RECORDS.resolve() not in target.parents and WEIGHTS.resolve() not in target.parents:
            raise ValueError(f"results: expected files for {RECORDS} and {WEIGHTS}, got {name}")
    for name in held:
        if name != Path(name).name or name in ("", ".."):
            raise ValueError(f"results: expected names of unfinished runs' folders, got {name!r}")
    for name, content in contents.items():
        write_whole((ROOT / name).resolve(), content)
    for name, files in held.items():                       # what the run had done with is done with here
        unfinished = RECORDS / ".unfinished" / name
        for path in sorted(unfinished.rglob("*"), reverse=True):
            if path.is_dir() and not any(path.iterdir()):
                path.rmdir()
            elif path.is_file() and _relative(path) not in files:
                path.unlink()
        if unfinished.is_dir() and not any(unfinished.iterdir()):
            unfinished.rmdir()
    return list(contents)


def _folders(item: str) -> list[Path]:
    return [path for path in (RECORDS / ".unfinished").glob(f"{item}-*") if path.is_dir()]


def _relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def main(arguments: list[str]) -> None:
    command, *rest = arguments
    if command == "begin":
        print(begin(*rest))
    elif command == "pack":
        item, out, began = rest
        for name in pack(item, Path(out), json.loads(began)):
            print(f"left out for lack of room: {name}")
    else:
        for name in collect(Path(*rest)):
            print(name)


if __name__ == "__main__":
    main(sys.argv[1:])
