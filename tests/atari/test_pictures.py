"""Films of a game: every screen, at the game's speed, with words for those who cannot see it, and nothing to fetch."""
import base64
import io
import re

import numpy as np
import pytest
from PIL import Image, ImageSequence

from sobolev_lib.atari import Film, FilmRow


def moving(steps=5):
    """A white block that moves down a dark red screen."""
    screens = np.zeros((steps, 210, 160, 3), dtype=np.uint8)
    screens[..., 0] = 90
    for t in range(steps):
        screens[t, 40 * t:40 * t + 30, 50:110] = 255
    return screens


def images_in(text):
    """What each data URI of the text holds: a list of (screens, milliseconds each)."""
    found = []
    for code in re.findall(r"data:image/webp;base64,([A-Za-z0-9+/=]+)", text):
        with Image.open(io.BytesIO(base64.b64decode(code))) as image:
            frames = [np.array(frame.convert("RGB")) for frame in ImageSequence.Iterator(image)]
            found.append((frames, image.info.get("duration")))
    return found


def test_a_film_holds_every_screen_at_the_games_speed():
    screens = moving()
    (still, _), (film, milliseconds) = images_in(Film(screens, alt="A block falls")._repr_html_())
    assert len(film) == 5 and milliseconds in (66, 67), "four frames of a screen that shows 60 a second"
    assert np.array_equal(film, screens)
    assert len(still) == 1 and np.array_equal(still[0], screens[2]), "who asked for less motion sees the middle screen"


def test_a_film_says_what_it_shows_and_fetches_nothing():
    text = Film(moving(2), alt='A ball "<b>" & a paddle', caption="x < y")._repr_html_()
    assert 'alt="A ball &quot;&lt;b&gt;&quot; &amp; a paddle"' in text and ">x &lt; y</figcaption>" in text
    assert "prefers-reduced-motion: reduce" in text and 'width="160" height="210"' in text
    assert "http" not in text and "<script" not in text


def test_films_stand_side_by_side_in_the_order_given():
    films = [Film(moving(2), alt=name) for name in ("one", "two")]
    text = FilmRow(films)._repr_html_()
    assert text.count("<figure") == text.count("</figure>") == 2 and text.index('alt="one"') < text.index('alt="two"')
    assert all(film._repr_html_() in text for film in films) and "display:flex" in text and "wrap:" not in text


@pytest.mark.parametrize("screens, alt, message", [
    (np.zeros((2, 84, 84), dtype=np.uint8), "a", r"screens: .*got uint8 of \(2, 84, 84\)"),
    (np.zeros((2, 84, 84, 3)), "a", "screens: expected uint8 .*got float64"),
    (np.zeros((0, 84, 84, 3), dtype=np.uint8), "a", r"screens: .*\(0, 84, 84, 3\)"),
    (moving(2), "  ", "alt: expected a description"),
], ids=["grey", "floats", "no screens", "no words"])
def test_other_screens_and_films_without_words_are_refused(screens, alt, message):
    with pytest.raises(ValueError, match=message):
        Film(screens, alt=alt)
