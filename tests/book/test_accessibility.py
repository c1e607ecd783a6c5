"""Every page judged by axe-core, in both themes, as it opens and with its widgets used; and less motion for who asks for it."""

import pytest
from walks import NARROW, WIDE, walk

# The first test that needs the site may have to build it.
pytestmark = pytest.mark.timeout(1200)


@pytest.mark.parametrize("size", ["wide", "phone"])
def test_axe_finds_nothing_serious(chromium, origins, page, size):
    """At 1280 and 360 pixels; with each widget as it opens, and with all its buttons pressed."""
    assert (WIDE["width"], NARROW["width"]) == (1280, 360)
    assert walk(chromium, f"{origins['http']}/{page}.html", size).faults == []


def test_nothing_moves_by_itself_when_less_motion_is_asked_for(chromium, origins, page):
    assert walk(chromium, f"{origins['http']}/{page}.html", "phone").moving == []
