"""What a page of the site becomes in the book for e-readers: a made-up page that has each of its parts once."""

import pytest
from pages import ROOT

SCRIPT = (ROOT / "scripts" / "epub_page.js").read_text()
ARTICLE = """<article class="bd-article"><section id="top"><h1>A title<a class="headerlink" href="#top">#</a></h1>
<p class="sl-kicker">Part · Chapter 1</p><div class="sl-byline">4 min read</div>
<section id="one"><h2>One &lt; two<a class="headerlink" href="#one">#</a></h2>
<p style="color:red" tabindex="0" onclick="a()">Text</p>
<div class="cell" id="hidden"><details class="hide"><summary>Code</summary>secret</details></div>
<div class="cell"><details class="hide"><summary>Code</summary>secret</details><div class="cell_output">
<style>.drawn text { font-family: monospace; fill: rgb(1, 2, 3); }</style>
<svg class="drawn" viewBox="0 0 10 20" width="100" aria-label="A letter"><text class="b">a</text>
<style>.b { opacity: 0.5; }</style></svg>
</div></div>
<figure class="sl-figure"><div class="sobolev-widget" data-widget="wave" aria-label="A wave">alive</div>
<figcaption>It waves.</figcaption></figure>
<div class="sobolev-widget" data-widget="question"><script type="application/json">{"state": {"question": "How <i>many</i>?",
"number": 3, "shown": "3", "says": ["<b>Right. </b>Count them."]}}</script></div>
<div class="sobolev-widget" data-widget="question"><script type="application/json">{"state": {"question": "Which?",
"choices": ["this", "that"], "says": ["<b>Right. </b>Yes.", "<b>No. </b>Not that."]}}</script></div>
<p><a id="here" href="#one">here</a> <a id="near" href="b.html#two">near</a> <a id="left" href="c.html">left out</a>
<a id="set" href="b.html#playground?points=3">set</a> <a id="out" href="https://example.org/">out</a></p>
<p aria-hidden="true" class="sl-swipe">Swipe</p></section></section></article>"""


@pytest.fixture(scope="module")
def turned(chromium):
    """The chapter without an address of the site, and with one; each in a page that holds it."""
    chapters = {}
    for site in ("", "https://example.org/latest/"):
        page = chromium.new_page()
        page.route("**/*", lambda route: route.fulfill(content_type="text/html", body=f"<!DOCTYPE html>{ARTICLE}"))
        page.goto("http://127.0.0.1/book/a.html")
        page.evaluate(SCRIPT)
        assert page.evaluate("epub.mark()") == [0]
        chapter = page.evaluate("(told) => epub.chapter(told)", {"name": "a", "pages": ["a", "b"], "site": site})
        page.set_content(chapter["text"])
        chapters[site] = {**chapter, "page": page}
    yield chapters
    for chapter in chapters.values():
        chapter["page"].close()


@pytest.fixture
def plain(turned):
    return turned[""]


def test_the_title_and_the_headings_are_known(plain):
    assert plain["title"] == "A title" and plain["headings"] == [{"id": "one", "text": "One < two"}]


def test_what_only_the_site_can_do_is_gone(plain):
    page = plain["page"]
    gone = ".headerlink, .sl-byline, .sl-swipe, script, style, #hidden, [style], [onclick], [tabindex]"
    assert page.locator("body").locator(gone).count() == 0
    assert "secret" not in page.content() and page.locator(".sl-kicker").count() == 1


def test_a_drawing_keeps_what_style_sheets_say_of_it(plain):
    drawing, = plain["drawings"].values()
    assert plain["page"].locator("img[src='../images/a-0.svg']").get_attribute("alt") == "A letter"
    for said in ('font-family="monospace"', 'fill="rgb(1, 2, 3)"', 'opacity="0.5"', 'width="100"', 'height="200"'):
        assert said in drawing
    assert "class=" not in drawing and "<style" not in drawing


def test_a_live_figure_is_a_picture_and_says_where_it_lives(turned):
    for site, chapter in turned.items():
        page = chapter["page"]
        assert page.locator("figure img[src='../images/a-0.png']").get_attribute("alt") == "A wave"
        line = page.locator("figure + .alive")
        assert line.inner_text() == "On the site this figure is alive."
        links = [link.get_attribute("href") for link in line.locator("a").all()]
        assert links == ([f"{site}book/a.html#one"] if site else [])


def test_a_question_has_its_answer_in_a_fold(plain):
    first, second = plain["page"].locator(".question").all()
    assert first.locator("i").inner_text() == "many" and second.locator("li").all_inner_texts() == ["this", "that"]
    assert first.locator("details").evaluate("(fold) => fold.textContent") == "Answer3. Count them."
    assert second.locator("details").evaluate("(fold) => fold.textContent") == "Answerthis: Right. Yes.that: No. Not that."


def test_links_lead_into_the_book_or_to_the_site(turned):
    leads = {}
    for site, chapter in turned.items():
        links = {link.get_attribute("id"): link.get_attribute("href") for link in chapter["page"].locator("a[id]").all()}
        leads[site] = {name: links.get(name) for name in ("here", "near", "left", "set", "out")}
    assert leads[""] == {"here": "#one", "near": "b.xhtml#two", "left": None, "set": None, "out": "https://example.org/"}
    site = "https://example.org/latest/"
    assert leads[site] == {**leads[""], "left": f"{site}book/c.html", "set": f"{site}book/b.html#playground?points=3"}
