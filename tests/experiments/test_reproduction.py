"""Every figure, table, theorem and claim of the paper has its row; its numbers are the record's, or computed on the spot."""
import json
import statistics
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from bs4 import BeautifulSoup

from sobolev_lib import records, theory
from sobolev_lib.experiments import decoupled_parts, intervals, reproduction, runner, step_cost
from sobolev_lib.experiments.reproduction import (
    CLAIMS,
    KINDS,
    NOT_RUN,
    Found,
    NotRun,
    __main__,
    distillation,
    gradients,
    networks,
    rows,
    theory as proved,
)
from sobolev_lib.experiments.reproduction.claim import row_of
from sobolev_lib.experiments.verdicts import STATUSES
from sobolev_lib.formats import typeset
from sobolev_lib.notebook.claims import claims, tally

# what the paper's text has: figures 1 (a and b) to 4, Table 1 with five lines, two theorems, four propositions, two
# numbered equations, three numbered contributions, and the claims of its sections
PAPER = {
    *(f"contribution-{k}" for k in (1, 2, 3)), "equation-1-and-figure-1-a", "equation-2-and-figure-1-b",
    "figure-2-left", "figure-2-right", "figure-3", "figure-4", "theorem-1", "theorem-2",
    *(f"proposition-{k}" for k in (1, 2, 3, 4)), "table-1-cifar-10-3-modules-top-1",
    *(f"table-1-imagenet-{cuts}-{top}" for cuts in ("1-module", "3-modules") for top in ("top-1", "top-5")),
    "section-1-imagenet", "section-2-cost", "section-3-polynomials", "section-3-factor-d-1", "section-4-1-six-of-seven",
    "section-4-1-orders-of-magnitude", "section-4-1-few-points", "section-4-1-many-points", "section-4-1-ackley",
    "section-4-1-ackley-with-many-points", "section-4-2-few-states", "section-4-2-pong", "section-4-2-overfitting",
    "section-4-3-sobolev-over-critic", "section-4-3-reliability", "section-4-3-gradient-fields",
}
EXPERIMENTS = sorted({claim.experiment for claim in CLAIMS if claim.experiment})


@pytest.fixture(scope="module")
def found():
    """All rows; the claims that a summary is about, which have rows of their own, are looked at once."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(reproduction, "row_of", cache(row_of))
        return {row.key: row for row in rows()}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty folder of records."""
    monkeypatch.setattr(records, "records_folder", lambda: tmp_path)
    return tmp_path


def claim_of(key):
    return next(claim for claim in CLAIMS if claim.key == key)


# --- rows -------------------------------------------------------------------------------------------------------

def test_every_figure_table_theorem_and_claim_has_its_row(found):
    assert PAPER <= set(found) and len(found) == len(CLAIMS)
    assert list(found) == [claim.key for claim in CLAIMS]
    for row in found.values():
        assert row.says and row.paper and row.command and row.status in (*STATUSES, NOT_RUN)
        assert row.rule or row.status == NOT_RUN
        assert bool(row.ours) == (row.status != NOT_RUN)


def test_the_papers_numbers_are_the_papers(found):
    """Table 1, as printed."""
    assert found["table-1-cifar-10-3-modules-top-1"].paper == (
        "noprop 54.5 ± 1.15, direct 79.2 ± 0.01, VFBN 88.5 ± 2.70, critic 93.2 ± 0.02, Sobolev 93.5 ± 0.01 (backprop 94.3)")
    assert "critic 86.9 ± 0.33, Sobolev 87.4 ± 0.11 (backprop 92.3)" in found["table-1-imagenet-3-modules-top-5"].paper


def test_a_row_says_which_record_it_is_from_and_how_to_make_it_anew(found):
    for claim in CLAIMS:
        row = found[claim.key]
        if claim.experiment and row.status != NOT_RUN:
            record = records.load_record(claim.experiment)
            made = record["provenance"]
            assert (row.record, row.device, row.date) == (f"{claim.experiment}, {record['preset']}",
                                                          made["device"], made["date"])
            assert row.command == records.command(claim.experiment, record["preset"], len(record["seeds"]))


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_without_its_record_a_claim_is_not_run(experiment, folder):
    for claim in CLAIMS:
        if claim.experiment == experiment:
            row = row_of(claim)
            assert (row.status, row.ours, row.interval, row.record, row.date) == (NOT_RUN, "", "", "", "")
            assert f"run {experiment} --preset" in row.command or row.command == claim.instead
            assert runner.find(experiment).NAME == experiment


@pytest.mark.slow
def test_without_records_what_is_summed_up_is_open_and_theorems_stay(folder):
    found = {row.key: row.status for row in rows(["contribution-2", "contribution-3", "theorem-2"])}
    assert found == {"contribution-2": "confirmed", "contribution-3": "open", "theorem-2": "confirmed"}


@pytest.mark.parametrize("experiment, preset, kept", [
    ("seven-functions", "quick", lambda cell: cell.startswith("styblinski_tang/20/")),
    ("seven-functions", "gpu", lambda cell: "/10000/" in cell),
    ("atari-distillation", "quick", lambda cell: cell.startswith("pong/")),
    ("synthetic-gradients-cifar10", "quick", lambda cell: "bootstrapped" not in cell and cell != "cost"),
])
def test_a_smaller_record_fails_nowhere(experiment, preset, kept, folder, monkeypatch):
    """A record of another preset may lack functions, sizes, games and shares."""
    monkeypatch.undo()
    record = records.load_record(experiment)
    monkeypatch.setattr(records, "records_folder", lambda: folder)
    record |= {"preset": preset, "results": {cell: result for cell, result in record["results"].items() if kept(cell)}}
    if experiment == "seven-functions":
        cells = [cell.split("/") for cell in record["results"]]
        record["config"] |= {"functions": sorted({name for name, *_ in cells}),
                             "sizes": sorted({int(size) for _, size, _ in cells})}
    (folder / f"{experiment}-{preset}.json").write_text(json.dumps(record))
    seen = [row_of(claim) for claim in CLAIMS if claim.experiment == experiment]
    assert {row.status for row in seen} <= {*STATUSES, NOT_RUN}
    assert any(row.status != NOT_RUN and preset in row.record for row in seen)


def test_unknown_claims_are_named():
    with pytest.raises(ValueError, match="keys: expected some of contribution-1, .*, got theorem-9"):
        rows(["theorem-1", "theorem-9"])
    with pytest.raises(ValueError, match="status: expected one of confirmed, .*, got 'proved'"):
        Found("1", "proved", "")


def test_the_command_of_a_row_shows_the_row(capsys, found):
    row = found["theorem-1"]
    assert row.command.split()[:3] == ["python", "-m", "sobolev_lib.experiments.reproduction"]
    assert __main__.main(row.command.split()[3:]) == 0
    assert f"ours         {row.ours}" in capsys.readouterr().out
    assert __main__.main(["theorem-9"]) == 2 and "got theorem-9" in capsys.readouterr().err


# --- numbers are the record's -----------------------------------------------------------------------------------

def mse(record, name, size, method):
    return np.array(record["results"][f"{name}/{size}/{method}"]["test_mse"])


def test_figure_2s_numbers_are_the_records(found):
    record = records.load_record("seven-functions")
    names = [name for name in record["config"]["functions"] if name != "ackley"]

    def mean_r(names, sizes):
        logs = [np.log(mse(record, name, size, "regular") / mse(record, name, size, "sobolev"))
                for name in names for size in sizes]
        return np.exp(np.mean(logs))

    sizes = record["config"]["sizes"]
    for key, value in {"figure-2-right": mean_r(names, sizes), "section-4-1-many-points": mean_r(names, sizes[-1:]),
                       "section-4-1-ackley": mean_r(["ackley"], sizes[:-1]),
                       "section-4-1-ackley-with-many-points": mean_r(["ackley"], sizes[-1:])}.items():
        assert float(found[key].ours.split("R = ")[1].split(",")[0].split()[0]) == pytest.approx(value, rel=0.06), key
    low, high = map(float, found["figure-2-right"].interval.split(" to "))
    assert low < mean_r(names, sizes) < high


def test_orders_of_magnitude_stay_open_until_the_loss_as_printed_is_run(found, folder):
    key = "section-4-1-orders-of-magnitude"
    record = json.loads((Path(__file__).resolve().parents[2] / "book/records/seven-functions-paper.json").read_text())
    (folder / "seven-functions-paper.json").write_text(json.dumps(record))

    def row(regular=None):
        if regular is not None:
            both = {"regular": {"test_mse": [regular, 1.1 * regular]}, "sobolev": {"test_mse": [1.0, 1.1]}}
            other = {**record, "experiment": "figure-2-variants",
                     "config": {"variants": {"literal-loss": {"steps": 10}}}, "results": {"literal-loss/booth/20": {"booth": both}}}
            (folder / "figure-2-variants-paper.json").write_text(json.dumps(other))
        return row_of(claim_of(key))

    alone = row()
    ends = [result["lr"] in (3e-4, 1e-2) for unit, result in record["results"].items() if unit.endswith("/sobolev")]
    assert alone.status == "open" and "The loss as printed has not been run" in alone.ours
    assert f"at an end of its grid in {sum(ends)} of {len(ends)} cells, so its R may be too small here" in alone.ours
    assert row(2.0).status == "contradicted" and "the loss as printed the largest R is 2" in row(2.0).ours
    assert row(50.0).status == "open"


def test_figure_4s_numbers_are_the_records(found):
    record = records.load_record("atari-distillation")
    logs = []
    for result in record["results"].values():
        kl = {(run["method"], run["seed"]): run["kl"] for run in result.get("runs", ())}
        seeds = [seed for method, seed in kl if method == "kl"]
        logs += [np.mean([np.log(kl["kl", seed] / kl["sobolev", seed]) for seed in seeds])] if seeds else []
    assert float(found["figure-4"].ours.split()[0]) == pytest.approx(np.exp(np.mean(logs)), rel=0.06)


def test_table_1s_numbers_are_the_records(found):
    record = records.load_record("synthetic-gradients-cifar10")["results"]
    values = {"backprop": "backprop", "noprop": "3/noprop", "critic": "3/critic/true", "Sobolev": "3/sobolev/true"}
    accuracy = {name: [100 * run["test_accuracy"] for run in record[unit]["runs"]] for name, unit in values.items()}
    for name, each in accuracy.items():
        told = f"{name} {statistics.mean(each):.1f}\xa0±\xa0{statistics.stdev(each):.1f}"
        assert told in found["table-1-cifar-10-3-modules-top-1"].ours
    ahead = intervals.interval([a - b for a, b in zip(accuracy["Sobolev"], accuracy["critic"])])
    row = found["section-4-3-sobolev-over-critic"]
    assert row.ours == f"{ahead.mean:+.1f} points".replace("-", "−")
    assert row.interval == f"{ahead.low:+.1f} to {ahead.high:+.1f}".replace("-", "−")


def test_a_smoke_test_is_not_run_and_shows_no_numbers(found):
    """All five rows of ImageNet have one record, and it is far too small for any of them."""
    large = [row for row in found.values() if "imagenet" in row.key]
    assert len(large) == 5
    for row in large:
        assert (row.status, row.ours, row.interval) == (NOT_RUN, "", "") and row.record.startswith("The record is a smoke test")
        assert "--data imagenet --network resnet50" in row.command


def test_additions_are_no_claims_of_the_paper(found):
    assert {row.key for row in found.values() if row.kind == KINDS[2]} == {
        "section-4-1-at-equal-time", "section-4-1-what-decides", "section-5-black-boxes", "section-5-black-boxes-by-other-methods",
        "section-5-random-directions", "section-5-a-generative-temporal-model", "section-5-internal-derivatives",
        "section-5-curvature-as-uncertainty", "slopes-that-hurt"}
    assert not PAPER & {row.key for row in rows(["Additions"])}
    assert found["theorem-1"].kind == KINDS[0] and found["figure-4"].kind == KINDS[1]
    assert {found[f"contribution-{k}"].kind for k in (1, 2, 3)} == {"summary"}


@pytest.mark.parametrize("test, train, curve, status, said", [
    (0.11, 0.1, [1.0, 0.11], "confirmed", "hardly overfit"), (0.5, 0.1, [1.0, 0.5], "contradicted", "overfit, too"),
    (0.15, 0.1, [0.1, 0.15], "open", "hardly overfit")])
def test_overfitting_follows_its_rule(test, train, curve, status, said):
    """A test error several times the training error is more than minor, however it got there."""
    runs = [{"method": method, "seed": seed, "kl": test, "train_kl": train, "curve": {"kl": curve}}
            for method in ("kl", "sobolev") for seed in (0, 1)]
    record = {"results": {"pong/0.01": {"runs": runs}}, "seeds": [0, 1], "config": {"states": 1000, "steps": 10}}
    row = distillation.overfitting(record)
    assert row.status == status and said in row.ours and "less than without slopes in 0 of 1 cells" in row.ours
    assert ("1.5 times its lowest" if curve[0] < curve[1] else "at its lowest") in row.ours


@pytest.mark.parametrize("change, status",
                         [({}, "confirmed"), ({"sobolev": 0.93}, "contradicted"), ({"noprop": 0.9}, "open")])
def test_sobolev_over_critic_follows_its_rule(change, status):
    accuracy = {"backprop": 0.943, "noprop": 0.545, "direct": 0.79, "vfbn": 0.885, "critic": 0.932, "sobolev": 0.935}
    results = {{"backprop": "backprop", "noprop": "3/noprop"}.get(method, f"3/{method}/true"): {
        "runs": [{"seed": seed, "test_accuracy": value + seed / 1e5, "train_accuracy": value} for seed in range(5)],
        "parameters": {"network": 1, "synthetic": 1}} for method, value in (accuracy | change).items()}
    record = {"results": results, "seeds": [0, 1, 2, 3, 4],
              "config": {"train_images": None, "image_size": None, "epochs": 1}}
    assert gradients.over_critic(record).status == status
    del results["3/critic/true"]
    with pytest.raises(NotRun, match="no 3/critic/true"):
        gradients.over_critic(record)


# --- theorems ---------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("key, name, broken", [
    ("theorem-1", "approximating_network", lambda make: lambda f, domain, width, **options: make(f, domain, 8, **options)),
    ("theorem-2", "compromise", lambda make: lambda f, g, domain, error: (None, torch.zeros(401, dtype=torch.float64))),
    ("proposition-1", "shallow_interpolating_network", lambda make: lambda x, y, dy: make(x, y + 1e-3, dy)),
    ("proposition-3", "gaussian_from_derivative", lambda make: lambda *told: (make(*told)[0] + 1e-3, make(*told)[1])),
    ("proposition-4", "jacobian_asymmetry", lambda make: lambda field, h: 0.5 + make(field, h)),
])
def test_a_construction_that_does_not_do_its_job_is_found_out(key, name, broken, monkeypatch):
    monkeypatch.setattr(theory, name, broken(getattr(theory, name)))
    if key == "theorem-2":                                 # the bound itself, too high for zero to keep
        tradeoff = theory.tradeoff
        monkeypatch.setattr(theory, "tradeoff", lambda *given: replace(tradeoff(*given), gaps=100 * tradeoff(*given).gaps))
    assert row_of(claim_of(key)).status == "contradicted"


def test_counts_of_points_are_those_of_the_text(found):
    line = torch.linspace(-1, 1, 20, dtype=torch.float64)[:, None]
    powers = [lambda x, n=n: x ** torch.arange(n + 1) for n in range(1, 6)]
    assert [proved.points_needed(f, line, 0) for f in powers] == [2, 3, 4, 5, 6]
    assert [proved.points_needed(f, line, 1) for f in powers] == [1, 2, 2, 3, 3]
    with pytest.raises(ValueError, match="expected enough to tell the functions apart, got 3"):
        proved.points_needed(powers[4], line[:3], 0)
    assert found["section-3-polynomials"].status == "contradicted"      # the paper's slip


def test_projections_need_the_factor(found, monkeypatch):
    """As printed the mean is 1/q of the exact term; a library that drew on the unit sphere would be found out."""
    assert found["equation-2-and-figure-1-b"].status == "confirmed in direction"
    draw = networks.StochasticSobolevLoss.draw
    monkeypatch.setattr(networks.StochasticSobolevLoss, "draw",
                        lambda self, *given: tuple(v / 6**0.5 for v in draw(self, *given)))
    assert networks.the_projections().status == "contradicted"


# --- verdicts of step cost and of decoupled parts ---------------------------------------------------------------

@pytest.mark.parametrize("projection, full, status", [
    ((1.8, 2.0), (1.4, 30.0), "confirmed"), ((1.8, 3.9), (1.4, 30.0), "confirmed in direction"),
    ((1.8, 40.0), (1.4, 30.0), "contradicted")])
def test_the_verdict_on_projections_follows_its_rule(projection, full, status):
    outputs = {count: {"regular": [1.0, 2.0, 3.0], "1 projection": [a, 2 * a, 3 * a], "full Jacobian": [b, 2 * b, 3 * b]}
               for count, a, b in zip(("1", "100"), projection, full)}
    verdict = step_cost.verdict({"results": {"outputs": outputs}, "config": {"output_inputs": 50, "width": 256, "turns": 3}})
    assert verdict.status == status
    assert f"With 100 outputs a step with the full Jacobian takes {full[1]:.1f}" in verdict.measured


@pytest.mark.parametrize("rates, accuracy, status", [
    ([190, 180], 0.70, "confirmed"), ([120, 130], 0.70, "confirmed in direction"), ([190, 180], 0.60, "open"),
    ([120, 130], 0.60, "open"), ([90, 130], 0.70, "open"), ([90, 80], 0.70, "contradicted")])
def test_the_verdict_on_decoupled_parts_follows_its_rule(rates, accuracy, status):
    """They are compared with as many threads; what is faster and less accurate decides nothing."""
    speed = {"backprop, one thread": [70, 70], "backprop, two threads": [160, 160],
             "backprop, pipeline of two processes": [100, 100], "sobolev, two processes": rates}
    right = {"backprop, one thread": 0.70, "backprop, pipeline of two processes": 0.69, "sobolev, two processes": accuracy}
    results = {"speed": {way: {"images_per_second": each} for way, each in speed.items()},
               **{f"accuracy/{way}": {"test_accuracy": [value, value]} for way, value in right.items()}}
    record = {"results": results, "seeds": [0, 1], "config": {"table": {"data": "cifar10"}, "steps": 800}}
    verdict = decoupled_parts.verdict(record)
    assert verdict.status == status and f"{100 * accuracy:.1f} per cent" in verdict.measured


# --- the page ---------------------------------------------------------------------------------------------------

def test_the_page_shows_every_row_with_all_that_it_holds(found):
    soup = BeautifulSoup(claims(list(found.values()))._repr_html_(), "html.parser")
    for row in found.values():
        first = soup.find(id=row.key)
        second = first.find_next_sibling("tr")
        text = (first.get_text() + second.get_text()).replace("\xa0", " ")
        said = (row.place, row.says, row.status, row.paper, row.ours, row.interval, row.scale.rstrip("."), row.paper_scale,
                row.record, row.device, row.date, row.rule)
        assert [part for part in said if typeset(part).replace("\xa0", " ") not in text] == []
        assert second.code.get_text() == row.command
        # an interval is behind no sentence, whose last number may be another one
        own = [span.get_text().replace("\xa0", " ") for span in first.select(".sl-interval")]
        assert own == [f"95 % interval: {typeset(row.interval)}".replace("\xa0", " ")] * bool(row.interval)
    assert len(soup.select("tbody tr")) == 2 * len(found)


def test_the_page_as_data_and_as_text(found):
    shown = claims(list(found.values()))
    frame = shown.to_pandas()
    assert list(frame["Claim"]) == [row.place for row in found.values()]
    assert list(frame["Verdict"]) == [row.status for row in found.values()]
    assert len(shown._repr_markdown_().splitlines()) == len(found) + 2
    assert repr(shown).splitlines()[0].startswith(next(iter(found.values())).status)
    counted = tally(list(found.values())).to_pandas()
    for kind in KINDS:
        assert sum(counted[kind]) == sum(row.kind == kind for row in found.values())
