"""What the playground computes in the browser, against PyTorch: random numbers, functions, gradients, whole trainings."""
import base64
import json

import assemble  # scripts/assemble.py
import numpy as np
import pytest
import torch

import sobolev_lib as sl
from sobolev_lib.widgets import Playground
from sobolev_lib.widgets.playground_settings import DEFAULTS, PRESETS

ACTIVATIONS = ("relu", "leaky_relu", "tanh", "softplus")
# lambdas of the functions that the library has no name for
OTHERS = {"ridge": lambda x: torch.sin(2 * x[..., 0] + x[..., 1]), "wave": lambda x: torch.sin(2 * x[..., 0]) + x[..., 0] / 2}


def tensor(numbers, dtype=torch.float64):
    return torch.tensor([float("nan") if one is None else one for one in numbers], dtype=dtype)


# --- random numbers ---------------------------------------------------------------------------------------------

@pytest.mark.parametrize("seed", [0, 1, 2**31 + 5])
def test_random_numbers_are_those_of_torch(engine, seed):
    got = engine("""const g = new Generator(given); return [g.uniform(5), g.normal(7), g.normal(33), g.normal(2), g.permutation(50),
                    g.normal(16), g.uniform(700), g.permutation(2)].map(list)""", seed)
    g = torch.Generator().manual_seed(seed)
    expected = [torch.rand(5, generator=g), torch.randn(7, generator=g), torch.randn(33, generator=g), torch.randn(2, generator=g),
                torch.randperm(50, generator=g), torch.randn(16, generator=g), torch.rand(700, generator=g),
                torch.randperm(2, generator=g)]
    for ours, theirs in zip(got, expected, strict=True):
        torch.testing.assert_close(tensor(ours), theirs.double(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("sizes", [(2, 64, 64, 1), (1, 3, 1), (2, 5, 7, 4, 6, 1)])
def test_initial_weights_are_those_of_the_library(engine, sizes):
    layers = engine("return initialLayers(given, 3).map(({ weight, bias }) => [list(weight), list(bias)])", sizes)
    model = sl.models.MLP(*sizes, generator=torch.Generator().manual_seed(3))
    for numbers, parameter in zip((part for layer in layers for part in layer), model.parameters(), strict=True):
        torch.testing.assert_close(tensor(numbers, torch.float32).reshape(parameter.shape), parameter.detach(), rtol=1e-5, atol=1e-6)


# --- products of matrices ---------------------------------------------------------------------------------------

NO_WEBASSEMBLY = "const WebAssembly = undefined; "


@pytest.mark.parametrize("first", ["", NO_WEBASSEMBLY], ids=["WebAssembly", "without"])
def test_products_are_those_of_torch(engine, first):
    """In sizes that fill whole tiles, that leave something over at each edge, and that need more memory than there is at first."""
    assert engine("return multiply !== plain.multiply", first=first) == (first == "")
    generator = torch.Generator().manual_seed(0)
    for m, k, n in ((64, 64, 256), (1, 64, 33), (64, 1, 7), (5, 7, 23), (3, 2, 1), (1, 1, 1), (70, 65, 2100)):
        W, A, U = (torch.randn(*shape, generator=generator) for shape in ((m, k), (k, n), (m, n)))
        flat = [base64.b64encode(one.contiguous().numpy().tobytes()).decode() for one in (W, W.T, A, U)]    # a list takes seconds
        got = engine("""const [m, k, n, ...lists] = given;
            const [W, turned, A, U] = lists.map((one) => new Float32Array(Uint8Array.from(atob(one), (c) => c.charCodeAt()).buffer));
            const out = [new Float32Array(m * n).fill(NaN), new Float32Array(m * n).fill(NaN), new Float32Array(m * k).fill(NaN)];
            multiply(out[0], W, A, m, k, n);
            multiply(out[1], turned, A, m, k, n, true);
            outer(out[2], U, A, m, k, n);
            return out.map((one) => btoa(Array.from(new Uint8Array(one.buffer), (byte) => String.fromCharCode(byte)).join("")))
            """, [m, k, n, *flat], first)
        for numbers, expected in zip(got, (W @ A, W @ A, U @ A.T), strict=True):
            numbers = torch.from_numpy(np.frombuffer(base64.b64decode(numbers), np.float32).copy())
            torch.testing.assert_close(numbers.reshape(expected.shape), expected, rtol=1e-4, atol=1e-4)


def test_the_assembled_products_are_current():
    assert assemble.RESULT.read_text(encoding="utf-8") == assemble.assembled()


def test_without_webassembly_the_steps_are_the_same(engine):
    code = "const e = new Experiment(given); for (let i = 0; i < 50; i++) e.advance(); return e.snapshot().networks.map((one) => one.errors)"
    with_it, without = (engine(code, DEFAULTS, first) for first in ("", NO_WEBASSEMBLY))
    for ours, theirs in zip(with_it, without, strict=True):
        assert ours == pytest.approx(theirs, rel=1e-3)


# --- functions --------------------------------------------------------------------------------------------------

def function_of(name):
    return OTHERS.get(name) or getattr(sl.functions, name)


@pytest.mark.parametrize("name", ["ridge", "wave", *(f.name for f in sl.functions.BENCHMARKS)])
def test_functions_are_those_of_the_library(engine, name):
    domain = engine("return targetOf({ function: given }).domain", name)
    f = function_of(name)
    assert torch.tensor(domain, dtype=torch.float64).tolist() == [list(pair) for pair in getattr(f, "domain", domain)]
    low, high = torch.tensor(domain, dtype=torch.float64).T
    x = low + (high - low) * torch.rand(200, len(domain), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    got = engine("const t = targetOf({ function: given[0] }); return given[1].map((x) => t.at(...x))", [name, x.tolist()])
    data = sl.label(f, x)
    expected = torch.cat([data.values[:, None], data.jacobian], dim=1)
    torch.testing.assert_close(torch.tensor(got, dtype=torch.float64), expected, rtol=1e-9, atol=1e-9)


def test_where_a_derivative_does_not_exist_it_is_finite(engine):
    assert engine("return targetOf({ function: 'ackley' }).at(0, 0)") == pytest.approx([0, 0, 0], abs=1e-12)
    value, *slopes = engine("return targetOf({ function: 'bukin' }).at(-10, 1)")
    assert value == pytest.approx(0, abs=1e-6) and all(abs(slope) < 1 for slope in slopes)


@pytest.mark.parametrize("name, side", [("curve", 7), ("surface", 5)])
def test_drawn_functions_go_through_their_heights_smoothly(engine, name, side):
    inputs = 1 if name == "curve" else 2
    heights = torch.rand(side ** inputs, generator=torch.Generator().manual_seed(1)) * 2 - 1
    settings = {"function": name, "drawing": heights.tolist()}
    steps = torch.linspace(0, 1, side, dtype=torch.float64)
    nodes = torch.stack(torch.meshgrid(*[steps] * inputs, indexing="xy"), -1).reshape(-1, inputs)
    call = "const t = targetOf(given[0]); return given[1].map((x) => t.at(...x))"
    got = torch.tensor(engine(call, [settings, nodes.tolist()]), dtype=torch.float64)
    torch.testing.assert_close(got[:, 0].float(), heights)
    h, x = 1e-6, 0.02 + 0.96 * torch.rand(50, inputs, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    slopes = torch.tensor(engine(call, [settings, x.tolist()]))[:, 1:]
    for j in range(inputs):
        aside = torch.eye(inputs, dtype=torch.float64)[j] * h
        up, down = (torch.tensor(engine(call, [settings, (x + s * aside).tolist()]), dtype=torch.float64)[:, 0] for s in (1, -1))
        torch.testing.assert_close((up - down) / (2 * h), slopes[:, j].double(), rtol=1e-6, atol=1e-6)


def test_a_function_from_python_keeps_its_values_and_slopes(engine):
    f = lambda x: torch.exp(-x[:, 0] ** 2) * torch.sin(2 * x[:, 1])
    problem = Playground(f, domain=[(-2, 2), (-1, 3)]).problem
    x = torch.rand(100, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 4 - torch.tensor([2.0, 1.0])
    got = engine("const t = targetOf({ function: 'custom' }, given[0]); return given[1].map((x) => t.at(...x))",
                 [problem, x.tolist()])
    data = sl.label(f, x)
    torch.testing.assert_close(torch.tensor(got, dtype=torch.float64), torch.cat([data.values[:, None], data.jacobian], 1),
                               rtol=0, atol=2e-4)   # slopes of cubic pieces: the third power of the step


# --- gradients of one step --------------------------------------------------------------------------------------

@pytest.mark.parametrize("inputs", [1, 2])
@pytest.mark.parametrize("depth", [1, 2, 3, 4])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_gradients_are_those_of_double_backward(engine, activation, depth, inputs):
    """With noise in the labels and a third of the derivatives missing; widths that no tile of the products divides."""
    generator = torch.Generator().manual_seed(depth)
    sizes, n, weight = (inputs, *[7, 12, 5, 9][:depth], 1), 23, 0.7
    model = sl.models.MLP(*sizes, activation=activation, generator=generator)
    x, values, jacobian = (torch.randn(n, *shape, generator=generator) for shape in ((inputs,), (), (inputs,)))
    jacobian[torch.rand(n, inputs, generator=generator) < 0.33] = torch.nan
    data = sl.SobolevData(x, values, jacobian)
    y = model(x.requires_grad_()).squeeze(1)
    slopes, = torch.autograd.grad(y.sum(), x, create_graph=True)
    missing = jacobian.isnan()
    terms = [(y - values).square().mean(), torch.where(missing, 0, slopes - jacobian.nan_to_num()).square().sum(1).mean()]
    total = terms[0] + weight * terms[1]
    torch.testing.assert_close(sl.SobolevLoss(order=1, weights=(1, weight))(model, data), total)   # the same loss
    for order, loss in ((1, total), (0, terms[0])):
        expected = torch.autograd.grad(loss, list(model.parameters()), retain_graph=True, allow_unused=True, materialize_grads=True)
        got = engine("""
            const { sizes, activation, layers, x, values, jacobian, weight, n } = given;
            const numbers = (list) => Float64Array.from(list, (one) => one ?? NaN);
            const network = new Network(sizes, activation, layers.map(([w, b]) => ({ weight: numbers(w), bias: numbers(b) })));
            const y = network.values(numbers(x), n), g = weight === null ? null : network.slopes(n);
            const r = new Float64Array(n), q = weight === null ? null : new Float64Array(x.length);
            const terms = lossGradients(y, g, numbers(values), numbers(jacobian), weight, n, r, q);
            network.backward(r, q, n);
            return [terms, network.slopesOfParameters().map(list)]""", {
            "sizes": sizes, "activation": activation, "n": n, "weight": weight if order else None,
            "layers": [[layer.weight.flatten().tolist(), layer.bias.tolist()] for layer in model if hasattr(layer, "weight")],
            "x": x.detach().T.flatten().tolist(), "values": values.tolist(),
            "jacobian": [None if one != one else one for one in jacobian.T.flatten().tolist()]})
        assert got[0][0] == pytest.approx(terms[0].item(), rel=1e-5)
        if order:
            assert got[0][1] == pytest.approx(terms[1].item(), rel=1e-5)
        for ours, theirs in zip(got[1], expected, strict=True):
            ours = tensor(ours, torch.float32).reshape(theirs.shape)
            assert (ours - theirs).norm() <= 1e-4 * theirs.norm() + 1e-7


# --- whole trainings --------------------------------------------------------------------------------------------

def packed(roles, *columns):
    """A table as the page puts it into a setting."""
    return f"{roles}:{base64.urlsafe_b64encode(np.stack(columns).astype('<f4').tobytes()).decode().rstrip('=')}"


def measured(n=37):
    """x, y, f, df/dx, df/dy at random points, some slopes missing."""
    x, y = np.random.default_rng(0).uniform(-1, 2, (2, n))
    dx, dy = 2 * x * y, x**2 - np.sin(y)
    dx[3], dy[5:9] = np.nan, np.nan
    return x, y, x**2 * y + np.cos(y), dx, dy


RUNS = {
    "as it opens": {},
    "batches, noise, masks": {"points": 70, "batch_size": 32, "value_noise": 0.1, "derivative_noise": 0.2, "derivative_share": 0.5,
                              "depth": 3, "function": "mccormick"},
    "ReLU": {"activation": "relu", "function": "booth", "width": 64, "points": 20, "seed": 4, "sample": 9, "derivative_weight": 1},
    "leaky ReLU, momentum": {"activation": "leaky_relu", "optimizer": "momentum", "lr": 0.01, "function": "rosenbrock"},
    "tanh, SGD": {"activation": "tanh", "optimizer": "sgd", "lr": 0.1, "function": "ridge", "batch_size": 16, "points": 60,
                  "derivative_weight": 0.1},
    "one input": {"function": "wave", "points": 12, "derivative_noise": 0.5, "width": 5, "depth": 1},
    "order 0": {"order": 0, "points": 30},
    "points placed by hand": {"function": "beale", "at": [0.1, 0.2, 0.3, 0.9, 0.8, 0.4, 0.5, 0.5]},
    "one point": {"points": 1, "function": "booth"},
    "a formula": {"function": "formula", "formula": "exp(-x²) * sin(pi*y/2) - x1/(3 + abs(y))^1.5", "range": [-1, 2, 0, 3]},
    "a formula in x": {"function": "formula", "formula": "log(x) + 2^-x", "range": [0.5, 3], "at": [0.1, 0.5, 0.9], "points": 3},
    "a table": {"function": "table", "table": packed("xyfgh", *measured()), "lr": 0.001},
    "points and tangents": {"function": "tangents", "tangents": [0.1, -0.3, 2, 0.5, 0.4, -1, 0.8, 0, 5], "value_noise": 0.1},
}


# what these share with the others is seen in the others, each time
WEEKLY = {"as it opens", "one point", "order 0", "points placed by hand", "a formula in x", "leaky ReLU, momentum"}


@pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.slow) if name in WEEKLY else name for name in RUNS])
def test_two_hundred_steps_are_those_of_fit(engine, name):
    """By the Python code that the playground itself shows."""
    settings = {**DEFAULTS, **RUNS[name]}
    curve, made = engine("""const e = new Experiment(given), curve = [];
        for (let i = 1; i <= 200; i++) { e.advance(); if (i % 20 === 0) curve.push(e.snapshot().networks.map((one) => one.errors)); }
        const rows = ({ n, x, values, gradients }) => ({ n, x: list(x), values: list(values),
          gradients: Array.from(gradients, (one) => (Number.isNaN(one) ? null : one)) });
        return [curve, { domain: e.domain, data: rows(e.data), test: rows(e.test) }]""", settings)
    code = engine("return pythonOf(given[0], given[1], 200)", [settings, made], source="code")
    names = {}
    exec(code.replace("steps=200", "steps=200, evaluate_every=20"), names)
    for k, method in enumerate(("regular", "sobolev")):
        validation = names["history"][method].validation
        assert [errors[k][0] for errors in curve] == pytest.approx(validation["value_mse"], rel=2e-3)
        if "jacobian_mse" in validation:
            assert [errors[k][1] for errors in curve] == pytest.approx(validation["jacobian_mse"], rel=2e-3)
    assert settings["order"] == 0 or "jacobian_mse" in names["history"]["sobolev"].validation


def test_a_table_is_split_as_in_python(engine):
    x, y, f, dx, dy = measured()
    columns = [np.float32(one) for one in (x, y, f, dx, dy)]
    got = engine("const e = new Experiment(given); return [e.data, e.test].map((rows) => [list(rows.x), list(rows.values)])",
                 {**DEFAULTS, "function": "table", "table": packed("xyfgh", *columns)})
    data = sl.SobolevData(*(torch.tensor(one) for one in (np.stack(columns[:2], 1), columns[2], np.stack(columns[3:], 1))))
    problem = Playground(data=data).problem
    for (xs, values), part in zip(got, ("train", "test"), strict=True):
        assert xs == pytest.approx(problem[part]["x"], rel=1e-6) and values == pytest.approx(problem[part]["values"], rel=1e-6)


@pytest.mark.parametrize("text", ["", "xfg", "xfg:", "xfg:A", "xfg:AAAA", "xfgh:AAAAAAAA", "fxg:AAAAAAAA", "xf:AAAAAAAAAAA", "xfg:!!!",
                                  packed("xfg", [1, 2], [1, np.nan], [1, 2]), packed("xfg", [1, np.inf], [1, 2], [1, 2]),
                                  packed("xfg", [1], [1], [1]), packed("xfg", *np.zeros((3, 10_001)))])
def test_a_damaged_table_is_refused(engine, text):
    said = engine("try { new Experiment(given); return 'fine'; } catch (error) { return error.message; }",
                  {**DEFAULTS, "function": "table", "table": text})
    assert said == "the table in the link is damaged"


def test_missing_slopes_of_the_test_rows_count_for_nothing(engine):
    data, test = (sl.label(sl.functions.booth, sl.functions.booth.sample(n)) for n in (20, 5))
    test.jacobian[2] = torch.nan
    problem = json.loads(json.dumps(Playground(data=data, test=test).problem))
    got = engine("return new Experiment(...given).snapshot().networks[0].errors[1]", [{**DEFAULTS, "function": "custom"}, problem])
    model = sl.Standardized(sl.models.MLP(2, 32, 32, 1, activation="softplus", generator=torch.Generator().manual_seed(0)), data)
    slopes = torch.func.vmap(torch.func.jacrev(lambda x: model(x[None]).squeeze()))(test.inputs)
    assert got == pytest.approx(((slopes - test.jacobian).nan_to_num().square().sum() / 5).item(), rel=1e-3)


@pytest.mark.slow
def test_the_difference_at_the_start_lasts_and_is_no_lucky_draw(engine):
    """As the page says: by 1,000 steps, for any of nine draws of points and weights, and then."""
    run = """const e = new Experiment(given[0]), ratios = [];
        for (const step of given[1]) {
          while (e.step < step) e.advance();
          const [regular, sobolev] = e.snapshot().networks.map((one) => one.errors[0]);
          ratios.push(regular / sobolev);
        }
        return ratios"""
    ratios = [engine(run, [{**DEFAULTS, "sample": draw, "seed": draw}, [1000]])[0] for draw in range(9)]
    assert min(ratios) > 2 and sorted(ratios)[4] > 5
    lasting = engine(run, [DEFAULTS, [300, 1000, 3000, 8000]])
    assert min(lasting) > 5


def test_a_weight_too_high_finds_the_shape_and_loses_the_height(engine):
    story = next(preset for preset in PRESETS if preset["name"] == "Weight too high")
    offset, left, spread = engine("""const e = new Experiment(given), f = e.truth.values;
        for (let i = 0; i < 500; i++) e.advance();
        const away = e.snapshot().networks[1].values.map((one, p) => one - f[p]);
        const mean = (list) => list.reduce((sum, one) => sum + one, 0) / list.length;
        const variance = (list) => mean(list.map((one) => (one - mean(list)) ** 2));
        return [mean(away), variance(away), variance(f)]""",
                                  {**DEFAULTS, **story["settings"]})
    assert offset > 5 * spread ** 0.5 and left < 0.02 * spread


def test_given_weights_are_where_both_networks_start(engine):
    model = sl.models.MLP(2, 6, 1, activation="tanh")
    weights = [{"weight": layer.weight.flatten().tolist(), "bias": layer.bias.tolist()} for layer in (model[0], model[2])]
    got = engine("return new Experiment(given[0], null, given[1]).networks.map((one) => one.parameters().map(list))",
                 [{**DEFAULTS, "width": 6, "depth": 1, "activation": "tanh"}, weights])
    for network in got:
        for numbers, parameter in zip(network, model.parameters(), strict=True):
            torch.testing.assert_close(tensor(numbers, torch.float32), parameter.detach().flatten())


def test_a_table_trains_and_is_measured_on_its_test(engine):
    generator = torch.Generator().manual_seed(0)
    f = sl.functions.booth
    data, test = (sl.label(f, f.sample(n, generator=generator)) for n in (50, 30))
    data.jacobian[7, 1] = torch.nan
    problem = json.loads(json.dumps(Playground(data=data, test=test).problem))
    settings = {**DEFAULTS, "function": "custom"}
    got = engine("const e = new Experiment(...given); for (let i = 0; i < 50; i++) e.advance(); "
                 "return e.snapshot().networks.map((one) => one.errors)", [settings, problem])
    for errors, loss in zip(got, (sl.SobolevLoss(order=0), sl.SobolevLoss(order=1, weights=(1, 1)))):
        model = sl.Standardized(sl.models.MLP(2, 32, 32, 1, activation="softplus", generator=torch.Generator().manual_seed(0)), data)
        history = sl.fit(model, data, loss=loss, steps=50, lr=0.003, validation=test, progress=False)
        assert errors[0] == pytest.approx(history.validation["value_mse"][-1], rel=2e-3)


def test_a_training_that_diverges_stops_and_says_when(engine):
    stopped, errors, step = engine("""const e = new Experiment(given);
        for (let i = 0; i < 300; i++) e.advance();
        const s = e.snapshot(); return [s.stopped, s.networks.map((one) => one.errors.map(String)), s.step]""",
                                   {**DEFAULTS, "optimizer": "sgd", "lr": 10, "derivative_weight": 1e6})
    assert all(0 < one < 50 for one in stopped) and step == 300 and errors == [["NaN", "NaN"]] * 2
