"""A page with a playground on it, and what a reader does there."""

ROOT = ".sobolev-playground"
# Their worker is refused, as in a page that has none; other workers are not.
NO_THUMBNAILS = """<script>{ const Own = Worker; window.Worker = class extends Own { constructor(...given) {
  if (new Error().stack.includes("paintThumbnails")) throw new Error("no thumbnails");
  super(...given); } } }</script>"""


class Player:
    """A page with a playground on it."""

    def __init__(self, reader):
        self.reader, self.page = reader, reader.page
        self.page.wait_for_selector(f"{ROOT}[data-step]")

    def press(self, name):
        self.page.get_by_role("button", name=name, exact=True).click()

    def data(self):
        self.reader.settle()
        data = self.page.evaluate("({...document.querySelector('.sobolev-playground').dataset})")
        return int(data["step"]), float(data["regularError"]), float(data["sobolevError"])

    def rest(self):
        """A step on its way is finished and shown."""
        step = None
        while step != (step := self.data()[0]):
            self.page.wait_for_timeout(800)

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
        return self.page.evaluate("new Promise((done) => setTimeout(() => done(location.hash), 300))")   # it follows after a moment

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
