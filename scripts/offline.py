"""Pack the built site as the offline book: `python scripts/offline.py dist` writes dist/sobolev-training-VERSION.zip.

Unpacked, its index.html opens from disk. The same site gives the same bytes.
"""

import sys
import zipfile
from pathlib import Path

import sync_repository

ROOT = Path(__file__).resolve().parent.parent
HTML = ROOT / "_build" / "html"
DATE = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip can hold: when a file was built tells nobody anything


def pack(site, path):
    """Write the site's files into a zip, in one folder that is called as the zip.

    Raises ``FileNotFoundError`` where there is no site.
    """
    if not (site / "index.html").exists():
        raise FileNotFoundError(f"expected a built site in {site}: run make book")
    files = [file for file in sorted(site.rglob("*")) if file.is_file() and file.name != ".buildinfo"]
    write_zip(path, ((f"{path.stem}/{file.relative_to(site).as_posix()}", file.read_bytes()) for file in files))


def write_zip(path, entries, stored=()):
    """Write a zip of pairs (name, content), whole or not at all; the entries in ``stored`` are not compressed.

    The same entries give the same bytes.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    with zipfile.ZipFile(partial, "w") as packed:
        for name, content in entries:
            entry = zipfile.ZipInfo(name, DATE)
            entry.external_attr = 0o644 << 16  # whoever unpacks it may read it
            packed.writestr(entry, content, zipfile.ZIP_STORED if name in stored else zipfile.ZIP_DEFLATED)
    partial.replace(path)


if __name__ == "__main__":
    target = Path(sys.argv[1]) / f"sobolev-training-{sync_repository.version()}.zip"
    pack(HTML, target)
    print(target)
