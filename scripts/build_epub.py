"""The book for e-readers: `python scripts/build_epub.py dist` writes dist/sobolev-training-VERSION.epub from the built site.

No chapter is executed: each page is opened in Chromium, which sets its formulas and starts its figures, and is taken from
there (epub_page.js). Formulas are MathML. A figure that lives on the site is a picture, with a link to where it lives.
Nothing is fetched, and nothing runs. `python scripts/build_epub.py dist welcome cost` makes a book of these pages alone.
"""

import html
import io
import sys
from pathlib import Path

import browser
import build_book
import epub_check
import epub_package
import repository
import sync_repository
from PIL import Image
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parent.parent
WIDTH = 720  # CSS pixels: figures are as wide as a page of an e-reader, and their letters as large
PLAY = 8_000  # milliseconds that a playground trains before its picture is taken
SETTLE = 2_500  # and that other figures have
COVER = """<svg xmlns="http://www.w3.org/2000/svg" width="800" height="1200" font-family="Georgia, serif">
<rect width="800" height="1200" fill="#0b4f7d"/>
<path d="M90 560 C270 1180 560 1180 720 500" fill="none" stroke="#fff" stroke-width="16" stroke-linecap="round"/>
<path d="M180 1024 L640 1024" stroke="#f0e442" stroke-width="16" stroke-linecap="round"/>
<circle cx="414" cy="1024" r="24" fill="#fff"/>
<text x="90" y="210" font-size="92" fill="#fff">Sobolev</text><text x="90" y="312" font-size="92" fill="#fff">Training</text>
<text x="90" y="400" font-size="33" fill="#cfe3f1">Neural networks that are told slopes</text>
</svg>"""


def opened(chromium, page):
    """Open a page of the site and wait until its formulas are set; the context closes with the browser."""
    context = chromium.new_context(viewport={"width": WIDTH, "height": 1000}, device_scale_factor=2, reduced_motion="reduce",
                                   color_scheme="light", offline=True)
    tab = context.new_page()
    tab.goto((build_book.HTML / "book" / f"{page}.html").as_uri())
    tab.add_style_tag(content=".squ-veiled { filter: none !important }")  # here nobody could lift a veil
    tab.evaluate("() => window.MathJax?.startup?.promise")
    tab.evaluate((ROOT / "scripts" / "epub_page.js").read_text())
    return tab


def picture(tab, shot):
    """Take the picture of a figure that lives, once it is there; returns a PNG of 256 colours."""
    element = tab.locator(f'[data-shot="{shot}"]')
    element.scroll_into_view_if_needed()
    widget = element.get_attribute("data-widget")
    if widget:
        tab.locator(f'[data-shot="{shot}"][data-ready]').wait_for(timeout=120_000)
    if widget == "playground":
        element.get_by_role("button", name="Play").click()
        tab.wait_for_timeout(PLAY)
        element.get_by_role("button", name="Pause").click()
    tab.wait_for_timeout(SETTLE)
    return small_png(element.screenshot(animations="disabled"))


def small_png(png):
    out = io.BytesIO()
    Image.open(io.BytesIO(png)).convert("RGB").quantize(256).save(out, "PNG", optimize=True)
    return out.getvalue()


def take(pages, site):
    """Return the files of these pages by name, their titles, and their headings."""
    files, titles, headings = {}, {}, {}
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browser.find() or sys.exit(browser.MISSING), args=browser.ARGUMENTS)
        for page in pages:
            tab = opened(chromium, page)
            for shot in tab.evaluate("epub.mark()"):
                files[f"images/{page}-{shot}.png"] = picture(tab, shot)
            chapter = tab.evaluate("(told) => epub.chapter(told)", {"name": page, "pages": pages, "site": site or ""})
            for name, drawing in chapter["drawings"].items():
                files[f"images/{name}"] = drawing
            titles[f"book/{page}"], headings[page] = chapter["title"], chapter["headings"]
            files[f"text/{page}.xhtml"] = epub_package.PAGE.format(
                title=html.escape(chapter["title"]), up="../", body=chapter["text"])
            tab.context.close()
        tab = chromium.new_page(viewport={"width": 800, "height": 1200}, device_scale_factor=2)
        tab.set_content(f'<body style="margin:0">{COVER}')
        files["images/cover.png"] = small_png(tab.screenshot())
        chromium.close()
    return files, titles, headings


def main(folder, pages):
    """Write the book of these pages, or end with what is wrong with it."""
    unknown = sorted({*pages} - {*build_book.PAGES})
    if unknown:
        sys.exit(f"pages: expected some of {', '.join(build_book.PAGES)}, got {', '.join(unknown)}")
    missing = [page for page in pages if not (build_book.HTML / "book" / f"{page}.html").exists()]
    if missing:
        sys.exit(f"expected a built site with {', '.join(missing)}: run make book")
    site = repository.site()
    files, titles, headings = take(pages, site)
    path = Path(folder) / f"sobolev-training-{sync_repository.version()}.epub"
    epub_package.write(path, files, titles, headings, site)
    faults = epub_check.faults(path)
    if faults:
        path.unlink()
        sys.exit("\n".join(faults))
    print(f"{path}: {path.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:] or build_book.PAGES)
