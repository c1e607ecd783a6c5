"""How fast does the playground train, and how often does it draw?

    python benchmarks/playground_speed.py [--seconds 5]

Opens the playground from disk in headless Chromium, at 2-64-64-1 with batches of 256, and counts: steps (each trains both networks),
pictures drawn of them, and frames of the page, a second.
"""
import argparse
import os
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

sys.path.insert(0, str(Path(__file__).parent.parent / "scripts"))
import browser

PAGE = '<!doctype html><meta charset="utf-8"><title>Playground</title><body style="max-width:720px">{}</body>'
COUNT = """seconds => new Promise(done => {
  const root = document.querySelector('.sobolev-playground'), first = Number(root.dataset.step), start = performance.now();
  let frames = 0, drawn = 0, longest = 0, last = start;
  new MutationObserver(() => drawn++).observe(root, { attributes: true, attributeFilter: ['data-step'] });
  const frame = (now) => {
    frames++;
    longest = Math.max(longest, now - last);
    last = now;
    const passed = (performance.now() - start) / 1000;
    if (passed < seconds) return requestAnimationFrame(frame);
    done([(Number(root.dataset.step) - first) / passed, drawn / passed, frames / passed, longest]);
  };
  requestAnimationFrame(frame);
})"""


def measure(chromium, seconds: float, **settings) -> list[float]:
    from sobolev_lib import book_output, widgets

    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "book").mkdir()
        book_output.write_scripts(Path(folder) / "_static" / "widgets")
        page_file = Path(folder) / "book" / "page.html"
        markup = widgets.Playground("styblinski_tang", points=500, batch_size=256, width=64, **settings)._repr_html_()
        page_file.write_text(PAGE.format(markup), encoding="utf-8")
        page = chromium.new_page(viewport={"width": 900, "height": 1400})
        page.goto(page_file.as_uri())
        page.wait_for_selector(".sobolev-playground[data-step]")
        page.get_by_role("button", name="Play").click()
        page.wait_for_function("Number(document.querySelector('.sobolev-playground').dataset.step) > 50")   # compiled by now
        found = page.evaluate(COUNT, seconds)
        page.close()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=5)
    chosen = parser.parse_args()
    os.environ["SOBOLEV_BOOK_BUILD"] = "1"
    print(f"{os.cpu_count()} cores\n{'activation':12}{'view':6}{'steps/s':>10}{'drawn/s':>10}{'frames/s':>10}{'longest frame, ms':>20}")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browser.find(), args=["--no-sandbox", "--disable-gpu"])
        for activation in ("relu", "leaky_relu", "tanh", "softplus"):
            for view in ("3d", "map"):
                steps, drawn, frames, longest = measure(chromium, chosen.seconds, activation=activation, view=view)
                print(f"{activation:12}{view:6}{steps:10.0f}{drawn:10.1f}{frames:10.1f}{longest:20.0f}")
        chromium.close()


if __name__ == "__main__":
    main()
