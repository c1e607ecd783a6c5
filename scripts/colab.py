"""Read the list of packages that Colab publishes, and print it as constraints for pip.

    python scripts/colab.py pip-freeze.txt             name==version, a line each
    python scripts/colab.py --python pip-freeze.txt    the version of Python
"""

import argparse
import re
from pathlib import Path
from urllib.parse import unquote

# "torch @ .../torch-2.11.0+cpu-cp313-cp313-manylinux_2_28_x86_64.whl"
WHEEL = re.compile(r"^[\w.-]+ @ \S*/([\w.]+)-([\w.]+)(?:\+[\w.]+)?-(cp3\d+|py3|py2\.py3)-[\w.]+-[\w.]+\.whl")


def constraints(text):
    """Return "name==version" of each package that has a version.

    >>> constraints("numpy==2.1.3\\ntorch @ https://x/torch-2.11.0%2Bcpu-cp313-cp313-linux_x86_64.whl\\na @ file:///b\\n")
    ['numpy==2.1.3', 'torch==2.11.0']
    """
    found = []
    for line in unquote(text).splitlines():
        wheel, pin = WHEEL.match(line), re.fullmatch(r"([\w.-]+)==([\w.]+)(\+[\w.]+)?", line.strip())
        if wheel or pin:
            name, version = (wheel or pin).groups()[:2]
            found.append(f"{name}=={version}")
    return found


def python(text):
    """Return the version of Python that the wheels are for.

    >>> python("torch @ https://x/torch-2.11.0%2Bcpu-cp313-cp313-linux_x86_64.whl")
    '3.13'
    """
    kinds = [match[3] for line in unquote(text).splitlines() if (match := WHEEL.match(line)) and match[3].startswith("cp3")]
    if not kinds:
        raise ValueError("expected a package that names its wheel for CPython, got none")
    return f"3.{kinds[0].removeprefix('cp3')}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("list", help="the file")
    parser.add_argument("--python", action="store_true", help="print the version of Python instead")
    chosen = parser.parse_args()
    text = Path(chosen.list).read_text(encoding="utf-8")
    print(python(text) if chosen.python else "\n".join(constraints(text)))


if __name__ == "__main__":
    main()
