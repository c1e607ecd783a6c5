"""Verdicts hold text and one of four words, and read well in Jupyter and in the book."""
import re
from dataclasses import FrozenInstanceError, replace

import pytest
from markdown_it import MarkdownIt

from sobolev_lib.experiments.verdicts import STATUSES, Verdict

GOOD = Verdict(claim="Noprop 54.5 < direct 79.2.", measured="Sobolev *leads* by\n    2.1 points.", scale="5 seeds, 3 < 4 cuts.",
               status="open", rule="Confirmed if the interval lies above 0;\nopen if it holds 0.")


@pytest.mark.parametrize("status", STATUSES)
def test_it_shows_as_one_quoted_block(status):
    """CommonMark, which is what Jupyter, Colab and the book have in common."""
    html = MarkdownIt("commonmark").render(replace(GOOD, status=status)._repr_markdown_())
    assert html.startswith("<blockquote>") and html.rstrip().endswith("</blockquote>") and html.count("<blockquote>") == 1
    paragraphs = re.findall("<p>(.*?)</p>", html, re.DOTALL)
    assert len(paragraphs) == 4 and "<code>" not in html
    first, claim, scale, rule = paragraphs
    assert first == f"<strong>{status[0].upper()}{status[1:]}.</strong> Sobolev <em>leads</em> by 2.1 points."
    assert claim == "<em>The paper:</em> Noprop 54.5 &lt; direct 79.2." and scale == "<em>Scale:</em> 5 seeds, 3 &lt; 4 cuts."
    assert rule == "<small><em>Rule:</em> Confirmed if the interval lies above 0; open if it holds 0.</small>"


@pytest.mark.parametrize("change, error, message", [
    ({"status": "yes"}, ValueError, "status: expected one of confirmed, confirmed in direction, open, contradicted, got 'yes'"),
    ({"status": "Confirmed"}, ValueError, "got 'Confirmed'"), ({"rule": " "}, ValueError, "rule: expected text, got ' '"),
    ({"measured": 2.1}, TypeError, "measured: expected text, got float"), ({"claim": None}, TypeError, "claim: expected text"),
], ids=str)
def test_what_is_no_verdict_is_refused(change, error, message):
    with pytest.raises(error, match=message):
        replace(GOOD, **change)


def test_a_verdict_stays_what_it_is():
    with pytest.raises(FrozenInstanceError):
        GOOD.status = "confirmed"
