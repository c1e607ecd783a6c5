"""What is to be seen on a page, and what goes wrong there: one visit serves all tests of that page.

A visit is part of a walk (walks.py). On a phone the page is looked at as it opens. As wide as a desk it is seen light, then dark,
then as narrow as a phone, and in the end each of its buttons is pressed.
"""

import contextlib
import dataclasses
from urllib.parse import urlsplit

import looks

from sobolev_lib.plotting.palette import PAGE, PALETTE

WIDE = {"width": 1280, "height": 900}
PHONE = {"width": 360, "height": 780}


@dataclasses.dataclass
class Visit:
    """What one page did. What is asked for only as wide as a desk is empty in the others."""

    errors: list = dataclasses.field(default_factory=list)  # console and page errors
    foreign: list = dataclasses.field(default_factory=list)  # requests to another host
    failed: list = dataclasses.field(default_factory=list)  # answers of 400 and above, and requests without one
    dead: list = dataclasses.field(default_factory=list)  # widgets without content
    facts: dict = dataclasses.field(default_factory=dict)
    cut: list = dataclasses.field(default_factory=list)  # formulas whose beginning is out of reach
    figures: dict = dataclasses.field(default_factory=dict)  # those with a drawing: "light", "dark", "phone"
    captions: list = dataclasses.field(default_factory=list)  # of every figure: its number and its text
    bare: list = dataclasses.field(default_factory=list)  # what should have a caption and has none
    unstyled: list = dataclasses.field(default_factory=list)  # things without a colour
    dark: dict = dataclasses.field(default_factory=dict)
    sideways: list = dataclasses.field(default_factory=list)  # what is wider than the phone
    mute: list = dataclasses.field(default_factory=list)  # what scrolls on the phone and does not say so
    veiled: list = dataclasses.field(default_factory=list)  # captions on the phone that are only seen by scrolling
    parted: list = dataclasses.field(default_factory=list)  # intervals on the phone that go over a line's end
    pressed: int = 0  # buttons


@contextlib.contextmanager
def watched(page, visit):
    """Let the visit note every error and request of the page, until the block ends."""
    heard = watch(page, visit)
    try:
        yield
    finally:
        for event, listener in heard.items():
            page.remove_listener(event, listener)


def watch(page, visit):
    """Let the visit note every error and request of the page; returns the listeners."""

    def said(message):
        if message.type == "error":
            visit.errors.append(message.text)

    def requested(request):
        parts = urlsplit(request.url)
        if parts.scheme not in ("file", "data", "blob", "about") and parts.hostname != "127.0.0.1":
            visit.foreign.append(request.url)

    def answered(response):
        if response.status >= 400:
            visit.failed.append(f"{response.status} {response.url}")

    def failed(request):
        # a page that is left while the browser reads its icon ends that request
        if not (request.failure == "net::ERR_ABORTED" and "favicon" in request.url):
            visit.failed.append(f"{request.failure} {request.url}")

    heard = {"console": said, "pageerror": lambda error: visit.errors.append(str(error)), "request": requested,
             "response": answered, "requestfailed": failed}
    for event, listener in heard.items():
        page.on(event, listener)
    return heard


def set_dark(page):
    """Press the theme's button until the page is dark."""
    for _ in range(3):
        if page.evaluate("document.documentElement.dataset.theme") == "dark":
            return
        page.locator(".theme-switch-button:visible").first.click()
    raise AssertionError("the theme's button never made the page dark")


def look(page, visit):
    """The page as it opens, light: what is in it, and whether it is there."""
    visit.dead += page.evaluate(looks.WIDGETS_ALIVE)
    visit.facts = page.evaluate(looks.FACTS)
    visit.cut += page.evaluate(looks.CUT)


def patient(page, question):
    """The last answer to what should be answered by nothing: figures follow the width, on a busy machine slowly."""
    for _ in range(40):
        found = page.evaluate(question)
        if not found:
            break
        page.wait_for_timeout(250)
    return found


def look_closely(page, visit):
    """The page as wide as a desk, light, dark, and on a phone; then each button is pressed. The next page will be light again."""
    visit.figures["light"] = page.evaluate(looks.FIGURES)
    visit.captions, visit.bare = page.evaluate(looks.CAPTIONS), page.evaluate(looks.BARE)
    visit.unstyled = page.evaluate(looks.UNSTYLED, [*PALETTE, *PAGE])
    look(page, visit)

    set_dark(page)
    page.evaluate(looks.FADED)
    visit.dark = page.evaluate(looks.CONTRAST)
    visit.figures["dark"] = page.evaluate(looks.FIGURES)

    page.set_viewport_size(PHONE)
    visit.dead += page.evaluate(looks.WIDGETS_ALIVE)
    visit.sideways = patient(page, looks.SIDEWAYS)
    visit.mute = patient(page, looks.MUTE)
    visit.cut += page.evaluate(looks.CUT)
    visit.veiled = page.evaluate(looks.VEILED)
    visit.parted = page.evaluate(looks.PARTED)
    visit.figures["phone"] = page.evaluate(looks.FIGURES)

    page.set_viewport_size(WIDE)
    page.evaluate("document.querySelectorAll('details').forEach(fold => { fold.open = true; })")
    visit.dead += page.evaluate(looks.WIDGETS_ALIVE)
    visit.pressed = page.evaluate(looks.PRESS)
    if visit.pressed:
        # what the buttons start; a playground's worker takes longest to answer
        page.wait_for_timeout(1000 if page.locator(".sobolev-playground").count() else 300)
    page.evaluate("localStorage.clear()")
