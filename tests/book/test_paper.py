"""The chapters on Atari and on synthetic gradients: exercises, and sentences that follow from the record."""

import copy
import re

import numpy as np
import pytest
import torch
from cells import cell

import sobolev_lib as sl
from sobolev_lib import widgets
from sobolev_lib.experiments import atari_numbers, atari_students, atari_verdict, table_1_answer, table_1_verdict
from sobolev_lib.notebook import percent, seeded
from sobolev_lib.records import load_record


def check(page, name, answer, capsys, **names):
    """What the self-check prints of an answer; the answer is put where the reader puts theirs."""
    source = cell(page, name)
    body = re.search(r"def my_gradient\(.*\):\n    return None[^\n]*\n", source)[0]
    exec(source.replace(body, answer.strip() + "\n"), {"torch": torch, "np": np, "seeded": seeded, "sl": sl, **names})
    return capsys.readouterr().out.strip()


def solution(page, name):
    return re.search(r"```python\n(.*?)```", cell(page, name), re.DOTALL)[1]


ATARI, SYNTHETIC = ("atari", "atari-70"), ("synthetic_gradients", "synthetic_gradients-56")


@pytest.mark.parametrize("exercise, solved", [(ATARI, "atari-71"), (SYNTHETIC, "synthetic_gradients-57")])
def test_the_printed_solution_is_right_also_as_a_list_or_an_array(exercise, solved, capsys):
    answer = solution(exercise[0], solved)
    assert check(*exercise, answer, capsys) == "right"
    for form in ("tolist()", "numpy()"):
        told = re.sub(r"return (.*)", rf"return (\1).{form}", answer)
        assert check(*exercise, told, capsys) == "right"


@pytest.mark.parametrize("exercise, answer, hint", [
    (ATARI, "def my_gradient(z, v):\n    return z.softmax(1) * v.sum(1, keepdim=True) - v", "the sign is wrong"),
    (ATARI, "def my_gradient(z, v):\n    return v.sum(1)", "keepdim=True"),
    (ATARI, "def my_gradient(z, v):\n    return v - z.softmax(0) * v.sum(1, keepdim=True)", "softmax over dimension 1"),
    (ATARI, "def my_gradient(z, v):\n    return 'none'", "expected numbers of shape (5, 6), got 'none'"),
    (ATARI, "def my_gradient(z, v):\n    return v / 0", "expected finite numbers"),
    (SYNTHETIC, "def my_gradient(h, y, W, b):\n    return [[1], [2, 3]]", "expected numbers of shape (6, 8)"),
    (SYNTHETIC, "def my_gradient(h, y, W, b):\n    return (h @ W.T + b).softmax(1)", "times W"),
    (SYNTHETIC, "def my_gradient(h, y, W, b):\n    return (h @ W.T + b).softmax(1) @ W", "minus 1 at the label"),
    (SYNTHETIC, "def my_gradient(h, y, W, b):\n    p = (h @ W.T + b).softmax(1)\n"
                "    return (p - torch.nn.functional.one_hot(y, 3)) @ W / len(h)", "the batch's mean loss"),
])
def test_a_wrong_answer_gets_a_hint(exercise, answer, hint, capsys):
    assert hint in " ".join(check(*exercise, answer, capsys).split())


@pytest.mark.parametrize("exercise", [ATARI, SYNTHETIC])
def test_no_answer_yet(exercise, capsys):
    source = cell(*exercise)
    exec(source, {"torch": torch, "seeded": seeded})
    assert capsys.readouterr().out.strip() == "not yet"


# --- questions on the page: which choice is right is the record's --------------------------------------------------

def asked(page, name, monkeypatch, **names):
    """The arguments with which a cell asks its question."""
    found = {}
    monkeypatch.setattr(widgets, "Question", lambda question, choices=None, **settings: found.update(choices=choices, **settings))
    exec(cell(page, name), {"widgets": widgets, "mean": lambda values: float(np.mean(list(values))), **names})
    return found


def swapped(record):
    other = copy.deepcopy(record)
    for result in other["results"].values():
        for run in result.get("runs", ()):
            run["method"] = {"kl": "sobolev", "sobolev": "kl"}.get(run["method"], run["method"])
    return other


def atari_names(record):
    return {"record": record, "games": record["config"]["games"], "few": atari_numbers.fewest(record),
            "atari_students": atari_students, "atari_verdict": atari_verdict, "percent": percent}


def test_which_pixels_is_answered_by_the_record(monkeypatch):
    record = load_record("atari-distillation")
    for given, right in ((record, "Hardly"), (swapped(record), "Yes, mostly")):
        assert asked("atari", "atari-predict-pixels", monkeypatch, **atari_names(given))["right"] == right


def test_who_fits_its_own_states_is_answered_by_the_record(monkeypatch):
    record = load_record("atari-distillation")
    for given, right in ((record, "Told the policy alone"), (swapped(record), "Told the slopes too")):
        assert asked("atari", "atari-predict-fit", monkeypatch, **atari_names(given))["right"] == right


def test_which_guess_is_best_is_answered_by_the_record(monkeypatch):
    titles = {method: method for method in table_1_verdict.NAMES}
    record = load_record("synthetic-gradients-cifar10")
    first, last = (sorted(table_1_answer.GUESSES, key=lambda method: -np.mean(table_1_verdict.accuracies(record, method)))[k]
                   for k in (0, -1))
    other = copy.deepcopy(record)
    other["results"][f"3/{first}/true"], other["results"][f"3/{last}/true"] = (
        record["results"][f"3/{last}/true"], record["results"][f"3/{first}/true"])
    for given, right in ((record, first), (other, last)):
        found = asked("synthetic_gradients", "synthetic_gradients-predict", monkeypatch, record=given, titles=titles,
                      table_1_answer=table_1_answer)
        assert found["right"] == right and found["veil"]
