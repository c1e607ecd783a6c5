"""Stop early, with a sentence, when this Python cannot take the book's pins."""

import sys

if sys.version_info < (3, 11):
    sys.exit(
        "The book needs Python 3.11 or newer, got {}.{}. Name another one: make book PYTHON=python3.11\n"
        "(The library alone runs on Python 3.10: pip install .)".format(*sys.version_info[:2])
    )
