"""Timelines and diagrams: every piece of work is drawn, nobody works on two things at once, all of it is described."""
import re
from xml.etree import ElementTree

import pytest

from sobolev_lib.synthetic_gradients.methods import METHODS
from sobolev_lib.synthetic_gradients.pictures import COLOURS, Diagram, Timeline, schedule


def drawing(thing):
    markup = thing._repr_html_()
    return ElementTree.fromstring(re.search(r"<svg.*</svg>", markup, re.DOTALL).group())


@pytest.mark.parametrize("decoupled", [False, True])
@pytest.mark.parametrize("parts, batches", [(1, 2), (3, 4)])
def test_a_schedule_does_every_pass_in_order_and_one_at_a_time(parts, batches, decoupled):
    work = schedule(parts, batches, decoupled=decoupled)
    assert len(work) == 2 * parts * batches
    done = {(part, what, step): (begin, end) for part, what, step, begin, end in work}
    for part in range(1, parts + 1):
        own = sorted((begin, end) for (who, *_), (begin, end) in done.items() if who == part)
        assert all(end <= begin for (_, end), (begin, _) in zip(own, own[1:]))
        for step in range(1, batches + 1):
            forward, backward = done[part, "forward", step], done[part, "backward", step]
            assert forward[1] - forward[0] == 1 and backward[1] - backward[0] == 2 and backward[0] >= forward[1]
            if part > 1:
                assert forward[0] >= done[part - 1, "forward", step][1], "before its input was there"
                if not decoupled:
                    assert done[part - 1, "backward", step][0] >= backward[1], "before its gradient was there"


def test_decoupled_parts_never_wait_and_locked_ones_do():
    locked, free = schedule(3, 6, decoupled=False), schedule(3, 6, decoupled=True)
    assert max(end for *_, end in locked) == 6 * 9 and max(end for *_, end in free) == 6 * 3 + 2


def test_a_timeline_draws_each_bar_where_and_as_long_as_it_was():
    work = [(1, "forward", 7, 0.0, 0.1), (2, "backward", 7, 0.1, 0.3), (2, "synthetic gradient", 7, 0.3, 0.4)]
    root = drawing(Timeline({"Here": work}, alt="Two parts", unit="seconds"))
    colours = {colour: what for what, colour in COLOURS.items()}
    group = next(element for element in root.iter() if element.tag.endswith("g") and "id" in element.attrib)
    bars = [element for element in group if element.tag.endswith("rect")]
    assert [colours[bar.get("fill")] for bar in bars] == ["forward", "backward", "synthetic gradient"]
    starts, widths = [[float(bar.get(key)) for bar in bars] for key in ("x", "width")]
    assert (starts[1] - starts[0]) / (starts[2] - starts[1]) == pytest.approx(0.5, abs=0.01)
    assert widths[1] / widths[0] == pytest.approx(2, abs=0.02)
    assert bars[0].get("y") != bars[1].get("y") == bars[2].get("y")
    words = "".join(root.itertext())
    assert all(word in words for word in ("Here", "part 1", "part 2", "F7", "B7", "seconds"))
    assert root.get("aria-label") == "Two parts" and root.get("role") == "img"


def test_two_timelines_on_a_page_have_names_of_their_own_and_motion_can_be_refused():
    markup = [Timeline({"Here": schedule(2, 1, decoupled=True)}, alt="x")._repr_html_() for _ in range(2)]
    names = [set(re.findall(r'id="([^"]+)"', text)) for text in markup]
    assert names[0] and not names[0] & names[1]
    assert all("prefers-reduced-motion: reduce" in text for text in markup)


@pytest.mark.parametrize("panels, alt, error", [
    ({}, "x", "panels: expected work in every panel, got none"),
    ({"a": []}, "x", "panels: expected work in every panel, got none"),
    ({"a": [(1, "rest", 1, 0, 1)]}, "x", "expected work among forward, backward, synthetic gradient, got rest"),
    ({"a": schedule(2, 1, decoupled=True)}, " ", "alt: expected a description"),
])
def test_a_timeline_of_nothing_is_refused(panels, alt, error):
    with pytest.raises(ValueError, match=error):
        Timeline(panels, alt=alt)


@pytest.mark.parametrize("method", METHODS)
def test_a_diagram_rings_what_the_method_supervises(method):
    root, weights = drawing(Diagram(method)), getattr(METHODS[method], "weights", None)
    rings = [element for element in root.iter() if element.get("fill-opacity") == "0.3"]
    expected = 1 if method == "direct" else 0 if weights is None else sum(weight > 0 for weight in weights)
    assert len(rings) == expected
    assert root.get("aria-label") == Diagram(method).alt and ("supervision" in Diagram(method).alt) == bool(expected)


def test_an_unknown_method_has_no_diagram():
    with pytest.raises(ValueError, match="method: expected one of backprop, .*got 'dni'"):
        Diagram("dni")
