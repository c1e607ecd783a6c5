"""The book's symbols: `python scripts/symbols.py` writes book/symbols.md from book/symbols.yml; a test checks that it is current."""

import re
from pathlib import Path

import yaml
from references import title

BOOK = Path(__file__).resolve().parent.parent / "book"
PAGE = BOOK / "symbols.md"

# LaTeX that is no letter of ours: signs, functions with a name, and how things are set.
SIGNS = set(r"""
    approx arccos arctan arg bar begin big Big bigg Bigg bigl Bigl bigr Bigr binom bmatrix cap cases cdot cdots ceil circ colon cos cosh
    cup det dfrac displaystyle dots ell end equiv exists exp forall frac gcd ge geq gg hat hline hspace iff implies in inf infty int
    ker land langle lceil ldots le left leftarrow Leftrightarrow leftrightarrow leq lfloor lim liminf limits limsup ll ln log longmapsto
    Longrightarrow longrightarrow lor lt gt lVert lvert mapsto max mid min mod nabla ne neg neq nonumber not notin odot oint operatorname
    oplus otimes over overbrace overline partial perp pm pmatrix prime prod propto qquad quad rangle rank rceil rfloor right rightarrow
    Rightarrow rVert rvert searrow setminus sim simeq sin sinh sqrt square star subset subseteq sum sup supset tan tanh tfrac thinspace
    tilde times to top tr triangle underbrace underline vdots Vert vert wedge widehat widetilde xrightarrow""".split()) - {"ell"}
GROUP = r"\{(?:[^{}]|\{(?:[^{}]|\{[^{}]*\})*\})*\}"   # braces, and two levels of braces within
ACCENTS = "hat|tilde|bar|widehat|widetilde|overline|mathcal|mathbb|mathbf|boldsymbol|mathfrak"

GREEK = ("alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho sigma tau upsilon phi chi psi "
         "omega").split()


def formulas(markdown: str) -> list[str]:
    """The formulas of a Markdown text, code left out.

    >>> formulas("So $x^2$, `$HOME`, and $$y = 1.$$")
    ['y = 1.', 'x^2']
    """
    text = re.sub(r"```.*?```|`[^`\n]*`", " ", markdown, flags=re.DOTALL)
    shown = re.findall(r"\$\$(.+?)\$\$", text, re.DOTALL)
    return shown + re.findall(r"(?<!\\)\$([^$]+?)(?<!\\)\$", re.sub(r"\$\$.+?\$\$", " ", text, flags=re.DOTALL))


def letters(formula: str) -> set[str]:
    r"""The letters of a formula, accents and alphabets included; names in upright type are words, no letters.

    >>> sorted(letters(r"\hat{x}_i = \mathcal{F}(\textcolor{#005c33}{\nabla f}) + K_\mathrm{sob} \sin \theta"))
    ['K_sob', '\\hat{x}', '\\mathcal{F}', '\\theta', 'f', 'i']
    """
    # the end of a line, and a space below it
    text = re.sub(r"\\\\(?:\*?\s*\[\s*-?[\d.]+\s*[a-z]{2}\s*\])?", " ", formula)
    text = re.sub(rf"\\begin\s*\{{(?:array|alignedat|alignat)\*?\}}\s*(?:\[\w\])?\s*{GROUP}", " ", text)
    text = re.sub(r"\\(?:textcolor|color)\s*\{[^}]*\}|\\(?:begin|end|tag|label|phantom|hspace|vspace)\*?\s*\{[^}]*\}", " ", text)
    found = set()

    def keep(name):
        found.add(name)
        return " "

    # a letter with a word below it is one name
    text = re.sub(r"([A-Za-z])_(?:\\(?:mathrm|text)\{([^}]*)\}|\{\\(?:mathrm|text)\{([^}]*)\}\})",
                  lambda m: keep(f"{m[1]}_{m[2] or m[3]}") if re.fullmatch(r"[A-Za-z]{2,}", m[2] or m[3] or "") else m[1], text)
    text = re.sub(rf"\\(?:text|mathrm|operatorname|textbf|textit|mathit|mathtt|texttt)\*?\s*{GROUP}|\\mathrm\s+\w", " ", text)
    # an accent or another alphabet makes a letter of its own; over several letters it makes none
    def accented(m):
        under = m[2] or m[3] or m[4]
        return keep(f"\\{m[1]}{{{under}}}") if len(under) == 1 or under[0] == "\\" else f" {under} "

    text = re.sub(rf"\\({ACCENTS})\s*(?:\{{\s*(\\?[A-Za-z]+)\s*\}}|\s(\\?[A-Za-z])|(\\[A-Za-z]+))", accented, text)
    for command in re.findall(r"\\([A-Za-z]+)", text):
        if command not in SIGNS and not re.fullmatch(ACCENTS, command):
            found.add(f"\\{command}")
    return found | set(re.findall(r"[A-Za-z]", re.sub(r"\\[A-Za-z]+", " ", text)))


def table() -> dict:
    """`everywhere`: symbol to meaning; `local`: the same for each page."""
    return yaml.safe_load((BOOK / "symbols.yml").read_text(encoding="utf-8"))


def alphabetical(symbol: str) -> tuple:
    r"""Where a symbol stands in the second table: Latin letters before Greek ones, signs and alphabets left out.

    >>> sorted([r"\mu", r"\mathbf{t}", "A", r"\beta", "F"], key=alphabetical)
    ['A', 'F', '\\mathbf{t}', '\\beta', '\\mu']
    """
    bare = re.sub(rf"\\(?:{ACCENTS})\{{(.+?)\}}", r"\1", symbol)
    letter = bare.lstrip("\\").removeprefix("var")
    return (GREEK.index(letter.lower()) if bare.startswith("\\") else -1), letter.lower(), symbol


def page(symbols: dict) -> str:
    """The page's Markdown."""
    def titled(name):
        return f"[{title(BOOK / f'{name}.ipynb')}]({name}.ipynb)"

    def shown(symbol):
        return "$" + re.sub(r"_(\w{2,})", r"_\\mathrm{\1}", symbol) + "$"

    def rows(head, meanings):
        lines = [f"| {shown(symbol)} | {meaning} |" for symbol, meaning in meanings.items()]
        return [f"| {head} | meaning |", "|---|---|", *lines]

    local: dict = {}
    for name, meanings in symbols["local"].items():
        for symbol, meaning in meanings.items():
            local.setdefault((symbol, meaning), []).append(name)
    some = ["| symbol | meaning | chapter |", "|---|---|---|"]
    some += [f"| {shown(symbol)} | {meaning} | {', '.join(map(titled, names))} |"
             for (symbol, meaning), names in sorted(local.items(), key=lambda item: alphabetical(item[0][0]))]
    return "\n".join(["# Symbols", "", *symbols["rules"].strip().splitlines(), "",
                      "## Everywhere", "", *rows("symbol", symbols["everywhere"]), "",
                      "## Signs", "", *rows("sign", symbols["signs"]), "",
                      "## In some chapters", "", "Latin letters come first, then Greek ones, each in the order of its alphabet.", "",
                      *some, ""])


if __name__ == "__main__":
    PAGE.write_text(page(table()), encoding="utf-8")
    print(PAGE)
