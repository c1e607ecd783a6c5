"""Every page walked as a reader does, from disk as wide as a desk, and served to a phone: axe-core; nothing moves after it is shown;
every link lands where it leads. One walk of a page serves all its tests."""

import pytest
from pages import OF_EVERY_KIND, PAGES
from walks import NARROW, WIDE, arrive, judge

# The first test that needs the site may have to build it.
pytestmark = pytest.mark.timeout(1200)


@pytest.fixture(params=["wide", "phone"])
def size(request):
    return request.param


@pytest.fixture
def walked(walk, page, size):
    return walk(page, size)


def test_links_land_at_their_heading(walked):
    """By the contents list once all widgets have mounted, on a phone from outside and before that, too: within 20 pixels."""
    assert walked.missed == []


@pytest.mark.slow
def test_links_land_at_their_heading_before_any_widget_has_mounted(tabs, origins, page):
    """As wide as a desk, from outside and by the contents list."""
    assert arrive(tabs["file"], f"{origins['file']}/{page}.html") == []


def test_nothing_moves_on_the_way_down(walked):
    """The cumulative layout shift from the first screen to the last."""
    assert walked.shift <= 0.02, walked.shifts


def test_widgets_are_as_high_as_the_place_kept_for_them(walked):
    assert walked.grown == []


def test_page_never_scrolls_sideways(walked):
    assert walked.sideways <= 1


def test_nothing_fails_and_no_other_host_is_asked_on_the_way(walked):
    assert (walked.visit.errors, walked.visit.foreign, walked.visit.failed) == ([], [], [])


@pytest.mark.parametrize("page", PAGES[:1])  # by name, so that it runs beside the page's other tests and shares their walk
def test_first_screen_answers_soon(walked, record_property):
    """How soon depends on the machine, so it is reported, not judged: `pytest -rA` or a report in XML shows it."""
    ready = walked.ready
    assert ready, "no widget of the first screen came to life"
    record_property("milliseconds until the first widget answers", min(ready.values()))
    print(f"first widget after {min(ready.values()):.0f} ms")


def test_fonts_are_light(site):
    """The style sheet that every page reads holds them; no page brings others."""
    assert {path.name for path in site.rglob("*") if path.suffix in (".woff2", ".woff", ".ttf", ".otf")} == {
        "roman.woff2", "italic.woff2"}
    assert (site / "_static" / "fonts.css").stat().st_size < 150_000


@pytest.mark.parametrize("page", sorted(OF_EVERY_KIND))
def test_axe_finds_nothing_serious(walked):
    """On pages of every kind, with all buttons pressed, on a phone with each widget as it opens. Dark colours:
    ``test_dark_theme_is_readable``. All other pages, and both themes: the slow test below."""
    assert walked.faults == []


@pytest.mark.slow
def test_axe_finds_nothing_serious_at_any_width_and_in_no_state(tabs, origins, page):
    """At 1280 and 360 pixels, in both themes; with each widget as it opens, and with all its buttons pressed."""
    assert (WIDE["width"], NARROW["width"]) == (1280, 360)
    assert judge(tabs["http"], f"{origins['http']}/{page}.html") == []


@pytest.mark.parametrize("size", ["phone"])
def test_nothing_moves_by_itself_when_less_motion_is_asked_for(walked):
    assert walked.moving == []
