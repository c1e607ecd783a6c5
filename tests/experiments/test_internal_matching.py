"""Internal derivatives: ways that compare what they say, equal budgets, and a verdict by its rule."""
import json
from dataclasses import replace

import pytest
import torch

from sobolev_lib.derivatives import value_and_derivatives
from sobolev_lib.experiments import internal_matching, internal_verdict, internal_ways
from sobolev_lib.experiments.internal_matching import PRESETS, TRIALS, Config, run_unit, units, verdict
from sobolev_lib.experiments.internal_ways import FORMS, INPUT, INTERNAL, LAYERS, REFERENCE, WAYS, images, networks, shapes
from sobolev_lib.experiments.keeping import Keep, TimeIsUp
from sobolev_lib.records import MissingResults

SMALL = replace(PRESETS["quick"], images={"digits": (20,)}, steps=6, teacher_steps=10, tuning_images=20, equal_time=True)
ROWS, DRAW = torch.arange(6), torch.Generator()


@pytest.fixture
def pair():
    teacher, student = networks(64, 10, seed=0)
    return teacher.requires_grad_(False), student, torch.randn(6, 64, generator=torch.Generator().manual_seed(1))


def test_every_way_has_as_many_trials():
    assert {len(trials) for trials in TRIALS.values()} == {4} and set(TRIALS) == {*WAYS, REFERENCE}
    assert {*INPUT, *INTERNAL} < set(WAYS)


def test_layers_that_stand_for_each_other_are_of_one_size(pair):
    teacher, student, x = pair
    for hidden in zip(internal_ways._walk(teacher, x, 1), internal_ways._walk(student, x, 0)):
        assert hidden[0].shape == hidden[1].shape
    assert internal_ways._walk(teacher, x, 1)[2].equal(teacher(x)) and len(LAYERS) == 2


@pytest.mark.parametrize("name", WAYS)
def test_a_teacher_has_nothing_to_learn_from_itself_and_a_student_has(name, pair, monkeypatch):
    _, student, x = pair
    twin = networks(64, 10, seed=0)[1].requires_grad_(False)
    monkeypatch.setattr(internal_ways, "LAYERS", {number: (layer, layer) for number, (layer, _) in LAYERS.items()})
    way = WAYS[name](twin, x)
    assert [float(term.detach()) for term in way(twin, ROWS, DRAW)] == pytest.approx([0, 0], abs=1e-8)
    with torch.no_grad():
        student[2].weight.mul_(1.5)
    values, more = way(student, ROWS, DRAW)
    assert float(values.detach()) > 1e-3
    if name == "answers":
        assert float(more) == 0
        return
    assert float(more.detach()) > 1e-4
    more.backward()
    learns = [parameter.grad is not None and bool(parameter.grad.any()) for parameter in student[0].parameters()]
    assert any(learns)


@pytest.mark.parametrize("name, number", [("layer 1", 1), ("layer 2", 2)])
def test_a_layer_s_term_is_the_share_that_the_chain_rule_gives(name, number, pair):
    teacher, student, x = pair
    jacobians = []
    for which, network in ((1, teacher), (0, student)):
        end = int(LAYERS[number][which]) + 1
        hidden, above = torch.nn.Sequential(*list(network)[:end])(x), list(network)[end:]
        jacobians.append(value_and_derivatives(torch.nn.Sequential(*above), hidden.detach())[1].detach())
    expected = (jacobians[1] - jacobians[0]).square().sum() / jacobians[0].square().sum()
    assert float(WAYS[name](teacher, x)(student, ROWS, DRAW)[1].detach()) == pytest.approx(float(expected), rel=1e-5)


def test_attention_to_a_layer_is_where_its_slopes_are_large(pair):
    teacher, student, x = pair
    maps = []
    for which, network in ((1, teacher), (0, student)):
        end, rows = int(LAYERS[1][which]) + 1, []
        for point in x[ROWS]:
            hidden = torch.nn.Sequential(*list(network)[:end])(point[None]).detach()
            jacobian = torch.autograd.functional.jacobian(torch.nn.Sequential(*list(network)[end:]), hidden)[0, :, 0]
            rows.append(jacobian.square().sum(0) / jacobian.square().sum(0).square().sum().sqrt())
        maps.append(torch.stack(rows))
    expected = (maps[0] - maps[1]).square().sum(1).mean()
    assert float(WAYS["layer 1, attention"](teacher, x)(student, ROWS, DRAW)[1].detach()) == pytest.approx(float(expected), rel=1e-5)


def test_between_the_layers_it_is_the_one_by_the_other(pair):
    teacher, student, x = pair
    by_hand = []
    for which, network in ((1, teacher), (0, student)):
        ends = [int(LAYERS[number][which]) + 1 for number in (1, 2)]
        hidden = torch.nn.Sequential(*list(network)[:ends[0]])(x).detach()
        by_hand.append(value_and_derivatives(torch.nn.Sequential(*list(network)[slice(*ends)]), hidden)[1].detach())
    expected = (by_hand[1] - by_hand[0]).square().sum() / by_hand[0].square().sum()
    assert float(WAYS["between"](teacher, x)(student, ROWS, DRAW)[1].detach()) == pytest.approx(float(expected), rel=1e-5)


@pytest.mark.parametrize("name", [name for name in WAYS if name.endswith("projected")])
def test_projections_are_the_whole_on_average(name, pair):
    teacher, student, x = pair
    whole = WAYS[name.removesuffix(", projected")](teacher, x)(student, ROWS, DRAW)[1].detach()
    way, draw = WAYS[name](teacher, x), torch.Generator().manual_seed(0)
    found = torch.stack([way(student, ROWS, draw)[1].detach() for _ in range(400)])
    assert abs(float(found.mean() - whole)) < 4 * float(found.std()) / 20


def test_shapes_are_told_apart_and_drawn_anew_for_each_seed():
    x, forms = shapes(400, seed=5)
    assert x.isfinite().all() and set(forms.tolist()) == set(range(len(FORMS)))
    assert torch.equal(shapes(400, seed=5)[0], x) and not torch.equal(shapes(400, seed=6)[0], x)
    means = torch.stack([x[forms == form].mean(0) for form in range(len(FORMS))])
    assert torch.cdist(means, means).fill_diagonal_(9).min() > 0.3


@pytest.mark.parametrize("name", internal_ways.SETS)
def test_no_image_is_in_two_parts(name):
    rows = [row for x, _ in images(name).values() for row in map(tuple, x.tolist())]
    assert len(set(rows)) > 0.99 * len(rows)               # scikit-learn's digits hold a few twins


def test_a_unit_killed_and_resumed_gives_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr(internal_matching, "_price", lambda *arguments: 2.0)
    timeless = lambda found: [{key: part for key, part in run.items() if key != "seconds"} for run in found["runs"]]
    whole = run_unit("digits/layer 1", SMALL, [0, 1], "cpu")
    with pytest.raises(TimeIsUp):
        run_unit("digits/layer 1", SMALL, [0, 1], "cpu", Keep(tmp_path / "unit", until=0))
    assert timeless(run_unit("digits/layer 1", SMALL, [0, 1], "cpu", Keep(tmp_path / "unit"))) == timeless(whole)
    json.dumps(whole, allow_nan=False)


def test_equal_time_is_as_many_steps_as_the_price_allows(monkeypatch):
    monkeypatch.setattr(internal_matching, "_price", lambda name, way, config: {"answers": 0.25, "input": 0.9}[way])
    for way, steps in (("answers", 24), ("input", 6)):     # the whole Jacobian by the input is the measure
        runs = run_unit(f"digits/{way}", SMALL, [0], "cpu")["runs"]
        assert [(run["equal"], run["steps"]) for run in runs] == [("steps", 6), ("time", steps)]


@pytest.mark.slow
def test_students_with_slopes_learn():
    config = replace(SMALL, steps=150, teacher_steps=150, trials={way: [TRIALS[way][1]] for way in ("input", REFERENCE)},
                     images={"digits": (200,)}, tuning_images=200, equal_time=False)
    for way in config.trials:
        found, = run_unit(f"digits/{way}", config, [0], "cpu")["runs"]
        assert found["accuracy"] > 0.85 and found["kl"] < 0.5 and ("slope" in found) == (way != REFERENCE)


def test_units_name_each_set_and_way():
    assert len(units(Config())) == 2 * len(TRIALS)
    assert units(PRESETS["quick"]) == ["digits/answers", "digits/input", "digits/layer 1"]


# --- what a record says -----------------------------------------------------------------------------------------

def made(inside, seeds=5, images=None, steps=1.0):
    """A record in which matching at the input errs by 1, and layer 1 by ``inside`` in each cell."""
    images = images or {"digits": [50, 200], "shapes": [200]}
    every = [(name, count) for name, counts in images.items() for count in counts]
    error = {"answers": [2.0] * len(every), "input": [1.0] * len(every), "layer 1": inside}
    results = {}
    for way, errors in error.items():
        for name in images:
            runs = [{"seed": seed, "images": count, "equal": equal, "accuracy": 0.9, "agreement": 0.9, "slope": 0.1,
                     "kl": size * (1 + 0.02 * seed * (way == "layer 1")) * (steps if equal == "steps" else 1)}
                    for (cell, count), size in zip(every, errors) if cell == name
                    for equal in ("steps", "time") for seed in range(seeds)]
            results[f"{name}/{way}"] = {"runs": runs, "trials": [{"validation_kl": 1.0}]}
    config = {"images": images, "trials": {way: [1] for way in error}, "steps": 300}
    return {"config": config, "results": results, "seeds": list(range(seeds)), "experiment": "internal-matching",
            "preset": "cpu"}


@pytest.mark.parametrize("inside, status", [
    ((0.5, 0.6, 0.7), "confirmed"), ((0.5, 0.6, 2.0), "confirmed in direction"), ((0.5, 2.0, 0.99), "open"),
    ((3.0, 2.0, 4.0), "contradicted")])
def test_the_verdict_follows_its_rule(inside, status):
    found = verdict(made(inside))
    first = internal_verdict.times(internal_verdict.inside_against_input(made(inside), ("digits", 50)))
    assert found.status == status and f"from 50 handwritten digits {first}; from 200" in found.measured


@pytest.mark.parametrize("thin", [{"seeds": 4}, {"seeds": 1}, {"images": {"digits": [50, 200, 1000]}},
                                  {"images": {"digits": [50], "shapes": [200]}}])
def test_thin_records_stay_open(thin):
    cells = sum(map(len, thin.get("images", {"digits": [1, 2], "shapes": [3]}).values()))
    for inside in (0.1, 10.0):
        assert verdict(made((inside,) * cells, **thin)).status == "open"


def test_the_choice_is_by_validation_and_not_by_test():
    record = made((0.1, 0.1, 0.1))
    record["config"]["trials"]["layer 2"] = [1]
    for name in ("digits", "shapes"):
        worse = json.loads(json.dumps(record["results"][f"{name}/input"]))
        record["results"][f"{name}/layer 2"] = worse | {"trials": [{"validation_kl": 0.5}]}
    assert internal_verdict.chosen(record, "digits", INTERNAL) == "layer 2" and verdict(record).status == "open"


def test_what_a_record_lacks_is_said():
    record = made((0.5, 0.6, 0.7))
    with pytest.raises(MissingResults, match="expected sets of images, got none"):
        verdict(record | {"config": record["config"] | {"images": {}}})
    with pytest.raises(MissingResults, match="runs of digits/input on 7 images, by equal time, got none"):
        internal_verdict.numbers(record, ("digits", 7), "input")
    del record["results"]["shapes/layer 1"]
    with pytest.raises(MissingResults, match="shapes/layer 1"):
        verdict(record)
