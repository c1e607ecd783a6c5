"""A page with a widget on it, as a reader meets it: opened from disk, without a network."""
import atexit
import functools
import shutil
import tempfile
from pathlib import Path

from sobolev_lib import book_output

PAGE = """<!doctype html><html lang="en" data-theme="light"><head><meta charset="utf-8"><title>Widgets</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,">
<style>:root {{ --pst-color-text-base: #222; }}
html[data-theme=dark] {{ --pst-color-text-base: #ddd; background: #121212; }}
body {{ max-width: 720px; margin: 0 auto; padding: 0 12px; }}</style></head><body>{body}</body></html>"""
# a number that changes when a pixel of the i-th canvas changes
PIXELS = """i => { const c = document.querySelectorAll('canvas')[i];
  const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
  let hash = 0, seen = 0;
  for (let k = 0; k < d.length; k++) { hash = (hash * 31 + d[k]) | 0; if (k % 4 === 3 && d[k]) seen++; }
  return [hash, seen / (c.width * c.height)]; }"""
# the place of a kernel and its messages, in a page that runs a widget as Jupyter does
KERNEL = """source => {
  const listeners = {};
  const model = window.model = {
    state: window.state,
    get(key) { return this.state[key]; },
    set(key, value) { this.state[key] = value; (listeners['change:' + key] ?? []).forEach(f => f()); },
    on(event, f) { (listeners[event] ??= []).push(f); },
    comm_live_update() { listeners.comm_live_update.forEach(f => f()); },
    off() {}, save_changes() { window.saved(this.state.selection); },
    send(message) { window.kernel(message).then(answer => listeners['msg:custom'].forEach(f => f(answer))); },
  };
  const module = URL.createObjectURL(new Blob([source], { type: 'text/javascript' }));
  return import(module).then(({ default: widget }) => { widget.render({ model, el: document.querySelector('#stage') }); });
}"""


@functools.cache
def scripts():
    """The folder of the widgets' scripts, which all pages share."""
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    book_output.write_scripts(folder)
    return folder


class Reader:
    """A page with some HTML on it, opened from disk; fails at the end if anything went wrong on it."""

    def __init__(self, new_tab, folder, body, **options):
        (folder / "book").mkdir()
        (folder / "_static").mkdir(exist_ok=True)
        (folder / "_static" / "widgets").symlink_to(scripts())
        (folder / "book" / "page.html").write_text(PAGE.format(body=body), encoding="utf-8")
        options = {"viewport": {"width": 900, "height": 1000}, "reduced_motion": "reduce", **options}
        self.page = new_tab(**options)
        self.troubles, self.requested = [], []
        # the first is about PIXELS; the second about WebGL where pages are put together without a GPU
        expected = ("willReadFrequently", "GPU stall due to ReadPixels")
        self.page.on("console", lambda m: self.troubles.append(m.text) if m.type in ("error", "warning")
                     and not any(words in m.text for words in expected) else None)
        self.page.on("pageerror", lambda error: self.troubles.append(str(error)))
        self.page.on("request", lambda request: self.requested.append(request.url))
        self.page.goto((folder / "book" / "page.html").as_uri())

    def ready(self):
        self.page.wait_for_selector(".sobolev-widget[data-ready] canvas")
        self.settle()
        return self

    def settle(self):
        self.page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")

    def pixels(self, i=0):
        self.settle()
        return self.page.evaluate(PIXELS, i)[0]

    def ink(self, i=0):
        """Share of the canvas that is painted."""
        return self.page.evaluate(PIXELS, i)[1]

    def captions(self):
        return self.page.locator(".sbx-caption").all_inner_texts()

    def pixel(self, row, column, i=0):
        """Colour of the i-th canvas, which has a pixel for each of its image."""
        colour = self.page.evaluate("""([i, x, y]) => { const c = document.querySelectorAll('canvas')[i];
            return [...c.getContext('2d').getImageData(x, y, 1, 1).data]; }""", [i, column, row])
        assert colour[3] in (0, 255)
        return colour[:3] if colour[3] else None

    def wait_for_pixel(self, row, column, colour, i=0):
        """Images are decoded in the background."""
        self.page.wait_for_function("""([i, x, y, colour]) => { const c = document.querySelectorAll('canvas')[i];
            return c.getContext('2d').getImageData(x, y, 1, 1).data.slice(0, 3).join() === colour; }""",
                                    arg=[i, column, row, ",".join(map(str, colour))])

    def height(self):
        return self.page.locator(".sobolev-widget").bounding_box()["height"]
