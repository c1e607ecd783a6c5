"""Verdicts hold text and one of four words. How they show is the matter of ``test_notebook``."""
from dataclasses import FrozenInstanceError, replace

import pytest

from sobolev_lib.experiments.verdicts import Verdict

GOOD = Verdict(claim="Noprop 54.5 < direct 79.2.", measured="Sobolev *leads* by\n    2.1 points.", scale="5 seeds, 3 < 4 cuts.",
               status="open", rule="Confirmed if the interval lies above 0;\nopen if it holds 0.")


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
