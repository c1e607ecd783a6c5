"""Bring the colours into the pages: `python scripts/palette.py` writes palette.js and palette.css beside the widgets.

Both are committed; a test checks that they are current.
"""

from sobolev_lib.plotting.palette import FILES, STATIC

if __name__ == "__main__":
    for name, text in FILES.items():
        (STATIC / name).write_text(text(), encoding="utf-8")
        print(STATIC / name)
