"""The rollouts in the page: the simulator and the networks against Python's, and what a reader does with them."""
import numpy as np
import pytest
import torch
from readers import KERNEL

from sobolev_lib import book_output
from sobolev_lib.experiments.learned_simulator import simulator, weights
from sobolev_lib.models import MLP
from sobolev_lib.scaling import Standardized, ZScores
from sobolev_lib.widgets import LorenzRollout

MODEL = "lorenz_rollout_model"
SCALES = {"input_mean": [0.0] * 3, "input_std": [1.0] * 3, "output_mean": [0.0] * 3, "output_std": [1.0] * 3}
IDENTITY = {"layers": [{"weight": np.eye(3).tolist(), "bias": [0.0] * 3}], **SCALES}


def network():
    scores = ZScores(*(torch.tensor(each) for each in ([0.0, 1.0, 24.0], [8.0, 9.0, 8.5], [0.1, 0.0, 23.0], [7.9, 9.0, 8.6])))
    return Standardized(MLP(3, 8, 8, 3, activation="silu", generator=torch.Generator().manual_seed(0)), scores)


def opened(read, *, screen=None, **options):
    reader = read(LorenzRollout({"stays": ("regular", IDENTITY), "random": ("sobolev", weights(network()))}, **options),
                  **(screen or {}))
    reader.page.wait_for_selector(".sobolev-widget[data-ready] .slr-picture")
    reader.settle()
    return reader


def times(reader):
    return reader.page.locator(".slr-readings b").all_inner_texts()[1:]


# --- mathematics ------------------------------------------------------------------------------------------------

def test_the_simulator_is_the_experiments(engine):
    start = torch.tensor([[1.0, 2.0, 20.0], [-5.0, 0.3, 30.0]], dtype=torch.float64)
    found = engine("return given.map((state) => simulated(state, 0.3));", start.tolist(), source=MODEL)
    torch.testing.assert_close(torch.tensor(found, dtype=torch.float64), simulator(start, 0.3))


def test_a_networks_answer_is_pythons(engine):
    states = 8 * torch.randn(5, 3, generator=torch.Generator().manual_seed(1))
    found = engine("return given[1].map((state) => answer(given[0], state));", [weights(network()), states.tolist()], source=MODEL)
    torch.testing.assert_close(torch.tensor(found), network()(states).detach(), rtol=1e-3, atol=1e-3)


def test_a_rollout_that_leaves_all_bounds_stays_and_is_lost_at_once(engine):
    way, stayed, never = engine("""
        const way = rolled((at) => at.map((one) => 100 * one), [1, 1, 1], 4);
        return [way, stays([0, 1, 6, 2], 5), stays([0, 1, 2], 5)];""", source=MODEL)
    assert way == [[1, 1, 1], [100, 100, 100], *[[100, 100, 100]] * 3] and (stayed, never) == (2, 2)


# --- the page ---------------------------------------------------------------------------------------------------

def test_calm_readers_see_the_end_at_once(read):
    reader = opened(read)
    assert reader.page.locator("[data-done=yes]").count() == 1
    assert all(0 <= float(text) < 3 for text in times(reader))
    way = reader.page.locator(".slr-all").get_attribute("points")
    reader.page.get_by_role("slider", name="start").fill("20")
    reader.settle()
    assert reader.page.locator(".slr-slider output").inner_text() == "21"
    assert reader.page.locator(".slr-all").get_attribute("points") != way
    assert "near the simulator for" in reader.page.locator("[aria-live]").inner_text()


def test_it_runs_pauses_and_goes_on(read):
    reader = opened(read, screen={"reduced_motion": "no-preference"})
    button = reader.page.locator(".slr-pause")
    reader.page.wait_for_selector(".slr-pause:has-text('Pause')")

    def head():
        return reader.page.locator(".slr-head-true").get_attribute("cx")

    before = head()
    reader.page.wait_for_function("before => document.querySelector('.slr-head-true').getAttribute('cx') !== before", arg=before)
    button.click()
    paused = head()
    reader.page.wait_for_timeout(200)
    assert head() == paused and "Go on" in button.inner_text()
    button.click()
    reader.page.wait_for_function("before => document.querySelector('.slr-head-true').getAttribute('cx') !== before", arg=paused)
    reader.page.get_by_role("button", name="Another start").click()
    assert reader.page.locator(".slr-slider output").inner_text() == "8"


@pytest.mark.parametrize("width", [900, 360])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_its_height_is_kept_and_nothing_sticks_out(read, width, theme):
    reader = read(f'<div style="height: 6000px"></div>{LorenzRollout({"stays": ("regular", IDENTITY)})._repr_html_()}',
                  viewport={"width": width, "height": 740})
    reader.page.evaluate(f"document.documentElement.dataset.theme = '{theme}'")
    kept = reader.page.locator(".sobolev-widget").bounding_box()["height"]
    reader.page.locator(".sobolev-widget").scroll_into_view_if_needed()
    reader.page.wait_for_selector(".sobolev-widget[data-ready] .slr-picture")
    reader.settle()
    assert reader.page.locator(".sobolev-widget").bounding_box()["height"] == pytest.approx(kept, abs=1)
    assert reader.page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0


def test_python_and_the_page_share_the_start(read, monkeypatch):
    monkeypatch.delenv("SOBOLEV_BOOK_BUILD")
    widget = LorenzRollout({"stays": ("regular", IDENTITY)}, start=3)
    monkeypatch.setenv("SOBOLEV_BOOK_BUILD", "1")
    reader = read('<div id="stage"></div>')
    state = {name: getattr(widget, name) for name in ("networks", "gap", "limit", "start", "alt")}
    reader.page.evaluate("state => { window.state = state; window.saved = () => {}; }", state)
    reader.page.evaluate(KERNEL, book_output.module_script("lorenz_rollout"))
    reader.page.get_by_role("button", name="Another start").click()
    assert reader.page.evaluate("window.state.start") == 10
    reader.page.evaluate("window.model.set('start', 5)")
    assert reader.page.locator(".slr-slider output").inner_text() == "6"
    with pytest.raises(ValueError, match="start: expected a number from 0 to 39, got 40"):
        widget.start = 40


LAYER = IDENTITY["layers"][0]


@pytest.mark.parametrize("arguments, message", [
    (({},), "networks: expected a dict of names to colours and networks, one at least, got none"),
    (([IDENTITY],), "got list"),
    (({"a": IDENTITY},), "expected for 'a' a colour and a network, got dict"),
    (({"a": ("pink", IDENTITY)},), "a colour of the palette for 'a'"),
    (({"a": ("regular", {})},), r"expected for 'a' a dict of layers.*and nothing else; got \[\]"),
    (({"a": ("regular", network())},), "and nothing else; got Standardized"),
    (({"a": ("regular", IDENTITY | {"activation": "tanh"})},), r"with SiLU between them.*got \['activation', 'input_mean'"),
    (({"a": ("regular", IDENTITY | {"input_std": [1.0]})},), r"got \[1.0\] for input_std"),
    (({"a": ("regular", IDENTITY | {"input_std": [1.0, 0.0, 1.0]})},),
     r"std above zero; got \[1.0, 0.0, 1.0\] for input_std"),
    (({"a": ("regular", IDENTITY | {"input_mean": ["a"] * 3})},), "got input_mean of another form"),
    (({"a": ("regular", IDENTITY | {"layers": []})},), "got 0 layers to 3 numbers"),
    (({"a": ("regular", IDENTITY | {"layers": [[1.0]]})},), r"got \[1.0\] for layer 0"),
    (({"a": ("regular", IDENTITY | {"layers": [LAYER | {"activation": "relu"}]})},), "'activation': 'relu'} for layer 0"),
    (({"a": ("regular", IDENTITY | {"layers": [{"weight": [[1.0, 2.0]], "bias": [0.0]}]})},),
     r"layer 0 a weight of shape \(1, 2\) and a bias of \(1,\), after 3"),
    (({"a": ("regular", IDENTITY | {"layers": [{"weight": np.ones((2, 3)), "bias": [0.0, 0.0]}, LAYER]})},),
     r"layer 1 a weight of shape \(3, 3\).*after 2 numbers"),
    (({"a": ("regular", IDENTITY | {"layers": [LAYER, {"weight": np.ones((2, 3)), "bias": [0.0, 0.0]}]})},),
     "got 2 layers to 2 numbers"),
    (({"a": ("regular", IDENTITY | {"layers": [LAYER, {"weight": [[1.0], [1.0, 2.0]], "bias": [0.0, 0.0]}]})},),
     "got the weight of layer 1 of another form"),
    (({"a": ("regular", IDENTITY | {"layers": [LAYER | {"bias": [0.0, float("nan"), 0.0]}]})},),
     "got the bias of layer 0 with numbers that are not finite"),
    (({"a": ("regular", IDENTITY)}, "gap", 0.12), "gap: expected a multiple of 0.05, got 0.12"),
    (({"a": ("regular", IDENTITY)}, "limit", -1), "limit: expected a positive number, got -1"),
    (({"a": ("regular", IDENTITY)}, "start", 40), "start: expected a number from 0 to 39"),
    (({"a": ("regular", IDENTITY)}, "start", True), "start: expected a number from 0 to 39")])
def test_wrong_calls_say_what_was_expected(arguments, message):
    networks, *option = arguments
    with pytest.raises(ValueError, match=message):
        LorenzRollout(networks, **(dict([option]) if option else {}))


def test_a_network_with_other_activations_is_not_recorded():
    scores = network().scores
    with pytest.raises(ValueError, match="network: expected an MLP with SiLU between its layers, got one with tanh"):
        weights(Standardized(MLP(3, 8, 3, activation="tanh"), scores))
    with pytest.raises(ValueError, match="network: expected an MLP with SiLU between its layers, got a Sequential"):
        weights(Standardized(torch.nn.Sequential(torch.nn.Linear(3, 3)), scores))
