"""What the widgets' tests ask for: a page with a widget on it, a playground, the training code in the browser."""
import pytest
from players import Player, watch
from readers import Reader

from sobolev_lib import book_output
from sobolev_lib.widgets import Playground


@pytest.fixture
def read(new_tab, tmp_path, monkeypatch):
    monkeypatch.setenv("SOBOLEV_BOOK_BUILD", "1")
    readers = []

    def opened(body, **options):
        if not isinstance(body, str):
            body = body._repr_html_()
        readers.append(Reader(new_tab, tmp_path, body, **options))
        return readers[-1]

    yield opened
    for reader in readers:
        reader.page.evaluate("0")  # what it has said until now is heard
        assert reader.troubles == []
        assert [url for url in reader.requested if not url.startswith(("file:", "data:", "blob:"))] == []


@pytest.fixture
def play(read):
    """Shows a playground, without the thumbnails of its stories unless they are asked for: they take longer than most tests."""
    def shown(*args, screen=None, motion="no-preference", thumbnails=False, **settings):
        body = Playground(*args, **settings)._repr_html_()
        # in motion, as then an answer comes after 30 ms and not after 400
        return Player(read(f"<script>{watch(thumbnails)}</script>{body}", reduced_motion=motion, **(screen or {})))

    return shown


@pytest.fixture(scope="module")
def engine(chromium):
    """Evaluates JavaScript in which all names of one source file are known, the training code's unless another is named.

    `given` is its argument, `first` goes in front.
    """
    page = chromium.new_page()

    def evaluate(code, given=None, first="", source="experiment"):
        run = f"given => {{ {first}{book_output.bundle(source)}\n; const list = (x) => Array.from(x); {code} }}"
        return page.evaluate(run, given)

    yield evaluate
    page.close()
