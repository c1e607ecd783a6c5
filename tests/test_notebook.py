"""Tables, verdicts, records' lines and number formats, as plain Jupyter, Colab, the book and a terminal show them."""
import math
import re
import runpy
import sys
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import torch
from bs4 import BeautifulSoup
from markdown_it import MarkdownIt

from sobolev_lib.experiments import intervals, runner
from sobolev_lib.experiments.verdicts import STATUSES, Verdict
from sobolev_lib.notebook import folded, number, percent, provenance, ratio, seeded, spread, table, verdict, with_interval
from sobolev_lib.notebook.answers import as_array

GOOD = Verdict(claim="Noprop 54.5 < direct 79.2.", measured="Sobolev *leads* by\n    **2.1** points.",
               scale="5 seeds, 3 < 4 cuts.", status="open", rule="Confirmed if `low` > 0;\nopen if it holds 0.")
RECORD = {"experiment": "equal-time-race", "preset": "cpu", "seeds": [0, 1, 2], "config": {}, "results": {},
          "provenance": {"code_version": "0.1.0", "packages": {"torch": "2.13.0"}, "device": "CPU, 2 threads a process",
                         "wall_seconds": 7200, "date": "2026-11-26"}}


def parsed(shown):
    return BeautifulSoup(shown._repr_html_(), "html.parser")


def rendered(shown):
    """Its Markdown, as every frontend renders it."""
    return BeautifulSoup(MarkdownIt("commonmark").enable("table").render(shown._repr_markdown_()), "html.parser")


def columns(soup, where="td, th"):
    return [[cell.get_text() for cell in row.select(where)] for row in soup.select("tr")]


# --- numbers ----------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("value, spec, expected", [
    (0.123456, ",.3g", "0.123"), (-0.5, ".1f", "−0.5"), (0.5, "+.1f", "+0.5"), (1e-12, ",.3g", "1\xa0×\xa010⁻¹²"),
    (-1.5e-5, ".1e", "−1.5\xa0×\xa010⁻⁵"),
    (1234.56, ",.3g", "1,235"), (-98765.4, ",.3g", "−98,765"), (99999.0, "+.2g", "+99,999"), (260.0, ".2g", "260"),
    (321_573_000.0, ",.3g", "3.22\xa0×\xa010⁸"),
    (2.5e11, ",.3g", "2.5\xa0×\xa010¹¹"), (math.inf, ",.3g", "∞"), (-math.inf, "+.1f", "−∞"), (12345, ",d", "12,345"),
    (0.0, ",.3g", "0"), (12345.678, ",.1f", "12,345.7"), (np.float64(0.25), ".2f", "0.25"),
])
def test_numbers_have_a_real_minus_and_powers_of_ten_are_written_out(value, spec, expected):
    assert number(value, spec) == expected
    assert "-" not in number(value, spec) and "e" not in number(value, spec)


def test_text_gets_a_real_minus_before_numbers_only():
    cells = ["-1.5 (-2 to -0.5)", "2026-11-26", "a-1", "--seeds 5", "1-2", "6e3f", "infinite", "`1e-3`"]
    assert columns(parsed(table(cells, []))) == [["−1.5 (−2\xa0to\xa0−0.5)", *cells[1:-1], "1e-3"]]
    cells = ["8.5e-05", "1e+03 to inf", "-inf"]
    assert columns(parsed(table(cells, []))) == [["8.5\xa0×\xa010⁻⁵", "1\xa0×\xa010³\xa0to\xa0∞", "−∞"]]


@pytest.mark.parametrize("value, expected", [(0.0123, "0.012"), (1.0, "1"), (9.94, "9.9"), (9.96, "10"), (12.5, "12"),
                                             (123456.0, "123,456")])
def test_ratios_have_two_digits(value, expected):
    assert ratio(value) == expected


def test_means_come_with_their_interval_and_their_spread():
    found = intervals.interval([1.0, 2.0, 3.0])
    assert with_interval(found, ".2f") == "2.00 (−0.48 to 4.48)"
    assert with_interval(intervals.interval([1.0])) == "1 (−∞ to ∞)"
    assert spread([0.1, 0.2, 0.3], ".1%") == "20.0%\xa0±\xa010.0%" and spread([3.0]) == "3"
    assert percent(0.5) == "50%" and percent(0.12345, 2) == "12.35%" and percent(-0.1) == "−10%"
    with pytest.raises(ValueError, match="expected a middle and two ends, got 2 numbers"):
        with_interval([1.0, 2.0])


def test_a_seed_gives_the_same_numbers_and_leaves_the_global_ones_alone():
    before = torch.get_rng_state()
    assert torch.equal(torch.rand(4, generator=seeded(3)), torch.rand(4, generator=seeded(3)))
    assert not torch.equal(torch.rand(4, generator=seeded(3)), torch.rand(4, generator=seeded(4)))
    assert torch.equal(torch.get_rng_state(), before)


# --- tables -----------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("text, expected", [
    ("**1.5** (-2 to +0.5) on 3 of 5 seeds", "1.5 (−2_to_+0.5) on 3_of_5 seeds"), ("a gain of 3 to be had", "a gain of 3 to be had"),
    ("9 (1 of 5 dead)", "9 (1_of_5_dead)"), ("(section 4, in one sentence)", "(section 4, in one sentence)"),
    ("0.1 to 1e-3 to 10%", "0.1_to_1_×_10⁻³_to_10%"), ("88.5 ± 2.70, said", "88.5_±_2.70, said"), ("`1 to 2`", "1 to 2")])
def test_intervals_break_before_their_bracket_and_not_within(text, expected):
    shown = columns(parsed(table(["a"], [[text]])))[1][0]
    assert shown.replace("\xa0", "_") == expected
    assert shown.replace("\xa0", " ") == table(["a"], [[text]]).to_pandas()["a"][0].replace("\xa0", " ")


TABLE = table(["method", "error", "R (95 %)", "seeds won", "note"],
              [["regular", 0.5, "", "3 of 5", "a < b & c"], ["*Sobolev*", -12345.0, "**2.1** (1.8 to 2.4)", "5 of 5", "1|2"],
               ["`noise`", 1e-7, "–", "0 of 5", "x"]], caption="What *we* saw.")


def test_columns_of_numbers_are_flush_right_and_only_these():
    soup = parsed(TABLE)
    for row in soup.select("tr"):
        assert ["sl-number" in cell.get("class", []) for cell in row.select("th, td")] == [False, True, True, True, False]
    assert "div.sl-output.sl-table .sl-number { text-align: right; }" in soup.style.string
    rules = TABLE._repr_markdown_().splitlines()[3].split("|")[1:-1]
    assert [":" in rule for rule in rules] == [False, True, True, True, False]


def test_cells_keep_their_text_whatever_it_holds():
    expected = [["method", "error", "R (95 %)", "seeds won", "note"], ["regular", "0.5", "", "3 of 5", "a < b & c"],
                ["Sobolev", "−12,345", "2.1 (1.8 to 2.4)", "5 of 5", "1|2"], ["noise", "1 × 10⁻⁷", "–", "0 of 5", "x"]]
    for soup in (parsed(TABLE), rendered(TABLE)):
        assert [[text.replace("\xa0", " ") for text in row] for row in columns(soup)] == expected
    for soup in (parsed(TABLE), rendered(TABLE)):
        assert [tag.get_text() for tag in soup.table.select("em, strong, code") if tag.find_parent("caption") is None] == [
            "Sobolev", "2.1", "noise"]
    assert table(["a"], [["<script>"]])._repr_html_().count("<script>") == 0


def test_a_row_is_named_by_its_first_cell_and_the_table_by_its_caption():
    soup = parsed(TABLE)
    assert [row.th["scope"] for row in soup.select("tbody tr")] == ["row"] * 3 and soup.caption.get_text() == "What we saw."
    box = soup.select_one(".sl-table")
    assert (box["role"], box["tabindex"], box["aria-label"]) == ("region", "0", "What we saw.")   # it may scroll
    assert parsed(table(["", "b"], [[1, 2]])).div["aria-label"] == "Table: rows, b"


def test_as_text_columns_line_up():
    assert repr(TABLE).splitlines()[:3] == ["What we saw.",
                                            "method      error          R (95\xa0%)  seeds won  note",
                                            "regular       0.5                       3 of 5  a < b & c"]


def test_pandas_gets_numbers_as_numbers_and_text_without_marks():
    frame = TABLE.to_pandas()
    assert list(frame.columns) == ["method", "error", "R (95\xa0%)", "seeds won", "note"]
    assert frame["error"].tolist() == [0.5, -12345.0, 1e-7] and frame["error"].dtype == float
    assert frame["method"].tolist() == ["regular", "Sobolev", "noise"] and frame["R (95\xa0%)"][1] == "2.1 (1.8 to 2.4)"


def test_rows_must_be_as_long_as_the_header():
    with pytest.raises(ValueError, match="expected 2 cells as in the header, got 3"):
        table(["a", "b"], [[1, 2], [1, 2, 3]])
    with pytest.raises(ValueError, match="expected at least one column"):
        table([], [])
    assert columns(parsed(table(["a", "b"], []))) == [["a", "b"]] and repr(table(["a", "b"], [])) == "a  b"


# --- verdicts and records ---------------------------------------------------------------------------------------

@pytest.mark.parametrize("status", STATUSES)
def test_a_verdict_says_its_word_and_has_its_shape(status):
    soup = parsed(verdict(replace(GOOD, status=status)))
    block = soup.section
    assert block["aria-label"] == f"Verdict: {status}" and block.select_one(".sl-status").get_text() == status.capitalize()
    assert [p.get_text() for p in block.select(":scope > p")[1:]] == [
        "The paper. Noprop 54.5 < direct 79.2.", "Measured here. Sobolev leads by 2.1 points.",
        "Scale. 5 seeds, 3 < 4 cuts."]
    assert block.details.get_text() == "The ruleConfirmed if low > 0; open if it holds 0."
    assert "open" not in block.details.attrs


def test_a_folded_verdict_shows_its_word_and_keeps_the_rest_at_hand():
    open_block, folded_block = (parsed(verdict(GOOD, folded=folded)) for folded in (False, True))
    fold = folded_block.section.find("details", recursive=False)
    assert fold and not fold.has_attr("open")
    assert fold.summary.get_text().startswith(GOOD.status.capitalize()) and fold.summary.svg
    assert [block.get_text() for block in fold.select("p")] == [
        block.get_text() for block in open_block.section.select("p:not(.sl-status)")]
    assert repr(verdict(GOOD, folded=True)) == repr(verdict(GOOD))


def test_shapes_and_colours_of_verdicts_differ():
    signs = [parsed(verdict(replace(GOOD, status=status))).svg for status in STATUSES]
    colours = [re.search("#(?!fff)[0-9a-f]{6}", str(sign))[0] for sign in signs]
    shapes = [str(sign).replace(colour, "") for sign, colour in zip(signs, colours)]
    assert len(set(colours)) == len(set(shapes)) == len(STATUSES)
    assert all(sign["aria-hidden"] == "true" for sign in signs)                 # the word beside it says it


@pytest.mark.parametrize("status", STATUSES)
def test_a_verdict_is_one_quoted_block_in_plain_frontends(status):
    soup = rendered(verdict(replace(GOOD, status=status)))
    assert len(soup.find_all("blockquote")) == 1 and soup.strong.get_text() == f"{status.capitalize()}."
    assert [p.get_text() for p in soup.find_all("p")] == [
        f"{status.capitalize()}.", "The paper: Noprop 54.5 < direct 79.2.", "Measured here: Sobolev leads by 2.1 points.",
        "Scale: 5 seeds, 3 < 4 cuts.", "Rule: Confirmed if low > 0; open if it holds 0."]
    assert repr(verdict(GOOD)).splitlines() == [
        "Open.", "The paper: Noprop 54.5 < direct 79.2.", "Measured here: Sobolev leads by 2.1 points.",
        "Scale: 5 seeds, 3 < 4 cuts.", "Rule: Confirmed if low > 0; open if it holds 0."]


def test_a_record_gets_its_experiments_verdict_and_its_line(monkeypatch):
    asked = []
    monkeypatch.setattr(runner.find("equal-time-race"), "verdict", lambda record: asked.append(record) or GOOD)
    block = verdict(RECORD)
    assert asked == [RECORD] and block.verdict is GOOD
    assert parsed(block).select_one(".sl-record").get_text() == repr(provenance(RECORD))
    assert repr(provenance(RECORD)) in repr(block)


@pytest.mark.parametrize("found, error, message", [
    ("confirmed", TypeError, "expected a verdict or a record, got str"),
    ({"experiment": "poems"}, ValueError, "experiment: expected one of seven-functions, .*, got 'poems'"),
    ({"experiment": "atari-teachers"}, ValueError, "expected a record of an experiment with a verdict, got .*teachers"),
])
def test_what_has_no_verdict_is_refused(found, error, message):
    with pytest.raises(error, match=message):
        verdict(found)


@pytest.mark.parametrize("seconds, told", [(40, "40 seconds"), (600, "10 minutes"), (7200, "2.0 hours")])
def test_a_records_line_says_how_it_was_made_and_how_to_make_it_anew(seconds, told):
    record = RECORD | {"provenance": RECORD["provenance"] | {"wall_seconds": seconds}}
    assert repr(provenance(record)) == (
        "Record equal-time-race, preset cpu: 3 seeds, made on 2026-11-26 on CPU, 2 threads a process, in "
        f"{told} of computing, by version 0.1.0 of the library, torch 2.13.0. Run it again: "
        "python -m sobolev_lib.experiments run equal-time-race --preset cpu --seeds 3")
    assert parsed(provenance(record)).p.find_all("code")[-1].get_text().startswith("python -m sobolev_lib.experiments run")


def test_a_device_that_names_its_torch_is_not_told_twice():
    made = RECORD["provenance"] | {"device": "NVIDIA H100 with torch 2.11.0"}
    assert repr(provenance(RECORD | {"provenance": made, "seeds": [0]})).count("torch") == 1


def test_the_line_of_a_real_run_repeats_it(monkeypatch, capsys):
    """What the line gives is a command that the command line takes."""
    command = repr(provenance(RECORD)).split("Run it again: ")[1].split()
    assert command[:3] == ["python", "-m", "sobolev_lib.experiments"]
    monkeypatch.setattr(sys, "argv", ["", *command[3:], "--help"])
    monkeypatch.delitem(sys.modules, "sobolev_lib.experiments.__main__", raising=False)
    with pytest.raises(SystemExit) as ended:
        runpy.run_module(command[2], run_name="__main__", alter_sys=True)
    assert ended.value.code == 0 and "--seeds" in capsys.readouterr().out


# --- folds ------------------------------------------------------------------------------------------------------

def test_a_fold_is_closed_and_holds_what_it_is_given():
    fold = parsed(folded("All <numbers>", table(["a"], [[1]]))).details
    assert fold.summary.text == "All <numbers>" and not fold.has_attr("open")
    assert [cell.text for cell in fold.select("td, tbody th")] == ["1"]
    assert repr(folded("All", table(["a"], [[1]]))).splitlines()[0] == "All"


def test_a_fold_wants_a_title_and_something_to_show():
    with pytest.raises(ValueError, match="title: expected a text"):
        folded(" ", table(["a"], [[1]]))
    with pytest.raises(TypeError, match="shown: expected something that shows itself as HTML, got str"):
        folded("All", "text")
    with pytest.raises(TypeError, match="title: expected a text, got 3"):
        folded(3, table(["a"], [[1]]))
    with pytest.raises(TypeError, match="shows itself as HTML, got the class Folded"):
        folded("All", type(folded("All", table(["a"], [[1]]))))


def test_a_widget_is_folded_in_jupyter_and_in_the_book(monkeypatch):
    ipywidgets = pytest.importorskip("ipywidgets")
    from sobolev_lib.widgets import FieldBall

    monkeypatch.delenv("SOBOLEV_BOOK_BUILD", raising=False)
    ball = FieldBall()
    fold = folded("A ball", ball)
    assert isinstance(fold, ipywidgets.Accordion) and fold.children == (ball,) and fold.titles == ("A ball",) and fold.selected_index is None
    monkeypatch.setenv("SOBOLEV_BOOK_BUILD", "1")
    assert parsed(folded("A ball", FieldBall())).select_one("details .sobolev-widget")


# --- answers ----------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("answer, shape, expected", [
    (3, (), 3), (Fraction(1, 2), (), 0.5), ([[0.5]], (), 0.5), (np.float32(0.5), (), 0.5), (True, (), 1), (np.ones((1, 1)), (), 1),
    (torch.tensor([0.5], requires_grad=True), (), 0.5), (torch.tensor(0.5, dtype=torch.bfloat16), (), 0.5),
    ((1, torch.tensor(2.0, requires_grad=True)), (2,), [1, 2]), (torch.tensor([[1, 2]]), (2,), [1, 2]), (range(2), (2,), [0, 1]),
    ([1.0, 2.0], (2, 1), [[1], [2]]), (np.array([Fraction(1, 4), 2], dtype=object), None, [0.25, 2]),
    (zip([1, 2], [3, 4]), None, [[1, 3], [2, 4]]), ((torch.ones(2), torch.zeros(2)), None, [[1, 1], [0, 0]]), ([], None, []),
])
def test_an_answer_in_any_form_is_an_array(answer, shape, expected):
    array = as_array(answer, shape)
    assert type(array) is np.ndarray and array.dtype == np.float64
    assert array.shape == np.shape(expected) and (array == expected).all()


@pytest.mark.parametrize("answer, shape, says", [
    (None, (), "expected one number, got None"), ("2", (), "expected one number, got '2'"), ([1, None], (2,), "got [1, None]"),
    (["1", "2"], (2,), "expected 2 numbers, got ['1', '2']"), (np.array("2"), (), "expected one number"), (2j, (), "got 2j"),
    (np.array(2j), (), "expected one number"), (torch.tensor(2j), (), "expected one number"), ({1, 2}, (2,), "got {1, 2}"),
    ([], (), "expected one number, got 0 numbers"), ([1, 2], (), "expected one number, got 2 numbers"),
    (1, (2,), "expected 2 numbers, got one number"), (10**400, (), "expected one number, got 1000"),
    (torch.ones(3, 2), (2, 3), "expected numbers of shape (2, 3), got numbers of shape (3, 2)"),
    ([(1.0,), (2.0, 3.0)], None, "expected numbers, got [(1.0,), (2.0, 3.0)]"), ([torch.ones(2), torch.ones(3)], None, "got [tensor"),
    (math.nan, (), "expected finite numbers, got nan"), ([0, -math.inf], None, "expected finite numbers, got -inf"),
    (lambda: 1, (), "expected one number, got <function"),
])
def test_what_is_no_such_answer_is_said_in_a_sentence(answer, shape, says):
    with pytest.raises(ValueError, match=re.escape(says)) as error:
        as_array(answer, shape)
    assert len(str(error.value)) < 120 and "\n" not in str(error.value)
