"""Command line: ``python -m sobolev_lib.experiments.reproduction [KEY ...]``."""
import argparse
import sys
from dataclasses import fields

from sobolev_lib.experiments.reproduction import rows


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m sobolev_lib.experiments.reproduction",
                                     description="What the paper says and what came out here: a line a claim, or all that "
                                                 "is known of the claims that are named.")
    parser.add_argument("keys", nargs="*", metavar="KEY", help="such as theorem-1; without any, all claims")
    wanted = parser.parse_args(arguments).keys
    try:
        found = rows(wanted or None)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    for row in found:
        if wanted:
            known = {field.name: getattr(row, field.name) for field in fields(row) if getattr(row, field.name)}
            print("\n".join(f"{name.replace('_', ' '):12} {value}" for name, value in known.items()), end="\n\n")
        else:
            print(f"{row.status:22} {row.key:42} {row.ours}".rstrip())
    return 0


if __name__ == "__main__":
    sys.exit(main())
