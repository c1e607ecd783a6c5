"""The front page's cards: their phrases follow the records, their pictures describe themselves."""
import copy
import re

import numpy as np
import pytest
import torch

from sobolev_lib import front_page, functions
from sobolev_lib.experiments import atari_verdict, seven_functions, table_1_verdict
from sobolev_lib.front_page.thumbnails import agreeing, dots, film
from sobolev_lib.records import load_record
from sobolev_lib.widgets.hypotheses import KNOTS


def record(name):
    return load_record(name)


def polylines(svg):
    return [np.array([[float(v) for v in pair.split(",")] for pair in points.split()])
            for points in re.findall(r'<polyline points="([^"]+)"', svg)]


# --- pictures ---------------------------------------------------------------------------------------------------

def test_dots_lie_on_their_axis():
    rows = [("a", [(1, "regular"), (10, "sobolev")]), ("b", [(100, "sobolev")])]
    picture = dots(rows, [(1, "one"), (100, "hundred")], "Three dots", line=1, logarithmic=True)
    x = [float(one) for one in re.findall(r'cx="([\d.]+)"', picture)]
    ticks = [float(one) for one in re.findall(r'<line x1="([\d.]+)"', picture)]
    assert x[0] == ticks[0] and x[2] == ticks[1] and x[1] == pytest.approx((x[0] + x[2]) / 2, abs=0.1)
    assert picture.count("--sl-sobolev") == 2 and 'aria-label="Three dots"' in picture and ">b</text>" in picture


def test_functions_that_take_turns_pass_through_the_points():
    picture = agreeing(KNOTS, [0.26, 0.5, 0.88], "Two panels")
    points = [(float(x), float(y)) for x, y in re.findall(r'<circle cx="([\d.]+)" cy="([\d.]+)"', picture)]
    *turns, truth = polylines(picture)[:9]                       # the left panel: eight, and the dashed one
    assert len(turns) == 8 and len({turn.tobytes() for turn in turns}) == 8
    for line in [*turns, truth]:
        assert (np.diff(line[:, 0]) > 0).all()
        for x, y in points[:3]:
            assert np.interp(x, *line.T) == pytest.approx(y, abs=0.4)


def test_a_film_moves_unless_less_motion_is_wished_for():
    picture = film(np.random.default_rng(0).integers(0, 255, (4, 10, 12, 3), dtype=np.uint8), 'A "film"')
    assert 'media="(prefers-reduced-motion: reduce)"' in picture and 'width="12" height="10"' in picture
    assert "&quot;film&quot;" in picture


# --- cards ------------------------------------------------------------------------------------------------------

def test_seven_functions_counts_the_cells_of_the_record():
    given = record("seven-functions")
    card = front_page.seven_functions(given)
    cells = seven_functions.cells(given)
    typical = [{method: np.log10(cell[method]["test_mse"]).mean() for method in ("regular", "sobolev")}
               for cell in cells.values()]
    better = sum(cell["regular"] > cell["sobolev"] for cell in typical)
    assert f"in {better} of {len(cells)} cases" in card.measured and card.status == seven_functions.verdict(given).status
    assert card.picture.count("<circle") == len(cells)
    assert all(function.title.split("-")[0] in card.picture for function in functions.BENCHMARKS)
    worse = copy.deepcopy(given)
    for unit, result in worse["results"].items():
        if unit.endswith("/sobolev"):
            result["test_mse"] = [1e9 * one for one in result["test_mse"]]
    assert f"in 0 of {len(cells)} cases" in front_page.seven_functions(worse).measured


def test_atari_says_where_the_copy_is_closer(monkeypatch):
    no_emulator = lambda: np.zeros((2, 17, 24, 3), np.uint8)
    monkeypatch.setattr("sobolev_lib.front_page.results._game", no_emulator)
    given = record("atari-distillation")
    card = front_page.atari(given)
    answers = [cell["answer"] for cell in atari_verdict.comparisons(given)]
    assert f"closer in {answers.count('better')} of {len(answers)} cases" in card.measured
    assert card.status == atari_verdict.verdict(given).status


def test_synthetic_gradients_says_who_is_ahead():
    given = record("synthetic-gradients-cifar10")
    card, status = front_page.synthetic_gradients(given), table_1_verdict.verdict(given).status
    assert card.status == status and len(re.findall("<circle", card.picture)) == 6 * len(given["seeds"])
    ahead = table_1_verdict.difference(given, "sobolev", "critic")
    answer = {"above": "slopes does better than", "below": "slopes does worse than"}.get(ahead.side(), "neither better nor worse")
    assert answer in card.measured
    swapped = copy.deepcopy(given)
    results = swapped["results"]
    results["3/sobolev/true"], results["3/noprop"] = results["3/noprop"], results["3/sobolev/true"]
    assert re.search(r"change the accuracy by −\d+ to [+−]\d+ percentage", front_page.synthetic_gradients(swapped).measured)


def test_theory_checks_the_network_that_it_builds():
    card = front_page.theory(8)
    assert card.status == "proved"
    assert re.search(r"misses 8 random ones by \d·10⁻¹[⁰-⁹] at most\.", card.measured)


def test_the_game_is_coloured_where_its_gradient_is_large():
    pytest.importorskip("ale_py")
    from sobolev_lib.front_page.results import _game
    torch.manual_seed(0)
    screens = _game(steps=3, skip=20)
    assert screens.shape == (3, 170, 240, 3) and screens.dtype == np.uint8
    coloured = (screens.max(3).astype(int) - screens.min(3) > 20).mean()
    assert 0.001 < coloured < 0.25


# --- the row ----------------------------------------------------------------------------------------------------

def test_cards_lead_to_chapters_in_the_book_and_in_jupyter(monkeypatch):
    cards = front_page.Cards([front_page.Card("A <b>", "<svg></svg>", "about", "open", "nothing & more", "atari")])
    monkeypatch.delenv("SOBOLEV_BOOK_BUILD", raising=False)
    assert 'href="atari.ipynb"' in cards._repr_html_()
    monkeypatch.setenv("SOBOLEV_BOOK_BUILD", "1")
    markup = cards._repr_html_()
    assert 'href="atari.html">A &lt;b&gt;</a>' in markup and "<strong>Open.</strong> nothing &amp; more" in markup
