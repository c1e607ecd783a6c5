"""What the Markdown cells of a chapter may hold, as plain functions from text to a list of complaints."""

import re

# Parts that are not prose. The order matters: fences before code spans, display before inline mathematics.
NOT_PROSE = [
    r"```.*?```",
    r"`[^`\n]*`",
    r"\$\$.*?\$\$",
    r"\$[^$]+\$",
    r"\\begin\{(\w+\*?)\}.*?\\end\{\1\}",
    r"<!--.*?-->",
    r"<[^>]+>",
    r"!?\[[^\]]*\]\([^)]*\)",
    r"https?://\S+",
]
# A number that names a place or a thing measures nothing: "section 4.1", "Python 3.11", "CC BY 4.0".
NAMES = r"\b(?:sections?|equations?|eq\.|figures?|tables?|theorems?|propositions?|versions?|python|arxiv:?|by)\s+[\d.]+\d"
MEASURED = {
    "a decimal": r"\d+\.\d+",
    "a percentage": r"\d[\d,]*\s?(?:%|per ?cent\b)",
    "a factor": r"\d[\d,]*(?:\s?[x×](?![\s\w]*\d)(?!\w)|(?:-|\s)?times\b|-fold\b)",
    "a power of ten": r"\b\d+e-?\d+",
}
# Jupyter and Colab show these as they are typed.
NOT_PORTABLE = {
    "a MyST role": r"\{[a-zA-Z][\w:.-]*\}`",
    "a MyST directive": r"^\s*`{3,}\s*\{",
    "a MyST fence": r"^\s*:{3,}",
    "a MyST target": r"^\([\w-]+\)=\s*$",
    "a MyST block break": r"^\+\+\+",
    "a MyST comment": r"^%",
    "a substitution": r"\{\{",
    "a footnote": r"\[\^[^\]]+\]",
    "a link without text": r"(?<!!)\[\]\(",
    "an admonition of GitHub's": r"^>\s*\[!",
}


def prose(source):
    """Return the text without code, mathematics, HTML tags and links.

    >>> prose("at `0.5` it is $0.1$, see [2.0](x)").split()
    ['at', 'it', 'is', ',', 'see']
    """
    for pattern in NOT_PROSE:
        source = re.sub(pattern, " ", source, flags=re.DOTALL)
    return source


def typed_numbers(source):
    """List the numbers in the prose that look measured.

    >>> typed_numbers("Sobolev was 3 times better.")
    ['a factor: 3 times']
    """
    text = re.sub(NAMES, " ", prose(source), flags=re.IGNORECASE)
    return [f"{what}: {match[0]}" for what, pattern in MEASURED.items() for match in re.finditer(pattern, text)]


def not_portable(source):
    """List what plain Jupyter and Colab would not render.

    >>> not_portable("see {eq}`loss`")
    ['a MyST role: {eq}`']
    """
    # A fence's own line is kept, for it may open a directive; what is inside is code.
    source = re.sub(r"^(```[^\n]*\n).*?^```", r"\1", source, flags=re.DOTALL | re.MULTILINE)
    source = re.sub(r"\$\$.*?\$\$|\$[^$\n]+\$", " ", source, flags=re.DOTALL)
    return [
        f"{what}: {match[0].strip()}"
        for what, pattern in NOT_PORTABLE.items()
        for match in re.finditer(pattern, source, flags=re.MULTILINE)
    ]
