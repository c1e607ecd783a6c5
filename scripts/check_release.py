"""Tell what is missing for a release: `python scripts/check_release.py v0.2.0` fails and says it, or prints nothing."""

import re
import sys
from pathlib import Path

import repository
import sync_repository

ROOT = Path(__file__).resolve().parent.parent


def faults(tag, root=ROOT):
    """Return what stands against releasing this tag, a sentence each."""
    version, found = sync_repository.version(root), []
    if tag != f"v{version}":
        found.append(f"the tag: expected v{version}, the library's version, got {tag}")
    if not re.search(rf"^## {re.escape(version)}\b", (root / "CHANGELOG.md").read_text(), re.MULTILINE):
        found.append(f"CHANGELOG.md: expected a heading for {version}, got none")
    if repository.declared(root).startswith(repository.NOBODY):
        found.append("pyproject.toml: expected the repository's address, got none: run scripts/sync_repository.py --first")
    found += [f"{path.relative_to(root)}: out of step, run python scripts/sync_repository.py"
              for path, _ in sync_repository.out_of_step(root)]
    return found


if __name__ == "__main__":
    sys.exit("\n".join(faults(sys.argv[1])) or None)
