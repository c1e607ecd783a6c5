"""The rules for Markdown cells catch what they should and nothing else."""

import pytest
from markdown_rules import not_portable, typed_numbers


@pytest.mark.parametrize(
    "source",
    [
        "The error fell to 0.012.",
        "It gains 30% here.",
        "It gains 30 per cent here.",
        "Sobolev is 5x better.",
        "Sobolev is 5 × better.",
        "It took 12 times as long.",
        "A 10-fold gain.",
        "The error is 3e-4.",
        "In section 4.1 they report 0.5 for it.",
    ],
)
def test_measured_number_is_found(source):
    assert typed_numbers(source)


@pytest.mark.parametrize(
    "source",
    [
        "Twenty points, two networks.",
        "We draw 20 points.",
        "Section 4.1 and figure 2 of the paper, with Python 3.11.",
        "It starts at `0.5`.",
        "The weight is $0.1$ here.",
        "Then\n\n$$\nx = 0.5\n$$\n\nholds.",
        "```python\nlr = 0.001\n```",
        "A 33 x 33 grid.",
        "A [paper](https://example.org/1706.04859).",
        "The text is CC BY 4.0.",
        '<img width="0.5">',
    ],
)
def test_other_number_is_left_alone(source):
    assert typed_numbers(source) == []


@pytest.mark.parametrize(
    "source",
    [
        "as {cite}`x` says",
        "see {eq}`loss`",
        "{prf:ref}`theorem`",
        "```{note}\nhello\n```",
        ":::{note}\nhello\n:::",
        "(my-label)=\n# Title",
        "+++",
        "% a comment",
        "{{ name }}",
        "a note[^1]",
        "see [](page.ipynb)",
        "> [!NOTE]",
    ],
)
def test_myst_is_found(source):
    assert not_portable(source)


@pytest.mark.parametrize(
    "source",
    [
        "# Title\n\nA list:\n\n- one\n- two",
        "$$\\mathbb{R}^{{n}}$$ and $\\frac{{a}}{b}$",
        "```python\n+++\n% run\n```",
        "> **Theorem 1.** Quoted.",
        "<details>\n<summary>Solution</summary>\n\nTwo.\n\n</details>",
        "see [the loss](the_loss.ipynb)",
        "![](picture.png)",
    ],
)
def test_plain_markdown_passes(source):
    assert not_portable(source) == []
