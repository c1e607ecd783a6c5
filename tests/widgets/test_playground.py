"""The playground's Python side: settings, the caller's own functions and tables, and what comes back from the browser."""
import base64
import json
import re

import numpy as np
import pytest
import torch

import sobolev_lib as sl
from sobolev_lib import book_output
from sobolev_lib.widgets import Playground
from sobolev_lib.widgets.playground_settings import DEFAULTS, PRESETS, SCHEMA, checked_settings

BOX = [(-1.0, 1.0), (0.0, 2.0)]


@pytest.fixture(autouse=True)
def jupyter(monkeypatch):
    monkeypatch.delenv("SOBOLEV_BOOK_BUILD", raising=False)


def table(n=40, inputs=2, order=1):
    x = torch.rand(n, inputs, generator=torch.Generator().manual_seed(0))
    return sl.label(lambda x: x.square().sum(-1), x, order=order)


def test_the_defaults_and_all_presets_are_allowed():
    assert checked_settings({}) == DEFAULTS and checked_settings(DEFAULTS) == DEFAULTS
    for preset in PRESETS:
        checked_settings(preset["settings"])
        assert preset["story"].endswith(".")
    assert [preset["name"] for preset in PRESETS] == ["3 points are enough", "Ackley fights back", "Noisy derivatives",
                                                      "Weight too high"]


def test_a_small_playground_asks_for_no_control_that_it_lacks(monkeypatch):
    for preset in PRESETS:
        assert preset["story"].endswith(preset.get("try", ""))
    monkeypatch.setenv("SOBOLEV_BOOK_BUILD", "1")
    few, full = (Playground(preset="Weight too high", controls=controls)._repr_html_() for controls in ("few", "all"))
    assert "with a note by how much.\"" in few and "with a note by how much. Turn the weight down." in full


def test_every_stop_of_every_slider_is_allowed():
    for entry in SCHEMA:
        for value in entry.get("stops", entry.get("options", [])):
            needed = {"table": "xfg:AAAA"} if value == "table" else {}
            assert checked_settings({entry["name"]: value, **needed})[entry["name"]] == value
        if "stops" in entry and entry["group"]:
            assert entry["default"] in entry["stops"] and entry["stops"] == sorted(entry["stops"])


def test_the_controls_that_were_promised_are_there():
    entries = {entry["name"]: entry for entry in SCHEMA}
    assert {f.name for f in sl.functions.BENCHMARKS} <= set(entries["function"]["options"])
    assert (entries["points"]["low"], entries["points"]["high"]) == (1, 500)
    assert entries["derivative_weight"]["high"] >= 1e6 and entries["lr"]["high"] >= 10
    assert set(entries["activation"]["options"]) == {"relu", "leaky_relu", "tanh", "softplus"}
    assert entries["order"]["options"] == [1, 0]
    assert [entry["name"] for entry in SCHEMA if entry["group"] == "main"] == [
        "function", "points", "derivative_weight", "derivative_noise", "activation", "lr"]   # six controls in sight


def test_settings_reach_the_front_end():
    playground = Playground("ackley", points=7, view="map")
    assert playground.settings == {**DEFAULTS, "function": "ackley", "points": 7, "view": "map"}
    playground.settings = {"points": 8}
    assert playground.settings["points"] == 8 and playground.settings["function"] == "ackley"
    with pytest.raises(ValueError, match="points: expected a number between 1 and 500, got 501"):
        playground.settings = {"points": 501}
    assert playground.settings["points"] == 8


def test_a_preset_can_be_changed():
    settings = Playground(preset="Ackley fights back", points=5).settings
    assert settings["function"] == "ackley" and settings["derivative_weight"] == 1 and settings["points"] == 5


def test_few_controls_show_one_preset_only():
    few = Playground(preset="Noisy derivatives", controls="few")
    assert [preset["name"] for preset in few.presets] == ["Noisy derivatives"]
    assert Playground("ackley", controls="few").presets == []


def hermite(problem, x):
    """The same cubic pieces with NumPy: values at x (N, 2)."""
    side, (first, second) = problem["side"], problem["domain"]
    tables = {name: np.array(problem[name]).reshape(side, side) for name in ("values", "dx", "dy", "dxy")}
    out = []
    for point in x.tolist():
        weights, cells = [], []
        for p, (low, high) in zip(point, (first, second)):
            h = (high - low) / (side - 1)
            i = min(int((p - low) / h), side - 2)
            t = (p - low) / h - i
            weights.append((2 * t**3 - 3 * t**2 + 1, (t**3 - 2 * t**2 + t) * h, 3 * t**2 - 2 * t**3, (t**3 - t**2) * h))
            cells.append(i)
        out.append(sum(weights[0][2 * a + p] * weights[1][2 * b + q] * tables[name][cells[1] + b, cells[0] + a]
                       for a in (0, 1) for b in (0, 1) for p, q, name in
                       ((0, 0, "values"), (1, 0, "dx"), (0, 1, "dy"), (1, 1, "dxy"))))
    return np.array(out)


def test_a_function_of_ones_own_is_kept_to_a_millionth():
    f = lambda x: torch.sin(3 * x[:, 0]) * torch.exp(x[:, 1])
    problem = Playground(f, domain=BOX).problem
    x = torch.rand(200, 2, dtype=torch.float64) * 2 - torch.tensor([1.0, 0.0])
    assert np.abs(hermite(problem, x) - f(x).numpy()).max() < 2e-6 * 7.4


def test_a_benchmark_brings_its_domain():
    assert Playground(sl.functions.bukin).problem["domain"] == [[-15, -5], [-3, 3]]


def test_a_network_is_a_function_too():
    network = sl.models.MLP(1, 8, 1).double()
    problem = Playground(network, domain=[(0, 1)]).problem
    assert problem["side"] == 257 and len(problem["values"]) == 257 and "dy" not in problem


def test_a_table_is_split_or_comes_with_a_test():
    data = table()
    problem = Playground(data=data).problem
    assert (problem["train"]["n"], problem["test"]["n"]) == (32, 8)
    both = np.concatenate([np.array(problem[part]["x"]).reshape(2, -1).T for part in ("train", "test")])
    np.testing.assert_allclose(np.sort(both, axis=0), np.sort(data.inputs.numpy(), axis=0), rtol=1e-6)
    problem = Playground(data=data, test=table(10)).problem
    assert (problem["train"]["n"], problem["test"]["n"]) == (40, 10)


def test_missing_derivatives_stay_missing():
    data = table(4)
    data.jacobian[1, 0] = torch.nan
    rows = Playground(data=data, test=data).problem["train"]
    assert [one is None for one in rows["gradients"]] == [False, True] + [False] * 6


def test_values_of_shape_n_1_are_taken():
    data = sl.SobolevData(torch.rand(5, 1), torch.rand(5, 1), torch.rand(5, 1, 1))
    assert Playground(data=data).problem["train"]["n"] == 4


def test_a_formula_has_one_input_or_two():
    assert Playground("formula", formula="sin(x)", at=[0.1, 0.2, 0.3]).settings["formula"] == "sin(x)"
    with pytest.raises(ValueError, match="at: expected 2 numbers for each point, got 3"):
        Playground("formula", formula="x * y", at=[0.1, 0.2, 0.3])
    with pytest.raises(ValueError, match="expected 2 numbers for each point, got 3"):
        Playground("formula", formula="x1 + x2", range=[0, 1, 0, 1], at=[0.1, 0.2, 0.3])
    with pytest.raises(ValueError, match="expected 2 numbers for each point, got 3"):
        Playground("formula", formula="x²·y²", at=[0.1, 0.2, 0.3])


def test_in_the_book_it_is_html(monkeypatch):
    monkeypatch.setenv("SOBOLEV_BOOK_BUILD", "1")
    markup = Playground("ackley", alt="Ackley, learned twice")._repr_html_()
    assert 'aria-label="Ackley, learned twice"' in markup and 'data-widget="playground"' in markup
    state = json.loads(re.search(r"<script type=\"application/json\">(.*?)</script>", markup)[1])
    assert state["settings"]["function"] == "ackley"


def test_what_the_browser_reports_becomes_networks_and_data():
    playground = Playground("booth", width=4, depth=2, activation="tanh")
    with pytest.raises(RuntimeError, match="has not reported"):
        playground.network("sobolev")
    inner = sl.models.MLP(2, 4, 4, 1, activation="tanh")
    texts = [base64.b64encode(parameter.detach().numpy().tobytes()).decode() for parameter in inner.parameters()]
    playground.trained_on = {"n": 3, "x": [0, 1, 2, 3, 4, 5], "values": [1, 2, 4], "gradients": [1, 2, None, 3, 4, None]}
    playground.weights = {"settings": playground.settings, "regular": texts, "sobolev": texts}
    data = playground.data
    assert data.inputs.tolist() == [[0, 3], [1, 4], [2, 5]] and data.jacobian[0].tolist() == [1, 3]
    assert data.jacobian[2].isnan().all()
    model = playground.network("sobolev")
    expected = sl.Standardized(inner, data)(data.inputs)
    torch.testing.assert_close(model(data.inputs), expected)


def test_bundles_hold_no_import_and_the_worker_holds_everything():
    worker = book_output.bundle("trainer")
    assert not re.search(r"^(import|export) ", worker, re.MULTILINE) and "class Experiment" in worker
    assert json.dumps(worker) in book_output.module_script("playground")
    import gzip
    assert len(gzip.compress(book_output.module_script("playground").encode())) < 200_000


WRONG = {
    "name": (lambda: Playground("akley"), ValueError, "function: expected one of ackley.*got 'akley'"),
    "setting": (lambda: Playground(colour=3), ValueError, "expected names among function.*got 'colour'"),
    "number": (lambda: Playground(lr="fast"), TypeError, "lr: expected a number, got str"),
    "nan": (lambda: Playground(lr=float("nan")), ValueError, "lr: expected a number between"),
    "whole": (lambda: Playground(points=2.5), ValueError, "points: expected a whole number, got 2.5"),
    "bool": (lambda: Playground(points=True), TypeError, "expected a number, got bool"),
    "list": (lambda: Playground(at=3), ValueError, "at: expected a list of 1 to 1000"),
    "list text": (lambda: Playground(at="abc"), ValueError, "at: expected a list"),
    "list number": (lambda: Playground(at=[0.5, 1.5]), ValueError, "at: expected a number between 0 and 1, got 1.5"),
    "at odd": (lambda: Playground("booth", at=[0.5]), ValueError, "at: expected 2 numbers for each point, got 1 in all"),
    "drawing": (lambda: Playground("curve", drawing=[0.1] * 5), ValueError, "drawing: expected 7 heights, got 5"),
    "drawing of what": (lambda: Playground("booth", drawing=[0.1] * 5), ValueError, "drawing: expected for 'curve'"),
    "order": (lambda: Playground(order=2), ValueError, "order: expected one of 1, 0, got 2"),
    "errors": (lambda: Playground(errors=1), ValueError, "errors: expected one of False, True, got 1"),
    "custom": (lambda: Playground("custom"), ValueError, "got 'custom'"),
    "preset": (lambda: Playground(preset="4 points"), ValueError, "preset: expected one of '3 points are enough'"),
    "controls": (lambda: Playground(controls="none"), ValueError, "expected 'all' or 'few'"),
    "function type": (lambda: Playground(3), TypeError, "expected a name or a callable, got int"),
    "no domain": (lambda: Playground(torch.sin), ValueError, "domain: expected a .low, high. pair for each input"),
    "domain alone": (lambda: Playground("booth", domain=BOX), ValueError, "domain: expected together with a callable"),
    "domain order": (lambda: Playground(torch.sin, domain=[(1, 0)]), ValueError, "low < high"),
    "domain three": (lambda: Playground(torch.sin, domain=[(0, 1)] * 3), ValueError, "one or two pairs"),
    "nan values": (lambda: Playground(lambda x: x[:, 0].log(), domain=[(-1, 1)]), ValueError,
                   "expected finite values, got 129 NaN or infinite entries"),
    "nan slopes": (lambda: Playground(lambda x: x[:, 0].sqrt(), domain=[(0, 1)]), ValueError,
                   "expected finite jacobian, got 1 NaN or infinite"),
    "two outputs": (lambda: Playground(lambda x: x.sin(), domain=BOX), ValueError, "expected one value a point"),
    "both": (lambda: Playground("booth", data=table()), ValueError, "either a function or a table, got both"),
    "test alone": (lambda: Playground("booth", test=table()), ValueError, "test: expected together with data"),
    "table type": (lambda: Playground(data=torch.rand(3, 2)), TypeError, "data: expected SobolevData, got Tensor"),
    "three inputs": (lambda: Playground(data=table(inputs=3)), ValueError, "one or two inputs"),
    "no jacobian": (lambda: Playground(data=table(order=0)), ValueError, "a table without a Jacobian"),
    "one row": (lambda: Playground(data=table(1)), ValueError, "at least two points"),
    "long": (lambda: Playground(data=table(12_600)), ValueError, "at most 10000 points, got 10080"),
    "formula": (lambda: Playground("formula", formula=""), ValueError, "formula: expected a text of 1 to 300 characters"),
    "no formula": (lambda: Playground("formula", formula=None), ValueError, "formula: expected a text"),
    "range": (lambda: Playground("formula", formula="x", range=[2, 1]), ValueError, "range: expected low < high"),
    "range odd": (lambda: Playground("formula", formula="x", range=[0, 1, 2]), ValueError, "range: expected low < high"),
    "tangents": (lambda: Playground("tangents", tangents=[0.5, 0.1]), ValueError, "tangents: expected place, value and slope"),
    "tangents steep": (lambda: Playground("tangents", tangents=[0.5, 0.1, 50]), ValueError, "tangents: expected a number between"),
    "no table": (lambda: Playground("table"), ValueError, "in Python, pass data="),
    "test inputs": (lambda: Playground(data=table(), test=table(inputs=1)), ValueError, "test: expected inputs of shape"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_calls(name):
    call, error, message = WRONG[name]
    with pytest.raises(error, match=message):
        call()


def test_wrong_network_name():
    with pytest.raises(ValueError, match="expected 'regular' or 'sobolev', got 'critic'"):
        Playground().network("critic")
