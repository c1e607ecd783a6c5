"""The content security policy of the site, a meta tag in every page: the browser refuses what does not belong to it.

No request leaves the site, so nothing that a reader types, drops or trains can; and no script runs but those that were built
into the page: its own files, and inline scripts whose hash the page names. Handlers in attributes never run.
"""

import base64
import hashlib
import html
import re

# A page's source, as the browser reads it: the text of a script ends at the first "</script".
SCRIPT = re.compile(r"<script\b([^>]*)>(.*?)</script\s*>", re.DOTALL | re.IGNORECASE)


def inline_scripts(page):
    """Return the inline scripts that the browser would run; data in a page is no script.

    >>> inline_scripts('<script src="a.js"></script><script>x = 1</script><script type="application/json">{}</script>')
    ['x = 1']
    """
    return [text for attributes, text in SCRIPT.findall(page)
            if not re.search(r"\bsrc\s*=", attributes) and "json" not in attributes]


def hashed(script):
    """Return the source expression that allows one inline script.

    >>> hashed("x = 1")
    "'sha256-j/Q23vFFEoVZmhsa1wgASTuNyv3ikS4aODRWMwVOTCY='"
    """
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


def policy(page):
    """Return the policy of a page. ``file:`` stands beside ``'self'`` for a copy on disk; a served page gets no such file."""
    hashes = sorted({hashed(script) for script in inline_scripts(page)})
    return "; ".join([
        "default-src 'none'",
        # the engine's products of matrices are WebAssembly
        " ".join(["script-src 'self' file: 'wasm-unsafe-eval'", *hashes]),
        # Plotly, MathJax and the theme set styles of single elements, which no hash can name
        "style-src 'self' file: 'unsafe-inline'",
        "img-src 'self' file: data: blob:",  # icons of style sheets; figures that the reader saves
        "font-src 'self' file: data:",  # fonts.css holds the typeface
        "connect-src 'self'",  # the search reads the pages that it found, for their excerpts
        "worker-src blob:",  # training; a worker from a file would not start on a page from disk
        "base-uri 'none'",
        "form-action 'self' file:",  # the search field
    ])


def with_policy(page):
    """Return the page's HTML with its policy before all that loads or runs; the encoding stands first, as it must.

    >>> with_policy('<head><meta charset="utf-8"><title>')[:70]
    '<head><meta charset="utf-8">\\n<meta http-equiv="Content-Security-Policy'
    """
    tag = f'<meta http-equiv="Content-Security-Policy" content="{html.escape(policy(page), quote=False)}">\n'
    encoding = re.search(r"<meta charset[^>]*>", page)
    at = encoding.end() if encoding else 0
    return f"{page[:at]}\n{tag}{page[at:]}".lstrip()


def add(folder):
    """Write the policy into every page of the site."""
    for page in folder.rglob("*.html"):
        page.write_text(with_policy(page.read_text()))
