"""Colab's own versions: the pins in scripts/colab.txt, and an environment made of them, to run the chapters in.

    python scripts/colab.py install          make _build/colab of the pins, and run the chapters' first cell in it
    python scripts/colab.py update FOLDER    take the versions that Colab publishes now; FOLDER: a clone of
                                             https://github.com/googlecolab/backend-info
    python scripts/colab.py python           print the version of Python

Pinned is what the chapters import and all that this needs in turn. Where Colab's Python or PyTorch can't be had, ``install``
takes ``--python PROGRAM`` and versions such as torch==2.13.0 in place of pinned ones, and says what is other than in Colab.
"""

import argparse
import re
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

ROOT = Path(__file__).resolve().parent.parent
PINS = ROOT / "scripts" / "colab.txt"
FOLDER = ROOT / "_build" / "colab"
HEAD = "# Colab, as published on {date}: python scripts/colab.py update\n# Python {python}\n"
PIN = re.compile(r"([\w.-]+)==([\w.]+)(?:\+[\w.]+)?")
# "torch @ .../torch-2.11.0+cpu-cp313-cp313-manylinux_2_28_x86_64.whl"
WHEEL = re.compile(r"([\w.-]+) @ \S*/[\w.]+-([\w.]+)(?:\+[\w.]+)?-(cp3\d+|py3|py2\.py3)-[\w.]+-[\w.]+\.whl\S*")


def canonical(name):
    """Return the name as registries compare it.

    >>> canonical("Farama_Notifications")
    'farama-notifications'
    """
    return re.sub(r"[-_.]+", "-", name).lower()


def versions(text):
    """Return {name: version} of each package in a list that has a version.

    >>> versions("numpy==2.1.3\\ntorch @ https://x/torch-2.11.0%2Bcpu-cp313-cp313-linux_x86_64.whl\\na @ file:///b\\n")
    {'numpy': '2.1.3', 'torch': '2.11.0'}
    """
    lines = [line.strip() for line in unquote(text).splitlines()]
    return dict(found.groups()[:2] for line in lines if (found := PIN.fullmatch(line) or WHEEL.fullmatch(line)))


def python(text):
    """Return the version of Python: of the pins, or that for which published wheels are.

    >>> python("torch @ https://x/torch-2.11.0%2Bcpu-cp313-cp313-linux_x86_64.whl"), python("# Python 3.13")
    ('3.13', '3.13')
    """
    said = re.search(r"^# Python (3\.\d+)$", text, re.MULTILINE)
    wheels = [found[3] for line in unquote(text).splitlines() if (found := WHEEL.fullmatch(line.strip()))]
    kinds = [kind for kind in wheels if kind.startswith("cp3")]
    if not said and not kinds:
        raise ValueError("expected a package that names its wheel for CPython, got none")
    return said[1] if said else f"3.{kinds[0].removeprefix('cp3')}"


def refreshed(pins, published, date):
    """Return the text of the pins with the versions that are published, and the date.

    >>> print(refreshed("# Python 3.12\\nnumpy==2.0\\n", "# Python 3.13\\nnumpy==2.1.3\\nother==1\\n", "2026-08-19"), end="")
    # Colab, as published on 2026-08-19: python scripts/colab.py update
    # Python 3.13
    numpy==2.1.3

    Raises ``ValueError`` naming what is published no more: its line has to go, or another package has taken its place.
    """
    now = {canonical(name): version for name, version in versions(published).items()}
    names = list(versions(pins))
    gone = [name for name in names if canonical(name) not in now]
    if gone:
        raise ValueError(f"expected a published version of each pinned package, got none of {', '.join(gone)}")
    return HEAD.format(date=date, python=python(published)) + "".join(f"{name}=={now[canonical(name)]}\n" for name in names)


def told(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def update(folder):
    """Write the pins anew from a clone of what Colab publishes."""
    date = told("git", "-C", folder, "log", "-1", "--format=%cs")
    PINS.write_text(refreshed(PINS.read_text(), (folder / "pip-freeze.txt").read_text(encoding="utf-8"), date))


def instead(pins, others):
    """Return {name: version} with ``others``, texts such as "torch==2.13.0", in place of what is pinned.

    >>> instead({"torch": "2.11.0"}, ["torch==2.13.0"])
    {'torch': '2.13.0'}
    """
    known = {canonical(name): name for name in pins}
    for text in others:
        found = PIN.fullmatch(text)
        if not found or canonical(found[1]) not in known:
            raise ValueError(f"expected a pinned package with another version, such as torch==2.13.0, got {text}")
        pins = {**pins, known[canonical(found[1])]: found[2]}
    return pins


def install(program, others):
    """Make the environment of the pins, then run in it the cell that every chapter begins with."""
    text = PINS.read_text()
    pinned, wanted = versions(text), python(text)
    chosen = instead(pinned, others)
    program = shutil.which(program or f"python{wanted}")
    if program is None:
        raise FileNotFoundError(f"expected python{wanted}, as Colab has, found none: name another one with --python")
    shutil.rmtree(FOLDER, ignore_errors=True)
    subprocess.run([program, "-m", "venv", FOLDER], check=True)
    inside = FOLDER / "bin" / "python"
    pip = [inside, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, f"pip=={chosen['pip']}"], check=True)
    # PyTorch alone may bring more, the libraries of a graphics card: Colab has what is pinned, and nothing else
    subprocess.run([*pip, f"torch=={chosen['torch']}"], check=True)
    rest = [f"{name}=={version}" for name, version in chosen.items() if name != "torch"]
    subprocess.run([*pip, "--no-deps", *rest], check=True)
    subprocess.run([inside, ROOT / "scripts" / "first_cell.py"], check=True)
    there = told(inside, "-c", "import sys; print('%d.%d' % sys.version_info[:2])")
    other = [f"Python {there} for {wanted}"] * (there != wanted)
    other += [f"{name} {chosen[name]} for {version}" for name, version in pinned.items() if chosen[name] != version]
    (FOLDER / "ready").write_text("".join(f"{name}=={version}\n" for name, version in chosen.items()))
    print(f"{FOLDER.relative_to(ROOT)}: {', '.join(other) or 'as in Colab'}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    make = commands.add_parser("install")
    make.add_argument("--python", help="the program (default: Colab's version)")
    make.add_argument("others", nargs="*", help="NAME==VERSION, in place of what is pinned")
    commands.add_parser("update").add_argument("folder", type=Path)
    commands.add_parser("python")
    chosen = parser.parse_args()
    try:
        if chosen.command == "install":
            install(chosen.python, chosen.others)
        elif chosen.command == "update":
            update(chosen.folder)
        else:
            print(python(PINS.read_text()))
    except (FileNotFoundError, ValueError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
