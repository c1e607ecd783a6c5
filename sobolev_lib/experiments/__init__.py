"""One experiment a file, each reproducing one figure or table of the paper; run by ``python -m``."""
