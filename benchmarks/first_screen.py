"""How soon does the welcome page answer a hand?

    python benchmarks/first_screen.py [--times 7] [--phone] [--served]

Opens the built site (`make book`) in headless Chromium, each time in a new one, its files out of the system's cache where the system
allows that, and drags a point of the wave as soon as there is one. Milliseconds from the navigation: first paint; a point is
there; the dragged point has moved; and what the page's main thread computed or waited for a core until then. On a busy machine look
at the last two.
"""
import argparse
import asyncio
import contextlib
import os
import statistics
import sys
from pathlib import Path

from playwright.async_api import async_playwright

sys.path.insert(0, str(Path(__file__).parent.parent / "scripts"))
sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "book"))
import browser
import pages

POINT = ".sobolev-widget[data-ready] .swv-point"
WATCH = f"""
window.seen = {{}};
const middle = (box) => [box.x + box.width / 2, box.y + box.height / 2];
const look = () => {{
  const point = document.querySelectorAll("{POINT}")[2];
  if (!point) return requestAnimationFrame(look);
  seen.point = performance.now();
  seen.at = middle(point.getBoundingClientRect());
  const follow = () => {{
    if (middle(point.getBoundingClientRect())[1] > seen.at[1] - 5) return requestAnimationFrame(follow);
    seen.moved = performance.now();
  }};
  follow();
}};
requestAnimationFrame(look);
"""
PROGRAM = browser.find()
COLUMNS = {"paint": "first paint", "point": "point there", "moved": "point moved", "ran": "computed", "queued": "waited"}


def forget(folder: Path) -> None:
    """Ask the system to read the folder's files from disk next time."""
    if hasattr(os, "posix_fadvise"):
        for path in filter(Path.is_file, folder.rglob("*")):
            with open(path, "rb") as file:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def main_thread(renderers: set[str]) -> tuple[float, float]:
    """Milliseconds that the busiest of these processes' main threads ran, and waited for a core; where the system tells."""
    times = [tuple(int(part) / 1e6 for part in path.read_text().split()[:2])
             for path in map(Path, (f"/proc/{pid}/schedstat" for pid in renderers)) if path.exists()]
    return max(times, default=(float("nan"), float("nan")))


def processes() -> set[str]:
    return {path.parent.name for path in Path("/proc").glob("[0-9]*/cmdline")
            if path.exists() and b"--type=renderer" in path.read_bytes()}


async def once(address: str, viewport: dict) -> dict[str, float]:
    others = processes()
    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(executable_path=PROGRAM, args=browser.ARGUMENTS)
        page = await chromium.new_page(viewport=viewport)
        await page.add_init_script(WATCH)
        session = await page.context.new_cdp_session(page)
        await asyncio.sleep(1)     # the browser itself has started
        await page.goto(address, wait_until="commit")
        while not await page.evaluate("seen.point"):
            await asyncio.sleep(0.005)
        ran, queued = main_thread(processes() - others)
        x, y = await page.evaluate("seen.at")
        hand = [("mouseMoved", y, 0), ("mousePressed", y, 1), ("mouseMoved", y - 20, 1), ("mouseMoved", y - 40, 1)]
        await asyncio.gather(*(session.send("Input.dispatchMouseEvent", {     # all at once: none waits for the page's answer
            "type": kind, "x": x, "y": to, "button": "left", "buttons": held, "clickCount": 1}) for kind, to, held in hand))
        while not await page.evaluate("seen.moved"):
            await asyncio.sleep(0.005)
        seen = await page.evaluate("({...seen, paint: performance.getEntriesByName('first-contentful-paint')[0].startTime})")
        await chromium.close()
    return {"paint": seen["paint"], "point": seen["point"], "moved": seen["moved"], "ran": ran, "queued": queued}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--site", type=Path, default=pages.HTML)
    parser.add_argument("--times", type=int, default=7)
    parser.add_argument("--phone", action="store_true", help="390 x 844 in place of 1280 x 800")
    parser.add_argument("--served", action="store_true", help="by a server on this machine in place of from disk")
    chosen = parser.parse_args()
    viewport = {"width": 390, "height": 844} if chosen.phone else {"width": 1280, "height": 800}
    rows = []
    print(f"{os.cpu_count()} cores\n{'':8}" + "".join(f"{name:>14}" for name in COLUMNS.values()))
    with contextlib.ExitStack() as stack:
        home = stack.enter_context(pages.served(chosen.site)) if chosen.served else chosen.site.resolve().as_uri()
        for _ in range(chosen.times):
            forget(chosen.site)
            rows.append(asyncio.run(once(f"{home}/{pages.PAGES[0]}.html", viewport)))
            print(f"{'':8}" + "".join(f"{rows[-1][name]:14.0f}" for name in COLUMNS))
    print(f"{'median':8}" + "".join(f"{statistics.median(row[name] for row in rows):14.0f}" for name in COLUMNS))


if __name__ == "__main__":
    main()
