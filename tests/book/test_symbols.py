"""The letters of the formulas: each is in the table of symbols, and means one thing in the whole book."""

import pytest
import symbols
from pages import ROOT


def letters(page):
    return {letter for cell in page.cells if cell.cell_type == "markdown"
            for formula in symbols.formulas(cell.source) for letter in symbols.letters(formula)}


def test_formulas_and_their_letters_are_found():
    text = "With $n_\\mathrm{max}$ in `$code$`:\n```\n$no$\n```\n$$\\hat{\\theta} = \\mathcal F \\cdot \\text{rate} \\sin k$$"
    assert symbols.formulas(text) == ["\\hat{\\theta} = \\mathcal F \\cdot \\text{rate} \\sin k", "n_\\mathrm{max}"]
    assert set().union(*map(symbols.letters, symbols.formulas(text))) == {"\\hat{\\theta}", "\\mathcal{F}", "k", "n_max"}
    assert symbols.letters("\\textcolor{#7d1160}{x_{i+1}} \\in \\mathbb{R}^{d \\times q}") == {"x", "i", "\\mathbb{R}", "d", "q"}


@pytest.mark.parametrize("formula, found", [
    (r"a \\[2ex] b", {"a", "b"}), (r"a \\* [ -0.5em ] b \\c", {"a", "b", "c"}), (r"a \\ [x, y]", {"a", "x", "y"}),
    (r"\begin{array}{lr} a & b \\ c & d \end{array}", {"a", "b", "c", "d"}), (r"\begin{array}[t]{l@{\quad}r} a \end{array}", {"a"}),
    (r"x \text{ if \textbf{not} so} y", {"x", "y"}), (r"x \text{ {in} a \text{word {of}} it}", {"x"}), (r"\mathrm{sob} + \text{a}\,b", {"b"}),
])
def test_how_a_formula_is_set_is_no_letter(formula, found):
    assert symbols.letters(formula) == found


def test_every_letter_of_a_chapter_is_in_the_table(notebook, request):
    name = request.node.callspec.id
    table = symbols.table()
    known = {*table["everywhere"], *table["local"].get(name, {})}
    assert letters(notebook) <= known, f"unknown: {sorted(letters(notebook) - known)}; put them into book/symbols.yml"


def test_letters_that_a_page_lists_are_used_there(notebook, request):
    assert set(symbols.table()["local"].get(request.node.callspec.id, {})) <= letters(notebook)


def test_a_letter_means_one_thing():
    table, meanings = symbols.table(), {}
    for page, local in table["local"].items():
        assert (ROOT / "book" / f"{page}.ipynb").exists()
        assert not set(local) & set(table["everywhere"]), f"{page}: a letter of the whole book gets a second meaning"
        for letter, meaning in local.items():
            assert meanings.setdefault(letter, meaning) == meaning, f"{letter}: two meanings"


def test_the_page_is_current():
    assert symbols.PAGE.read_text(encoding="utf-8") == symbols.page(symbols.table()), "run python scripts/symbols.py"
