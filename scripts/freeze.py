"""Write requirements.txt: the installed versions of what requirements.in asks for, and of all that this needs in turn.
Write requirements-hashed.txt: the same with the SHA-256 of each file that the registry has of them, for every system.

Only PyTorch has no hash: which of its builds is installed depends on the machine and its graphics card, and builds for cards
bring packages that are no pins of ours.

    make freeze                       install what requirements.in asks for, at the pins there are, and write
    python scripts/freeze.py          write
    python scripts/freeze.py --check  fail when requirements.txt is another
"""

import argparse
import re
import subprocess
import sys
import tempfile
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
UNHASHED = "torch"
# what PyTorch brings for a graphics card: the pins are those of the build without one, and serve both
FOR_CARDS = re.compile(r"nvidia-|cuda-|triton")


def direct(text):
    """Return what a requirements.in asks for.

    >>> [str(need) for need in direct("# book\\njupyter-book<2\\n\\n")]
    ['jupyter-book<2']
    """
    lines = [line.partition("#")[0].strip() for line in text.splitlines()]
    return [Requirement(line) for line in lines if line]


def pins(needs):
    """Return {name: version} of the installed packages that meet the needs, their own needs included."""
    found, waiting, seen = {}, list(needs), set()
    while waiting:
        need = waiting.pop()
        name, extras = canonicalize_name(need.name), frozenset(need.extras)
        if (name, extras) in seen or FOR_CARDS.match(name):
            continue
        seen.add((name, extras))
        package = metadata.distribution(name)
        version = package.version.partition("+")[0]
        if not need.specifier.contains(version, prereleases=True):
            raise ValueError(f"expected {need}, got {version}, which is installed")
        found[package.metadata["Name"]] = version
        for text in package.requires or []:
            further = Requirement(text)
            if further.marker is None or any(further.marker.evaluate({"extra": extra}) for extra in extras or {""}):
                waiting.append(further)
    return dict(sorted(found.items(), key=lambda item: item[0].lower()))


def frozen(root=ROOT):
    """Return the text of requirements.txt."""
    needs = direct((root / "requirements.in").read_text(encoding="utf-8"))
    return "".join(f"{name}=={version}\n" for name, version in pins(needs).items())


def hashed(text):
    """Return the pins with their hashes, as pip reads them; uv asks the registry for them."""
    with tempfile.TemporaryDirectory() as folder:
        pins, found = Path(folder) / "pins.in", Path(folder) / "hashed.txt"
        pins.write_text("".join(line for line in text.splitlines(keepends=True) if not line.startswith(f"{UNHASHED}==")))
        subprocess.run([sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--no-deps", "--generate-hashes",
                        "--no-annotate", "--no-header", "--output-file", found, pins], check=True)
        return found.read_text()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="change nothing")
    path, text = ROOT / "requirements.txt", frozen()
    if not parser.parse_args().check:
        with_hashes = hashed(text)
        path.write_text(text, encoding="utf-8")
        path.with_name("requirements-hashed.txt").write_text(with_hashes, encoding="utf-8")
    elif path.read_text(encoding="utf-8") != text:
        differing = sorted({*path.read_text(encoding="utf-8").splitlines()} ^ {*text.splitlines()}, key=str.lower)
        sys.exit(f"requirements.txt: expected what requirements.in asks for, as installed here; differing: {differing}")


if __name__ == "__main__":
    main()
