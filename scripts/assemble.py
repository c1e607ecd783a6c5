"""Assemble the playground's products: `python scripts/assemble.py` writes matrices_wasm.js from matrices.wat.

The result is committed, so that neither the book nor the library needs the assembler; a test checks that it is current.
"""

import base64
from pathlib import Path

STATIC = Path(__file__).resolve().parent.parent / "sobolev_lib" / "widgets" / "static"
SOURCE, RESULT = STATIC / "matrices.wat", STATIC / "matrices_wasm.js"


def assembled():
    """Return the text of matrices_wasm.js: the assembled module in base64."""
    import wasmtime

    code = base64.b64encode(wasmtime.wat2wasm(SOURCE.read_text(encoding="utf-8"))).decode()
    return f"// Written by scripts/assemble.py from {SOURCE.name}.\nexport const MATRICES = \"{code}\";\n"


if __name__ == "__main__":
    RESULT.write_text(assembled(), encoding="utf-8")
    print(f"{RESULT}: {RESULT.stat().st_size} bytes")
