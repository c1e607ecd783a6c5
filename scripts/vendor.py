"""The browser files that the site serves or its tests use, each from a pinned package and with a checksum (see vendor.json).

    python scripts/vendor.py            fetch the committed files again, with npm
    python scripts/vendor.py --check    compare all of them with their checksums

Files from npm packages are committed, so that a build needs no Node: under book/assets, or under tests for a package
that is "for" the tests and never served.
Files from pip packages are large and already installed: the build copies them from there.
"""

import argparse
import hashlib
import json
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ASSETS = ROOT / "book" / "assets"
TESTS = ROOT / "tests"
MANIFEST = ROOT / "scripts" / "vendor.json"


def entries(kind):
    """Yield (entry, file) for every file of the packages of this kind, "npm" or "pip"."""
    for entry in json.loads(MANIFEST.read_text()):
        if entry["package"].startswith(kind + ":"):
            for file in entry["files"]:
                yield entry, file


def verified(content, file, source):
    """Return the content, or raise ValueError when its checksum is not the manifest's."""
    got = hashlib.sha256(content).hexdigest()
    if got != file["sha256"]:
        raise ValueError(f"{source}: expected sha256 {file['sha256']}, got {got}")
    return content


def home(entry):
    """The folder in which the files of an npm package are committed."""
    return TESTS if entry.get("for") == "tests" else ASSETS


def committed(file, folder):
    path = folder / file["to"]
    return verified(path.read_bytes(), file, path.relative_to(folder))


def installed(file):
    path = Path(sysconfig.get_path("purelib")) / file["from"]
    return verified(path.read_bytes(), file, file["from"])


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def copy_installed(folder):
    """Copy the files that come from pip packages into the folder, checksums verified."""
    for _, file in entries("pip"):
        write(folder / file["to"], installed(file))


def fetch():
    """Download the npm packages and write their files where they are committed, checksums verified."""
    for entry, file in entries("npm"):
        with tempfile.TemporaryDirectory() as folder:
            package = entry["package"].removeprefix("npm:")
            command = ["npm", "pack", "--silent", package]
            archive = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout.split()[-1]
            with tarfile.open(Path(folder) / archive) as tar:
                content = tar.extractfile("package/" + file["from"]).read()
        write(home(entry) / file["to"], verified(content, file, f"{package} {file['from']}"))
        print(f"{file['to']}  {len(content):,} bytes")


def check():
    for entry, file in entries("npm"):
        committed(file, home(entry))
    for _, file in entries("pip"):
        installed(file)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="verify checksums, fetch nothing")
    try:
        check() if parser.parse_args().check else fetch()
    except (ValueError, OSError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
