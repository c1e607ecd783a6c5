"""The chapters that measure: sentences follow their numbers, exercises know right from wrong, and stated counts hold."""
import ast
import copy
import math
import re
import types

import numpy as np
import pytest
import torch
from cells import cell

import sobolev_lib as sl
from sobolev_lib import plotting, widgets
from sobolev_lib.experiments import harmful_slopes, table_1_verdict
from sobolev_lib.notebook import seeded
from sobolev_lib.records import load_record


def known(page, setup, *cells, **given):
    """The imports and settings of a page, and the functions of some cells, which are not run."""
    found = {"sl": sl, "display": lambda shown: None}
    exec(cell(page, setup), found)
    for name in cells:
        parts = [part for part in ast.parse(cell(page, name)).body if isinstance(part, (ast.FunctionDef, ast.ClassDef))]
        exec(compile(ast.Module(parts, []), name, "exec"), found)
    found.update(given)
    return found


def asked(page, setup, name, **given):
    """The question of a cell with its answers, and the rest of what the cell gives the widget."""
    heard = {}

    def ask(question, choices=None, **more):
        heard.update(question=question, choices=choices, **more)

    found = known(page, setup, **given)
    found["widgets"] = type("Widgets", (), {"Question": staticmethod(ask)})
    exec(cell(page, name), found)
    return heard


# --- When slopes hurt -------------------------------------------------------------------------------------------

HURT = ("when_slopes_hurt", "when-slopes-hurt-setup")


def test_noise_is_told_as_it_came_out():
    say = known(*HURT, "when-slopes-hurt-predict")
    say |= {"PLACES": np.array([1, 4, 16]), "SEEDS": 3, "N_CURVE": 30, "STEPS": 500}
    values, good, bad = np.ones(3), np.full((3, 3), 0.5), np.full((3, 3), 2.0)
    told = say["noise_said"](values, np.array([[0.5] * 3, [2.0] * 3, [3.0] * 3]), good)
    assert "with weight 1 hurt from $\\tau/\\sigma = 4$ on" in told and "formula they hurt nowhere" in told
    told = say["noise_said"](values, good, bad)
    assert "with weight 1 hurt nowhere" in told and "formula they hurt from $\\tau/\\sigma = 1$ on" in told


def test_units_that_meet_their_equations_are_told_as_they_came_out():
    source = cell(HURT[0], "when-slopes-hurt-peak")
    say = {"np": np, "DRAWS": 4, "N": 30, "equations": 150, **known(*HURT)}
    exec(compile(ast.Module([part for part in ast.parse(source).body if getattr(part, "name", "") == "sweep_said"], []), "cell", "exec"), say)
    told = say["sweep_said"](np.full(4, 0.01), np.full(4, 5000.0), np.full(4, 0.5))
    assert "At $p = 30$ gradients divide the error by 100" in told and "$p = 150$ they multiply the error by 5,000" in told
    told = say["sweep_said"](np.full(4, 3.0), np.full(4, 0.5), np.full(4, 2.0))
    assert "At $p = 30$ gradients multiply the error by 3" in told and "$p = 150$ they divide the error by 2" in told
    assert told.endswith("gradients at $p = 150$ multiply the error by 2.")


@pytest.mark.parametrize("p", [20, 60, 400])
@pytest.mark.parametrize("ridge", [0.0, 1e-3])
def test_conflicting_labels_are_solved_as_scikit_learn_solves_them(p, ridge):
    from sklearn.linear_model import LinearRegression, Ridge

    found = known(*HURT, "when-slopes-hurt-peak", INPUTS=4, N=30)
    draw = seeded(0)
    x = torch.randn(30, 4, generator=draw, dtype=torch.float64)
    targets = torch.cat(found["labels"](x, draw)) + 0.1 * torch.randn(150, generator=draw, dtype=x.dtype)
    M = torch.cat(found["units"](x, p, draw))
    own = found["least_squares"](torch.linalg.svd(M, full_matrices=False), targets, ridge)
    peer = Ridge(ridge, fit_intercept=False) if ridge else LinearRegression(fit_intercept=False)
    peer.fit(M.numpy(), targets.numpy())
    np.testing.assert_allclose(own.numpy(), peer.coef_, rtol=1e-6, atol=1e-7 * np.abs(peer.coef_).max())


def test_other_peoples_methods_are_told_as_the_record_has_them():
    say = known(*HURT, "when-slopes-hurt-peers")
    record = load_record("harmful-slopes")
    for method, factor in (("network", 2.0), ("JENN", 3.0), ("GPyTorch", 0.5), ("SobolevRegressor", 1.0)):
        for case in harmful_slopes.harmful(record["config"]["cases"]):
            told = [record["results"][f"{case}/{method}/{each}"]["runs"] for each in ("slopes", "values")]
            for with_slopes, without in zip(*told):
                with_slopes["error"] = factor * without["error"] * (1 + 1e-3 * with_slopes["seed"])
    said = say["peers_said"](record)
    bad = len(harmful_slopes.harmful(record["config"]["cases"]))
    assert said.startswith(f"No, it is not our networks alone. In {bad} rows slopes deserve less than values: noise τ = 4 σ, ")
    rows = {name: counts for name, *counts in say["hurt_rows"](record)}
    assert list(rows) == ["regressor", "network (ours)", "JENN", "JENN, weight σ²/τ²", "Gaussian process"]
    assert rows["regressor"] == rows["network (ours)"] == rows["JENN"] == ["2 of 2", "3 of 3", "2 of 2"]
    assert rows["Gaussian process"] == ["0 of 2", "0 of 3", "0 of 2"] and rows["JENN, weight σ²/τ²"][1:] == ["–", "–"]
    for case in ("steps/10", "steps/30", "steps/100"):
        for method, last in (("network", "steps/100"), ("JENN", "steps/10")):
            told = [record["results"][f"{case}/{method}/{each}"]["runs"] for each in ("slopes", "values")]
            for with_slopes, without in zip(*told):
                helped = case != last if method == "JENN" else case == last
                with_slopes["error"] = (0.5 if helped else 2.0) * without["error"] * (1 + 1e-3 * with_slopes["seed"])
    assert say["peers_said"](record).endswith("our network errs clearly less with right slopes in 1 of 3 rows and clearly more in 2, "
                                              "JENN in 2 and 1.")
    for factor, error in (("-1", 2e-7), ("1.25", 0.25), ("2", 1e-6)):
        for told, size in (("slopes", error), ("values", 0.5)):
            for run in record["results"][f"factor/{factor}/SobolevRegressor/{told}"]["runs"]:
                run["error"] = size
    seeds = len(record["seeds"])
    assert (f"In {2 * seeds} of these {3 * seeds} draws its squared error stayed below 0.001 all the same. The largest was 0.25; "
            "from values alone, 0.5.") in say["peers_said"](record)
    for run in record["results"]["factor/-1/SobolevRegressor/slopes"]["runs"]:
        run["warned"] = run["seed"] == 0
    assert f"in 1 of {len(record['seeds'])} draws of factor −1" in say["peers_said"](record)
    assert "ripple 20 and ripple 80." in said and "factor 1 (right)" not in said
    row = say["peer_cells"](record, "noise/16")
    assert row[0] == "noise\xa0τ\xa0=\xa016\xa0σ" and row[2].startswith("**2 (2 to 2") and row[3].startswith("**3 (3 to 3") and row[4].startswith("**0.5 (0.5 to 0.5")
    assert say["peer_cells"](record, "factor/-1")[0] == "factor\xa0−1"
    assert say["peer_cells"](record, "factor/1")[0] == "factor\xa01\xa0(right)"
    assert say["mended_cells"](record, "noise/4")[:2] == ["noise τ = 4 σ, weight σ²/τ²", "–"]
    assert say["mended_cells"](record, "steps/10")[0] == "right, 10 steps" and "–" not in say["mended_cells"](record, "steps/10")


def test_what_the_check_of_labels_sees_is_as_the_pages_say():
    """A wrong sign and a factor of two, and not a quarter too much; and the regressor mostly follows exact values all the same."""
    record = load_record("harmful-slopes")
    assert [harmful_slopes.warned(record, f"factor/{factor}") for factor in ("-1", "2", "1.25", "1")] == [10, 10, 0, 0]
    for factor in ("-1", "2", "1.25"):
        wrong = [run["error"] for run in record["results"][f"factor/{factor}/SobolevRegressor/slopes"]["runs"]]
        assert sorted(wrong)[7] < 1e-5, "in eight of ten draws, of a curve whose squares have the mean 0.6"


@pytest.mark.parametrize("early, late, ratios, word", [
    (5, 0, [0.7, 0.8, 2.0, 1.3], "behind in 5 of 6, though not clearly over all seeds together; at the end in 0"),
    (5, 0, [1.5, 1.2, 2.0, 1.3], "behind in 5 of 6, and clearly so"), (0, 3, [0.5] * 4, "lose their lead later: behind in 0 of 6 races, then in 3"),
    (2, 2, [1.0] * 4, "would not change how often slopes lose: in 2 of 6 races")])
def test_the_race_says_when_slopes_are_behind(early, late, ratios, word):
    told = known(*HURT, "when-slopes-hurt-race-said")["early_said"](early, late, 6, ratios)
    assert word in told and told.endswith("in the last table.")


def test_the_table_says_helps_and_hurts_by_the_quarters_of_the_seeds():
    say = known(*HURT, "when-slopes-hurt-race-said")
    assert [say["judged"](ratios) for ratios in ([0.1, 0.5, 0.9, 0.9], [1.1, 2, 3, 1.5], [0.5, 0.9, 1.2, 2])] == [
        "**helps**", "**hurts**", "no clear difference"]


def test_the_best_weight_is_the_ratio_of_the_variances():
    nu, sigma = 3.0, 0.5
    for tau in (0.1, 0.5, 4.0):
        mixed = {alpha: (1 + (alpha * nu * tau / sigma) ** 2) / (1 + alpha * nu**2) ** 2 for alpha in np.geomspace(1e-4, 1e3, 4001)}
        assert min(mixed, key=mixed.get) == pytest.approx(sigma**2 / tau**2, rel=0.01) and min(mixed.values()) <= 1


def test_least_squares_costs_what_the_formula_says():
    """For independent normal entries, at any size: the mean error that noise causes at a test point."""
    g, points, sigma = np.random.default_rng(0), 12, 0.5
    for p in (5, 30):
        noise = []
        for _ in range(6000):
            matrix, x = g.normal(size=(points, p)), g.normal(size=p)
            noise.append((x @ np.linalg.pinv(matrix) @ (sigma * g.normal(size=points))) ** 2)
        exact = p / (points - p - 1) if p < points else points / (p - points - 1)
        assert np.mean(noise) == pytest.approx(sigma**2 * exact, rel=0.1)


# --- Neighbours -------------------------------------------------------------------------------------------------

def test_disturbed_values_weigh_slopes_by_the_variance():
    x = torch.rand(500, 3, generator=seeded(0), dtype=torch.float64)
    noise = 0.01 * torch.randn(4000, 500, 3, generator=seeded(1), dtype=torch.float64)
    noise = torch.cat([noise, -noise])                     # what is linear in it cancels

    def error(x):
        return torch.sin(x @ torch.tensor([1.0, 2.0, -1.0], dtype=torch.float64))

    slope, second = (torch.func.vmap(way(error))(x) for way in (torch.func.grad, lambda f: torch.func.jacrev(torch.func.grad(f))))
    laplacian = second.diagonal(dim1=1, dim2=2).sum(1)
    extra = error(x + noise).square().mean(0) - error(x).square()
    told = 1e-4 * (slope.square().sum(1) + error(x) * laplacian)
    assert (extra - told).square().mean().sqrt() < 0.1 * told.square().mean().sqrt()


def test_covariances_of_slopes_are_derivatives():
    covariance = known("neighbours", "neighbours-setup", "neighbours-process")["covariance"]
    a, b = torch.linspace(-1, 1, 5, dtype=torch.float64), torch.linspace(-0.7, 1.2, 4, dtype=torch.float64)

    def kernel(x, x2):
        return covariance(x[None], False, x2[None], False, 0.5)[0, 0]

    for kinds, exact in (((False, True), torch.func.grad(kernel, 1)), ((True, False), torch.func.grad(kernel, 0)),
                         ((True, True), torch.func.grad(torch.func.grad(kernel, 1), 0))):
        expected = torch.stack([torch.stack([exact(x, x2) for x2 in b]) for x in a])
        torch.testing.assert_close(covariance(a, kinds[0], b, kinds[1], 0.5), expected)


def test_what_networks_share_with_a_process_is_told_as_it_came_out():
    say = known("neighbours", "neighbours-setup", "neighbours-said")["common_said"]
    told = say((0.06, 0.1), (0.07, 0.04), 0.6)
    assert told.startswith("**Little.** The process grows unsure") and "on 60% of the axis" in told and "no measure of error" in told
    told = say((0.06, 0.1), (0.04, 0.07), 0.95)
    assert told.startswith("**Something.**") and "no measure of error" not in told


def test_noise_in_the_record_is_told_as_it_came_out():
    say = known("neighbours", "neighbours-setup", "neighbours-noise-said")["noise_said"]
    record = load_record("atari-distillation", "cpu")
    assert "noise did no clear good" in say(record) and f"{record['config']['steps']} steps, 5% of the states" in say(record)
    closer = copy.deepcopy(record)
    for run in closer["results"]["pong/0.05"]["runs"]:
        run["kl"] /= 10 if run["method"] == "noise" else 1
    assert "clearly closer in 1 of 3 games" in say(closer)


NEIGHBOURS = ("neighbours", "neighbours-setup")
MINIATURES = (*NEIGHBOURS, "neighbours-learn")


def test_miniatures_are_compared_as_they_came_out():
    say = known(*MINIATURES)
    compared, rivalled = say["compared"], say["rivalled"]
    assert compared([0.5, 0.4, 0.9], [0.1, 0.2, 0.3], "forces") == "Each network with forces is nearer than every one without."
    assert compared([0.1, 0.2], [0.3, 0.4]) == "Each network with slopes is farther off than every one without."
    assert compared([0.1, 0.3], [0.2, 0.2]).endswith("overlap; draw by draw those with are nearer in 1 of 2.")
    assert rivalled([0.1, 0.2], [0.3, 0.4], "values") == "Processes of values alone are nearer than all networks with slopes."
    assert rivalled([0.5, 0.6], [0.3, 0.4], "energies", "forces").startswith("Processes of energies alone are farther off")
    assert rivalled([0.3, 0.6], [0.3, 0.4], "values").endswith("networks with slopes overlap.")
    shown = say["beside"]({"values": ([0.5, 0.4, 0.9], None)}, "process", "errors")
    assert shown.header == ("told", "our networks", "process") and shown.rows == (("values", "50% (40% to 90%)", "–"),)


def test_errors_of_miniatures_are_shares_of_the_spread():
    """Of networks, and of what other people's methods answer."""
    say = known(*MINIATURES)
    for shape in ((50,), (50, 3)):
        values = torch.randn(shape, generator=seeded(0))
        data = sl.SobolevData(torch.rand(50, 2, generator=seeded(1)), values)
        mean = values.mean(0).expand(50, *shape[1:])
        assert say["off"]([lambda x: mean, lambda x: mean.numpy(), lambda x: values], data) == pytest.approx([1, 1, 0])


def test_other_peoples_processes_get_the_better_number_of_lengths():
    say = known(*MINIATURES)
    x = torch.rand(40, 3, generator=seeded(0))
    data = sl.SobolevData(x, torch.sin(6 * x[:, 0]))       # of one input only: a length for each input is better
    test = sl.SobolevData(*[part[:20] for part in (x.flip(0) * 0.9, torch.sin(5.4 * x.flip(0)[:, 0]))])
    one, each = (say["off"]([say["process_of"](data, lengths)], test) for lengths in (1, 3))
    assert each < one and say["by_process"]([data], test) == each


def test_a_process_told_slopes_is_gpytorchs():
    pytest.importorskip("gpytorch")
    say = known(*MINIATURES)
    sets = [sl.label(lambda x: torch.sin(3 * x[:, 0]) * x[:, 1], torch.rand(12, 2, generator=seeded(k))) for k in range(2)]
    test = sl.label(lambda x: torch.sin(3 * x[:, 0]) * x[:, 1], torch.rand(50, 2, generator=seeded(9)))
    told, alone = say["by_told_process"](sets, test), say["by_process"](sets, test)
    assert len(told) == 2 and max(told) < min(alone)
    assert known(*MINIATURES, find_spec=lambda name: None)["by_told_process"](sets, test) is None


def test_the_solver_is_that_of_the_equation():
    found = known(*NEIGHBOURS)
    found["print"] = lambda *told: None
    exec(cell("neighbours", "neighbours-solver"), found)
    pressure = found["pressure"]
    x = torch.zeros(1, 8, dtype=torch.float64)
    at = torch.arange(3, 63, 3) / 64                       # the walls between cells at which the pressure is read
    torch.testing.assert_close(pressure(x)[0], (at * (1 - at) / 2).double())
    harder = torch.full((1, 8), 0.3, dtype=torch.float64)
    exact, by_steps = sl.label(pressure, harder), sl.label(pressure, harder, method="finite-difference")
    torch.testing.assert_close(exact.jacobian, by_steps.jacobian, rtol=1e-5, atol=1e-8)


def test_how_many_solves_jacobians_spare_is_told_as_it_came_out():
    say = known(*MINIATURES, "neighbours-solves")["operators_said"]
    found = {10: ([0.9, 1.0], [0.4, 0.5]), 20: ([0.6, 0.7], [0.3, 0.3]), 40: ([0.3, 0.4], [0.2, 0.2])}
    others = {10: [0.6, 0.7], 20: [0.3, 0.5], 40: [0.1, 0.1]}
    assert say(found, others) == (
        "The error from 10 solves with Jacobians takes 40 solves without; Jacobians are clearly ahead at 3 of 3 numbers of solves, "
        "and ahead of scikit-learn's process of the values at 1")
    found[40] = ([0.6, 0.7], [0.6, 0.8])
    assert "is not reached by 40 solves without" in say(found, others) and "ahead at 2 of 3" in say(found, others)


@pytest.mark.parametrize("x", [0.0, 0.4])
def test_what_scipy_is_asked_about_noise_is_what_the_formula_says(x):
    found = known(*NEIGHBOURS, "neighbours-noise-said")
    exact, by_slope, whole = found["disturbed"](x, 0.05)
    assert exact == pytest.approx((1 - math.cos(6 * x) * math.exp(-18 * 0.05**2)) / 2)
    assert abs(whole - exact) < (0.03 if x == 0 else 0.01) * exact and by_slope >= whole
    told = found["disturbed_said"]()
    for x, which, part in ((0, 1, 0), (0.4, 1, 1), (0.4, 2, 2)):
        exact, *ways = found["disturbed"](x, 0.05)
        added = abs(exact - np.sin(3 * x) ** 2)
        assert re.findall(r"[\d.]+%", told)[part] == f"{abs(ways[which - 1] - exact) / added:.1%}"


def test_what_is_told_about_turns_is_true():
    found = known(*NEIGHBOURS, "neighbours-turns", "neighbours-turns-said")
    data = found["still"](2 * torch.rand(25, 2, generator=seeded(0)) - 1)
    slopes = sl.label(found["ripple"], data.inputs).jacobian
    assert (slopes.unsqueeze(1) * data.directions).sum(2).abs().max() < 1e-5 and data.products.abs().max() == 0
    copies = found["turned"](data, 0.5)
    assert len(copies) == 75 and len(found["turned"](data, 0)) == 25
    torch.testing.assert_close(found["ripple"](copies.inputs), copies.values)
    turn = copies.inputs[25:50] / data.inputs.norm(dim=1, keepdim=True)
    cosines = (turn * data.inputs).sum(1) / data.inputs.norm(dim=1)
    torch.testing.assert_close(cosines, torch.full((25,), math.cos(0.5)))


def test_slopes_or_turns_are_told_as_they_came_out():
    say = known(*MINIATURES, "neighbours-turns-said")["turns_said"]
    told = say([0.5, 0.6], [0.2, 0.2], {0.1: [0.3, 0.3], 0.5: [0.1, 0.1]})
    assert "**Turn them, as far as they may be turned.**" in told
    assert "1.5 times that of zeros with turns by ±6° and 0.5 times that of zeros with turns by ±29°" in told
    assert "**Tell the slope.**" in say([0.5, 0.6], [0.2, 0.2], {0.1: [0.3, 0.3], 0.5: [0.25, 0.25]})


def test_a_wish_for_calm_is_told_as_it_came_out():
    say = known(*NEIGHBOURS, "neighbours-calm", WISHES=(0, 0.001, 0.003, 0.01, 0.03, 0.1))["calm_said"]
    rising, dipping = np.tile([[0.3], [0.4], [0.5], [0.6], [0.7], [0.8]], 8), np.tile([[0.6], [0.5], [0.3], [0.5], [0.7], [0.8]], 8)
    assert say(rising, dipping, rising + 0.1) == (
        "Told exact values, no weight lowers the median error. Told values with noise, the median is "
        "lowest at 0.003, 0.5 times that at 0; the error is lower in 8 of 8 draws. Weight decay in scikit-learn's network, as many "
        "tries: no weight lowers the median error. Its lowest median is 40%, that of the wish 30%")
    assert "Told values with noise, no weight lowers the median error. Weight" in say(dipping, rising, dipping)


def test_the_learned_score_is_told_as_it_came_out():
    say = known(*MINIATURES, "neighbours-scores-said")["score_said"]
    told = say([2.4, 2.5, 2.6], [0.1, 0.2, 0.3], [0.4, 0.5, 0.6], [0.05, 0.06, 0.07])
    assert "learned slopes by 0.2 (0.1 to 0.3): training averages the noise away" in told
    assert "`gaussian_kde` are off by 0.5 (0.4 to 0.6), each time more." in told
    assert told.endswith("is off by 0.06 (0.05 to 0.07), each time less. With one input nobody needs the network.")
    told = say([2.5, 2.5], [2.0, 2.1], [2.0, 2.2], [3.0, 3.1])
    assert "the noise was not averaged away" in told and "off by 2.1 (2 to 2.2)." in told and told.endswith("each time more.")


def test_the_best_score_for_ever_fresh_noise_is_that_of_bumps_around_the_points():
    """The mean of the labels at a place, weighed by how likely each point came there, is the slope of that log density."""
    from sklearn.neighbors import KernelDensity

    found, sigma = known(*NEIGHBOURS, "neighbours-scores-said"), 0.3
    here, at = np.random.default_rng(0).normal(size=(50, 1)), np.linspace(-1, 1, 9)[:, None]
    likely = np.exp(-((at - here.T) ** 2) / (2 * sigma**2))
    best = (likely * (here.T - at) / sigma**2).sum(1) / likely.sum(1)
    peer = KernelDensity(bandwidth=sigma).fit(here)
    np.testing.assert_allclose(found["slopes_by_steps"](peer.score_samples, at)[:, 0], best, atol=1e-4)


def test_the_equation_is_that_of_the_text_and_told_as_it_came_out():
    times, c = torch.linspace(0, 2, 30).unsqueeze(1), -1.5
    found = known(*MINIATURES, "neighbours-equation", "neighbours-equation-said", times=times, c=c)
    solution = type("Both", (torch.nn.Module,), {"forward": lambda self, x: torch.cat([torch.exp(c * x), 2 * torch.exp(c * x)], 1)})()
    for misfit in ("misfit", "misfit_and_its_slope"):
        torch.testing.assert_close(found[misfit](solution), torch.tensor([0.0, 1.0]))      # the second begins at 2
    wrong = type("Wrong", (torch.nn.Module,), {"forward": lambda self, x: torch.exp(x)})()
    assert found["misfit_and_its_slope"](wrong) > found["misfit"](wrong) > 0
    say = found["equation_said"]
    told = say([0.005, 0.006], [0.001, 0.002], 4e-4, 32)
    assert "each nearer than every one without" in told and "off by 0.0004 at its usual tolerance, after 32" in told
    assert told.endswith("or with unknown constants.") and say([0.005, 0.006], [0.005, 0.002], 0.1, 32).endswith("of the right side.")
    assert "; the ranges overlap." in say([0.005, 0.006], [0.005, 0.002], 0.1, 32)


def test_a_gradient_network_is_the_gradient_of_its_units():
    found = known(*NEIGHBOURS, "neighbours-gradient-network")
    network = found["GradientNetwork"](2, 300, seeded(0)).double()
    x = torch.randn(20, 2, generator=seeded(1), dtype=torch.float64, requires_grad=True)
    potential = (network.c * torch.log(torch.cosh(x @ network.W.T + network.b))).sum()
    torch.testing.assert_close(network(x), torch.autograd.grad(potential, x)[0])
    jacobian = sl.value_and_derivatives(network, x.detach(), 1)[1]
    torch.testing.assert_close(jacobian, jacobian.transpose(1, 2))
    assert network.c.min() < 0 < network.c.max()           # not gradients of convex functions alone
    sizes = [sum(each.numel() for each in net.parameters()) for net in (
        network, sl.models.MLP(2, 32, 32, 2), sl.models.MLP(2, 32, 32, 1))]
    assert max(sizes) < 1.05 * min(sizes)


def test_what_a_form_without_curl_brings_is_told_as_it_came_out():
    found = known(*MINIATURES, "neighbours-curl")
    results = {"free network": [(0.6, 0.5, 0.2), (0.7, 0.7, 0.3)], "slopes": [(0.3, 0, 0), (0.4, 0, 0)],
               "gradient network": [(0.5, 0, 0), (0.65, 0, 0)], "process": [(0.8, 0.1, 0), (0.9, 0.1, 0)]}
    told = found["curl_said"](results)
    assert "Clearly nearer to the truth than the free networks: slopes. Not clearly: gradient network. Clearly farther off: process." in told
    del results["gradient network"], results["process"]
    assert "Not clearly" not in found["curl_said"](results)


def test_curl_by_steps_is_that_of_a_rotation():
    found = known(*NEIGHBOURS, "neighbours-curl", lattice=torch.rand(10, 2, generator=seeded(0)), size=1.0)
    turned = found["curl_by_steps"](lambda x: torch.stack([-x[:, 1], x[:, 0]], 1))
    torch.testing.assert_close(turned, torch.full((10,), 2.0, dtype=torch.float64))


def test_what_miniatures_can_not_show_is_told_as_it_came_out():
    say = known(*MINIATURES, "neighbours-limits")["limits_said"]
    helped = {"forces": ([0.5, 0.6], [0.1, 0.2]), "turns": ([0.5, 0.6], [0.4, 0.7]), "calm": ([0.1, 0.2], [0.5, 0.6])}
    rivals = {"forces": ([0.3, 0.3], [0.1, 0.2], "a process"), "turns": ([0.11, 0.11], [0.4, 0.7], "copies")}
    assert say(helped, rivals) == (
        "**What a method tells, or builds in, clearly helps networks in 1 of 3 miniatures**: forces. Not clearly: turns (nearer in 1 of 2 draws). "
        "It hurts: calm. **Another remedy, not told slopes, does as well or better in 1 of 2**: turns (copies: 0.2 times the error).")
    del rivals["turns"]
    assert say(helped, rivals).endswith(". No other remedy of the 1 does as well.")


def test_miniatures_show_their_method_in_few_lines():
    import nbformat
    from pages import ROOT

    page = nbformat.read(ROOT / "book" / "neighbours.ipynb", as_version=4)
    shown = [each.source.splitlines() for each in page.cells
             if each.cell_type == "code" and not {"setup", "hide-input"} & set(each.metadata.get("tags", []))]
    assert len(shown) == 4 and max(map(len, shown)) <= 12


# --- Seven functions --------------------------------------------------------------------------------------------

SEVEN = ("seven_functions", "dfd6cedb")


@pytest.fixture(scope="module")
def turned():
    """The cells of the record as they are, and with the two methods' errors exchanged."""
    from sobolev_lib.experiments import seven_functions
    cells = seven_functions.cells(load_record("seven-functions"))
    exchanged = {cell: {"regular": both["sobolev"], "sobolev": both["regular"]} for cell, both in cells.items()}
    return cells, exchanged


def test_the_answer_turns_with_the_record(turned):
    say = known(*SEVEN, "seven-functions-answer")["answer"]
    found, exchanged = map(say, turned)
    assert found.startswith("**Mostly the one that is told slopes") and exchanged.startswith("**Mostly the one that is told values only")
    ahead = re.search(r"ahead in (\d+) of (\d+) cells", found)[1]
    assert f"ahead in {ahead} of" in exchanged


def test_the_claims_turn_with_the_record(turned):
    say = known(*SEVEN, "seven-functions-answer", "seven-functions-dots", other_protocols=None,
                config=load_record("seven-functions")["config"])
    say["titles"] = {name: name for name, _ in turned[0]}
    found, exchanged = map(say["claims"], turned)
    assert "beale" in found and "beale" not in exchanged
    assert "so it is" in found and "so it is" not in exchanged
    assert "Not seen under our protocol (normalised loss, 10,000 steps)" in found and "has not been run." in found
    ends = sum(both["sobolev"]["lr"] in (3e-4, 1e-2) for both in turned[0].values())
    assert f"at an end of its grid in {ends} of {len(turned[0])} cells, so its R may be too small here." in found
    large = copy.deepcopy(turned[0])
    large["booth", 20]["regular"]["test_mse"] = [1e9 * error for error in large["booth", 20]["regular"]["test_mse"]]
    assert "Not seen under our protocol" not in say["claims"](large)
    fewer = {cell: {"regular": {"test_mse": [10.0 ** (3 - k), 10.0 ** (3 - k)], "test_gradient_mse": [1.0, 1.0]},
                    "sobolev": {"test_mse": [1.0, 1.0], "test_gradient_mse": [1.0, 1.0], "lr": 1e-3}}
             for cell in turned[0] for k in [(20, 100, 10_000).index(cell[1])]}
    assert ": it falls." in say["claims"](fewer) and ": it falls." not in found


def test_the_loss_as_printed_is_told_once_it_is_run():
    from sobolev_lib.experiments import figure_2_variants
    say = known(*SEVEN, "seven-functions-answer", "seven-functions-dots")["as_printed"]
    both = {"regular": {"test_mse": [20.0, 20.0]}, "sobolev": {"test_mse": [1.0, 1.0]}}
    record = {"results": {"literal-loss/booth/20": {"booth": both}}, "config": {"variants": {"literal-loss": {}}}}
    assert figure_2_variants.cells(record) and say(record) == "With the loss as printed the largest mean R is 20."
    assert say(None) == "The loss as printed has not been run."


def test_a_rival_with_a_default_rate_is_told_as_the_trials_ran(turned):
    say = known(*SEVEN, "seven-functions-answer", "994853fb")
    assert "learning rate 0.00114, the nearest to 0.001 in the grid" in say["rigged_said"](turned[0])
    assert "doesn't explain orders of magnitude" in say["rigged_said"](turned[0])
    bad = copy.deepcopy(turned[0])
    for both in bad.values():
        both["regular"]["trials"] = [{"lr": 1e-3, "log10_validation_mse": 5.0}, {"lr": 1e-2, "log10_validation_mse": 1.0}]
    assert "divides R by 10,000" in say["rigged_said"](bad) and "can come from an untuned rival" in say["rigged_said"](bad)
    config = {"regular_lrs": [1, 2, 3], "sobolev_lrs": [1, 2, 3], "derivative_weights": [1, 2, 3]}
    few = {k: {"regular": {"lr": 1 if k == 0 else 2}, "sobolev": {"lr": 3, "derivative_weight": 2}} for k in range(4)}
    assert say["ends_said"](few, config).endswith("of its grid once, Sobolev Training's 4 times, and its weight never.")


def test_sixty_values_and_smooth_units_are_told_as_they_came_out():
    say = known(*SEVEN, "seven-functions-numbers-run", "seven-functions-smooth-dots", "b91e8d22")
    values, slopes = say["numbers_said"]({"a": np.full(3, 0.5), "b": np.full(3, 0.4)}), say["numbers_said"]({"a": np.full(3, 2.0), "b": np.full(3, 3.0)})
    assert "ahead on 2 of 2" in values and "untuned race (3 seeds)" in values
    assert "worth less" in values and "ahead on 0 of 2" in slopes and "worth less" not in slopes
    beside = {"relu": {"a": np.array([2, 2.1, 2.0]), "b": np.array([3, 3.1, 3.0])},
              "softplus": {"a": np.array([9, 9.1, 9.0]), "b": np.array([1, 1.1, 1.0])}}
    assert "larger on 1 of 2 functions, and 1.2 (" in say["smooth_said"](beside)
    assert "largest R is 9" in say["smooth_said"](beside) and "with ReLU (b)" in say["smooth_said"](beside)
    beside["softplus"]["b"] = np.array([1, 90.0, 0.01])
    assert "Softplus appears to gain more" in say["smooth_said"](beside)
    assert "Softplus gains more" in say["smooth_said"](beside | {"softplus": {"a": np.full(3, 9.0), "b": np.full(3, 9.0)}})
    assert "does not gain more" in say["smooth_said"](beside | {"softplus": {"a": np.full(3, 0.1), "b": np.full(3, 0.1)}})
    assert "mostly of the funnel" in say["waves_said"](0.05, 0.85) and "of the same thing" in say["waves_said"](0.05, 0.1)


def test_waves_that_turn_the_verdict_are_told_as_they_came_out():
    say = known(*SEVEN, "a34953e0")["turn_said"]
    assert say({0: 2.1, 0.5: 1.2, 1: 0.83}) == (
        "R falls from 2.1 without waves to 0.83 at Ackley's own frequency, the only one measured at which slopes lose.")
    assert "slopes lose at 0.5, 1 of the frequencies" in say({0: 2.1, 0.5: 0.9, 1: 0.83})
    assert "R rises from 2.1" in say({0: 2.1, 1: 3.0}) and "at none of those measured" in say({0: 2.1, 1: 3.0})


@pytest.mark.parametrize("activation, pull", [("relu", False), ("leaky_relu", False), ("softplus", True), ("tanh", True)])
def test_the_slope_term_pulls_on_no_bias_of_a_kinked_network(activation, pull):
    f = sl.functions.styblinski_tang
    model = sl.models.MLP(2, 16, 16, 1, activation=activation, generator=seeded(0))
    term = sl.SobolevLoss(1).terms(model, sl.label(f, f.sample(20, generator=seeded(1))))[1]
    for k in (0, 2):
        gradient, = torch.autograd.grad(term, model[k].bias, retain_graph=True, allow_unused=True)
        assert bool(gradient is not None and gradient.abs().max() > 0) == pull


# --- What it costs ----------------------------------------------------------------------------------------------

COST = ("cost", "cost-03")


@pytest.fixture(scope="module")
def costs():
    found = known(*COST, "cost-16", "cost-answer", "cost-projections", "equal-time-guess")
    record = load_record("step-cost")
    found.update(config=record["config"], results=record["results"], KINKED=("relu", "leaky_relu"),
                 UNITS=dict.fromkeys(("batch", "depth", "inputs", "activation")))
    return found


@pytest.mark.parametrize("inputs, layers", [(2, 2), (10, 1), (100, 1), (100, 2), (100, 4)])
def test_the_first_layer_takes_four_products_against_two(costs, inputs, layers):
    """And each layer between hidden units four against three; what the last takes is small beside them."""
    network = (inputs, 1, (64,) * layers)
    first, between = inputs * 64, 64 * 64 * (layers - 1)
    expected = (4 * first + 4 * between) / (2 * first + 3 * between)
    assert costs["count"](*network) / costs["count"](*network, order=0) == pytest.approx(expected, rel=0.1)
    assert 4 / 3 - 0.03 < expected <= 2


def test_smooth_activations_take_as_many_products_as_double_backward(costs):
    network, count = (2, 1, (64, 64)), costs["count"]
    assert count(*network, activation="tanh") == pytest.approx(count(*network, way=lambda model: lambda x: model(x)), rel=0.05)


def test_the_answer_follows_the_record(costs):
    found = costs["answer"](costs["results"])
    assert "about as much as double backward" in found
    faster = copy.deepcopy(costs["results"])
    for turns in faster["activation"].values():
        turns["closed form"] = [seconds / 2 for seconds in turns["closed form"]]
    assert "less than double backward" in costs["answer"](faster)
    assert "Only with one output is the whole Jacobian cheaper" in costs["outputs_said"](costs["results"])
    assert "Up to 5 outputs the whole Jacobian is cheaper" in costs["whole_said"](["1", "5"])
    dear = copy.deepcopy(costs["results"])
    for turns in dear["outputs"].values():
        turns["full Jacobian"] = [9 * seconds for seconds in turns["full Jacobian"]]
    assert "dearer at any number of outputs" in costs["outputs_said"](dear)


def test_the_clock_is_compared_with_the_count(costs):
    found = costs["prices"](costs["results"], "closed form")
    told = costs["clock_said"](costs["results"])
    assert f"{min(found):.2f} to {max(found):.2f}" in told
    assert f"in {sum(price < 4 / 3 for price in found)} of them lower than in operations: part of a step is overhead" in told
    dear = copy.deepcopy(costs["results"])
    for unit in ("batch", "depth", "inputs", "activation"):
        for turns in dear[unit].values():
            turns["closed form"] = [2 * seconds for seconds in turns["closed form"]]
    assert "nowhere lower than in operations" in costs["clock_said"](dear)


def test_what_the_race_leaves_open_is_counted(costs):
    race = load_record("equal-time-race")
    say = known(*COST, "cost-38")["limits_said"]
    assert "at an end of its grid in 6 of 6 races" in say(race) and "double backward the races with ReLU were not run" in say(race)
    inner = copy.deepcopy(race)
    for result in inner["results"].values():
        for method in ("regular", "sobolev"):
            result[method]["lr"] = 1e-3
    assert "in 0 of 6 races" in say(inner)


def test_the_race_is_told_as_it_ended(costs):
    race = load_record("equal-time-race")
    won = re.findall(r"in (\d+) of (\d+)", costs["race_said"](race))
    exchanged = copy.deepcopy(race)
    for result in exchanged["results"].values():
        result["regular"], result["sobolev"] = result["sobolev"], result["regular"]
    lost = re.findall(r"in (\d+) of (\d+)", costs["race_said"](exchanged))
    assert len(won) == 2 and [(str(int(of) - int(n)), of) for n, of in won] == lost


# --- Exercises --------------------------------------------------------------------------------------------------

def tried(page, setup, name, solution, *cells, **given):
    """What a self-check prints for a solution in place of the stub."""
    code, printed = cell(page, name), []
    found = known(page, setup, *cells, **given)
    stub = re.match(r"def .*?return None[^\n]*\n|\w+ = None[^\n]*\n", code, re.DOTALL)[0]
    exec(solution + code.removeprefix(stub), found | {"print": lambda *texts: printed.append(" ".join(map(str, texts)))})
    return "\n".join(printed)


def printed_solution(page, name):
    return re.search(r"```python\n(.*?)```", cell(page, name), re.DOTALL)[1]


EXERCISES = {
    ("when_slopes_hurt", "when-slopes-hurt-setup", "when-slopes-hurt-bearable", "when-slopes-hurt-10"): [
        ("def bearable(nu, alpha):\n    return nu\n", "where 1 was expected"),
        *[(f"def bearable(nu, alpha):\n    right = (nu**2 + 2 / alpha) ** 0.5\n    return {told}\n", says) for told, says in (
            ("torch.tensor([right])", "right"), ("torch.tensor(right, requires_grad=True)", "right"), ("(right,)", "right"),
            ("np.array([[right]])", "right"), ("-right", "nu = 1, alpha = 1: expected a positive ratio, got -1.73"),
            ("0", "expected a positive ratio, got 0"), ("math.nan", "expected finite numbers, got nan"),
            ("[right, right]", "expected one number, got 2 numbers"), ("'right'", "expected one number, got 'right'"),
            ("right if nu == 1 else None", "nu = 3, alpha = 1: expected one number, got None"))]],
    ("neighbours", "neighbours-setup", "neighbours-disguise", "neighbours-05"): [
        ("def hidden_weight(sigma):\n    return sigma\n", "the disturbed values differ as with a weight of")],
    ("neighbours", "neighbours-setup", "neighbours-covariance", "neighbours-06"): [
        ("def value_with_slope(x, x2, length):\n    return -np.exp(-(x - x2)**2 / (2 * length**2)) * (x - x2) / length**2\n", "the sign is turned round")],
    ("cost", "cost-03", "cost-44", "cost-45"): [
        ("def products(d, q):\n    return 1 + 3 * q\n", "d = 1, q = 100: expected 6, got 301"),
        *[(f"def products(d, q):\n    right = min(1 + 3 * q, 3 + 3 * d)\n    return {told}\n", says) for told, says in (
            ("np.array(right)", "right"), ("torch.tensor([float(right)], requires_grad=True)", "right"), ("[right]", "right"),
            ("(torch.tensor(right),)", "right"), ("math.nan", "d = 2, q = 1: expected finite numbers, got nan"),
            ("[1 + 3 * q, 3 + 3 * d]", "expected one number, got 2 numbers"), ("'four'", "expected one number, got 'four'"),
            ("right if q < 100 else None", "d = 1, q = 100: expected one number, got None"))]],
    ("cost", "cost-03", "cost-46", "cost-47"): [
        ("def by_hand(x, W1, b1, w2, by_value, by_slope):\n    return (w2 * ((x @ W1.T + b1) > 0)).T @ (by_value[:, None] * x)\n", "slopes' part is missing"),
        *[("def by_hand(x, W1, b1, w2, by_value, by_slope):\n    adjoint = (w2 * ((x @ W1.T + b1) > 0)).T\n"
           f"    right = adjoint @ (by_value[:, None] * x + by_slope)\n    return {told}\n", says) for told, says in (
            ("right.tolist()", "right"), ("right.numpy()", "right"), ("right.requires_grad_()", "right"), ("right.double()", "right"),
            ("tuple(row.requires_grad_() for row in right)", "right"),
            ("right.T", "expected numbers of shape (5, 3), got numbers of shape (3, 5)"), ("adjoint @ by_slope", "values' part is missing"),
            ("-right", "what stands at the exit of W1"), ("right * torch.nan", "expected finite numbers, got nan"),
            ("'W1'", "expected numbers of shape (5, 3), got 'W1'"), ("[None, right]", "expected numbers of shape (5, 3), got [None"),
            ("1.0", "expected numbers of shape (5, 3), got one number"))]],
    ("seven_functions", "dfd6cedb", "c0c9eec2", "4cc53b6e"): [
        ("least_power = 0.3\n", "too low"), ("least_power = 0.8\n", "too high"), ("least_power = 3\n", "between 0 and 1"),
        ("least_power = np.array([0.5])\n", "right")],
}


@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda exercise: exercise[2])
def test_exercises_take_the_solution_and_tell_what_is_wrong(exercise):
    page, setup, name, solution = exercise
    given = {"seeded": seeded, "math": math}
    stub = re.match(r"def .*?return None[^\n]*\n|\w+ = None[^\n]*\n", cell(page, name), re.DOTALL)[0]
    assert tried(page, setup, name, stub, **given) == "not yet"
    assert tried(page, setup, name, printed_solution(page, solution), **given) == "right"
    for wrong, answer in EXERCISES[exercise]:
        told = tried(page, setup, name, wrong, **given)
        assert (told == answer) if answer == "right" else (answer in told)


def test_ackleys_points_are_counted():
    more = {"distances": np.geomspace(0.003, 0.3, 12)}
    ask = ("seven_functions", "dfd6cedb", "b44cad9a")
    assert re.search(r"right: ρ passes one half at r = 0\.\d+, so about [\d,]+ points", tried(*ask, printed_solution("seven_functions", "d2941665"), "64c41a65", **more))
    assert "expected 20" in tried(*ask, "def points_needed(r):\n    return 1 / r\n", "64c41a65", **more)


@pytest.mark.parametrize("where, setup, name, right", [
    ("when_slopes_hurt", "when-slopes-hurt-setup", "when-slopes-hurt-units", 1e-3),
    ("when_slopes_hurt", "when-slopes-hurt-setup", "when-slopes-hurt-known", 10 * (1 + 2)),
    ("neighbours", "neighbours-setup", "neighbours-rows", 5 * (1 + 3)),
    ("seven_functions", "dfd6cedb", "seven-functions-rows", 5 * (1 + 10)), ("cost", "cost-03", "cost-steps", 1000 / 1.25)])
def test_questions_with_numbers_know_the_answer(where, setup, name, right):
    question = asked(where, setup, name)
    assert math.isclose(question["number"], right) and right not in question["hints"]
    options = {key: value for key, value in question.items() if value is not None and key != "question"}
    assert widgets.Question(question["question"], **options) is not None


# --- Synthetic gradients ----------------------------------------------------------------------------------------------

def test_every_seed_of_table_1_is_within_its_panel():
    drawn = []
    say = known("synthetic_gradients", "synthetic_gradients-03")
    say["titles"] = {method: method for method in ("backprop", *table_1_verdict.ORDER)}
    say["plotting"] = types.SimpleNamespace(style_of=plotting.style_of, show=lambda figure, **texts: drawn.append(figure))
    exec(cell("synthetic_gradients", "synthetic_gradients-table-1"), say)
    _, *ours = drawn[0].axes
    seeds = load_record("synthetic-gradients-cifar10")["seeds"]
    for panel in ours:
        low, high = panel.get_xlim()
        marks = [x for line in panel.lines for x in line.get_xdata()]
        assert len(marks) == len(seeds) * len(say["titles"]) and low < min(marks) <= max(marks) < high
