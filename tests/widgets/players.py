"""A page with a playground on it, and what a reader does there."""

ROOT = ".sobolev-playground"
# What tells that a playground rests: how many questions its worker has not answered, and what the page has put off. The cards'
# thumbnails have a worker of their own, which is not counted, or refused, as in a page that has none.
WATCH = """{ const Own = Worker, own = { setTimeout, clearTimeout }, watch = window.playgroundWatch = { asked: 0, putOff: new Set() };
window.Worker = class extends Own {
  constructor(...given) {
    const paints = new Error().stack.includes("paintThumbnails");
    if (paints && REFUSED) throw new Error("no thumbnails");
    super(...given);
    this.counts = !paints;
    if (this.counts) this.addEventListener("message", () => { watch.asked -= 1; });
  }
  postMessage(...given) { if (this.counts) watch.asked += 1; super.postMessage(...given); }
};
window.setTimeout = (act, ...given) => {
  const id = own.setTimeout.call(window, (...those) => { watch.putOff.delete(id); act(...those); }, ...given);
  watch.putOff.add(id);
  return id;
};
window.clearTimeout = (id) => { watch.putOff.delete(id); own.clearTimeout.call(window, id); }; }"""


def watch(thumbnails):
    """The script that watches a page; it comes before the page's own."""
    return WATCH.replace("REFUSED", "false" if thumbnails else "true")


NO_THUMBNAILS = f"<script>{watch(thumbnails=False)}</script>"
# after a pause: what was asked before is answered, and that is shown at once
RESTS = "playgroundWatch.asked === 0 && playgroundWatch.putOff.size === 0"


class Player:
    """A page with a playground on it."""

    def __init__(self, reader):
        self.reader, self.page = reader, reader.page
        self.page.wait_for_selector(f"{ROOT}[data-step]")

    def press(self, name):
        self.page.get_by_role("button", name=name, exact=True).click()

    def data(self):
        data = self.page.evaluate("({...document.querySelector('.sobolev-playground').dataset})")
        return int(data["step"]), float(data["regularError"]), float(data["sobolevError"])

    def rest(self):
        """A step on its way is finished and shown."""
        self.page.wait_for_function(RESTS)

    def wait_for_step(self, least):
        self.page.wait_for_function(f"Number(document.querySelector('{ROOT}').dataset.step) >= {least}")

    def restarted(self, act):
        """Do something that makes a new experiment; returns its first errors."""
        self.page.evaluate(f"document.querySelector('{ROOT}').dataset.step = 'old'")
        act()
        self.page.wait_for_function(f"document.querySelector('{ROOT}').dataset.step !== 'old'")
        return self.data()

    def open(self, name):
        """Open one of the parts below the buttons."""
        opener = self.page.get_by_role("button", name=name, exact=True)
        if opener.get_attribute("aria-expanded") == "false":
            opener.click()

    def code(self):
        return self.page.get_by_label("The experiment in Python").input_value()

    def text(self, part):
        self.reader.settle()
        return self.page.locator(f".spg-{part}").first.inner_text()

    def hash(self):
        self.page.wait_for_function("playgroundWatch.putOff.size === 0")     # it follows after a moment
        return self.page.evaluate("location.hash")

    def on_target(self, u, v):
        """A place on the target's canvas, seen from above, in the page's coordinates."""
        box = self.page.locator(".spg-pictures canvas").first.bounding_box()
        size = min(box["width"] - 42, box["height"] - 38)
        x0, y0 = 34 + (box["width"] - 42 - size) / 2, 8 + (box["height"] - 38 - size) / 2
        return box["x"] + x0 + u * size, box["y"] + y0 + (1 - v) * size

    def drag(self, start, end):
        self.page.mouse.move(*start)
        self.page.mouse.down()
        self.page.mouse.move(*end, steps=5)
        self.page.mouse.up()
