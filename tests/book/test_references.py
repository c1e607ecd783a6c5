"""The list of references: every entry leads to its paper, and every paper that a page links to is in the list."""

import doctest

import pytest
import references
import yaml
from pages import PAGES, ROOT


@pytest.fixture(scope="module")
def entries():
    return references.entries()


def test_examples_run():
    result = doctest.testmod(references)
    assert result.attempted > 0 and result.failed == 0


def test_every_entry_has_a_link_to_its_paper(entries):
    assert [entry["key"] for entry in entries if not references.links(entry)] == []
    shown = [references.links(entry)[0] for entry in entries]
    assert [url for url in shown if references.paper_links(url) != [url]] == []


@pytest.mark.parametrize("written", ["{}.", "see {}, and", "**{}**", "| {}|", "{};", "({}#S3.T1)", "{}?download=1", "<{}>", "[a]({}).", '"{}"'])
def test_a_link_ends_where_its_paper_does(written):
    for url in ("https://arxiv.org/abs/1706.04859", "https://doi.org/10.1016/0893-6080(91)90009-T"):
        assert references.paper_links(written.format(url)) == [url]


@pytest.mark.parametrize("missing", ["author", "title", "year", "doi"])
def test_an_entry_that_lacks_something_is_named(missing, tmp_path):
    fields = {"author": "A. Writer", "title": "A Title", "year": "2017", "doi": "10.1/a"}
    path = tmp_path / "some.bib"
    path.write_text("@article{writer2017, " + ", ".join(f"{name} = {{{text}}}" for name, text in fields.items()) + "}")
    assert [entry["year"] for entry in references.entries(path)] == ["2017"]
    del fields[missing]
    path.write_text("@article{writer2017, " + ", ".join(f"{name} = {{{text}}}" for name, text in fields.items()) + "}")
    with pytest.raises(ValueError, match=f"some.bib: writer2017: expected {missing}.*, got none"):
        references.entries(path)


def test_no_two_entries_are_one_paper(entries):
    every = [references.same(url) for entry in entries for url in references.links(entry)]
    assert sorted(set(every)) == sorted(every)


@pytest.mark.parametrize("path", references.pages(), ids=lambda path: path.stem)
def test_every_paper_that_a_page_links_to_is_in_the_list(path, entries):
    known = {references.same(url) for entry in entries for url in references.links(entry)}
    assert [url for url in references.paper_links(references.page_text(path)) if references.same(url) not in known] == []


def test_all_pages_are_looked_at():
    assert [f"book/{path.stem}" for path in references.pages()] == [page for page in PAGES if page != "book/references"]


def test_the_list_names_the_pages_that_cite(entries):
    item = next(line for line in references.markdown().splitlines() if "Policy distillation" in line)
    assert item.startswith("- A. A. Rusu et al. [Policy distillation](https://arxiv.org/abs/1511.06295). 2015.")
    assert item.endswith("Cited in [Distilling Atari policies](atari.ipynb).")


def test_the_page_is_filled_where_it_says():
    source = [(ROOT / "book" / "references.md").read_text()]
    references.fill(None, "book/references", source)
    assert references.MARK not in source[0] and source[0].count("\n- ") == len(references.entries())
    other = ["# Another page"]
    references.fill(None, "book/other", other)
    assert other == ["# Another page"]


def test_brackets_in_a_doi_do_not_end_its_link():
    text = references.markdown()
    assert "(https://doi.org/10.1016/0893-6080%2891%2990009-T)" in text
    assert references.same("https://doi.org/10.1016/0893-6080%2891%2990009-T") == "doi.org/10.1016/0893-6080(91)90009-t"


def test_pages_that_are_no_chapters_cite_too():
    assert yaml.safe_load((ROOT / "_toc.yml").read_text())["root"] == f"book/{references.pages()[0].stem}"
