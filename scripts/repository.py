"""Where this repository is on GitHub: the address of which the site, the notebooks and the README speak.

    python scripts/repository.py    print it; nothing when it is not known
"""

import re
import subprocess
from pathlib import Path

import tomllib

ROOT = Path(__file__).resolve().parent.parent
NOBODY = "https://github.com/OWNER/"  # so begins the address in pyproject.toml until there is one
# https, as cloned, with or without a name in it; ssh in its short and its long form, and through the port of https
REMOTE = re.compile(r"(?:https?://(?:[^@/]+@)?github\.com/|(?:ssh://)?git@github\.com[:/]|ssh://git@ssh\.github\.com:443/)"
                    r"([\w.-]+)/([\w.-]+?)(?:\.git)?/?")


def on_github(remote):
    """Return the address of a remote on GitHub, without what a remote may say of its user; None for any other.

    >>> on_github("git@github.com:someone/book.git"), on_github("https://token@github.com/someone/book")
    ('https://github.com/someone/book', 'https://github.com/someone/book')
    >>> on_github("/srv/git/book.git") is on_github("https://github.com.example.org/someone/book") is None
    True
    """
    found = REMOTE.fullmatch(remote.strip())
    return f"https://github.com/{found[1]}/{found[2]}" if found else None


def declared(root=ROOT):
    """Return the address as pyproject.toml gives it, which every file repeats."""
    return tomllib.loads((root / "pyproject.toml").read_text())["project"]["urls"]["Repository"]


def origin(root=ROOT):
    """Return the address of the remote ``origin``; None when it is not on GitHub, or this is no clone."""
    if not (root / ".git").exists():  # else Git would ask the folders above
        return None
    try:
        asked = subprocess.run(["git", "remote", "get-url", "origin"], cwd=root, capture_output=True, text=True)
    except FileNotFoundError:
        return None
    return on_github(asked.stdout) if asked.returncode == 0 else None


def known(root=ROOT):
    """Return the address: the remote's, else the one in pyproject.toml, else None."""
    named = declared(root)
    return origin(root) or (None if named.startswith(NOBODY) else named)


def pages(url):
    """Return where GitHub Pages serves a repository's site; None for one that is not on GitHub.

    >>> pages("https://github.com/Someone/book"), pages("https://github.com/someone/someone.github.io")
    ('https://someone.github.io/book/', 'https://someone.github.io/')
    """
    found = REMOTE.fullmatch(url or "")
    if not found:
        return None
    host = f"{found[1].lower()}.github.io"
    return f"https://{host}/" if found[2].lower() == host else f"https://{host}/{found[2]}/"


def site(root=ROOT):
    """Return where the newest site of this repository is served; None where no address is known."""
    served = pages(known(root))
    return f"{served}latest/" if served else None


if __name__ == "__main__":
    print(known() or "", end="")
