"""What the site puts around its pages, as functions; test_site.py looks at the result."""

import doctest

import api_docstrings
import api_links
import api_names
import build_book
import epub_package
import frame
import page_body
import policy
import pytest
import repository
import sync_repository
import versions
import yaml
from pages import PAGES, ROOT


@pytest.mark.parametrize("module", [api_docstrings, api_links, api_names, build_book, epub_package, frame, page_body, policy,
                                    repository, sync_repository, versions])
def test_examples_run(module):
    result = doctest.testmod(module)
    assert result.attempted > 0 and result.failed == 0


def test_every_page_has_a_sentence_and_no_other_has():
    sentences = yaml.safe_load(frame.SENTENCES.read_text())
    assert set(sentences) == set(PAGES)
    assert all(sentence.endswith(".") and len(sentence) < 130 for sentence in sentences.values())


def test_a_page_without_a_sentence_is_an_error():
    with pytest.raises(ValueError, match="expected a sentence for b in chapters.yml"):
        frame.book_parts({"root": "a", "parts": [{"caption": "One", "chapters": [{"file": "b"}]}]}, {"a": ""}, {"a": "A"})


def test_chapters_are_numbered_through_and_reference_pages_are_not():
    parts = frame.book_parts(yaml.safe_load((ROOT / "_toc.yml").read_text()), dict.fromkeys(PAGES, ""), dict.fromkeys(PAGES, ""))
    assert [part.caption for part in parts] == [
        "", "The idea", "Why it works", "The paper's experiments", "In practice", "Beyond the paper", "Reference"]
    numbers = [page.number for part in parts[1:-1] for page in part.chapters]
    assert numbers == list(range(1, len(numbers) + 1))
    assert {page.number for part in (parts[0], parts[-1]) for page in part.chapters} == {None}


def test_pages_below_a_page_follow_it_and_say_so():
    toc = {"root": "a", "parts": [{"caption": "Reference", "chapters": [{"file": "b", "sections": [{"file": "c"}]}, {"file": "d"}]}]}
    pages = frame.book_parts(toc, dict.fromkeys("abcd", ""), dict.fromkeys("abcd", ""))[1].chapters
    assert [(page.page, page.above) for page in pages] == [("b", None), ("c", "b"), ("d", None)]


def test_neighbours_end_with_the_book():
    pages = [frame.Page(name, "", "", None, "") for name in "abc"]
    assert [frame.neighbours(pages, name) for name in "abcx"] == [
        (None, pages[1]), (pages[0], pages[2]), (pages[1], None), (None, None)]


def test_code_that_shows_nothing_keeps_its_mark_before_text():
    soup = page_body.parsed('<div class="cell tag_hide-input"><details><div class="cell_input">1</div></details></div><p>Text</p>')
    before = str(soup)
    page_body.join_hidden_code(soup)
    assert str(soup) == before


def test_formulas_and_data_of_widgets_pass_unchanged():
    body = ('<p><span class="math">\\(a &lt; b &amp; c\\)</span></p><div class="sobolev-widget">'
            '<script type="application/json">{"a": "\\u003c & >", "b": 1e-3}</script></div>')
    assert str(page_body.parsed(body)) == body


def test_fonts_are_in_their_style_sheet():
    css = build_book.with_fonts((ROOT / "book" / "templates" / "fonts.css").read_text())
    assert css.count("data:font/woff2;base64,") == 2 and ".woff2" not in css
