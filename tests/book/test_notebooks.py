"""Every chapter's notebook, as it is committed."""

import itertools
import re

import nbformat
import repository
import sync_repository
import yaml
from markdown_rules import not_portable, typed_numbers
from pages import ROOT

WORDS = 1800        # that are not folded; a page that is half as long is read twice as often
VISIBLE_CELLS = 6   # code that a reader would copy; all other code waits behind a mark
WIDTH = 78          # characters that fit beside the contents, at 1,280 px


def cells(notebook, kind):
    return [cell for cell in notebook.cells if cell.cell_type == kind]


def tags(cell):
    return cell.metadata.get("tags", [])


def unfolded_words(notebook):
    text, before = "\n\n".join(cell.source for cell in cells(notebook, "markdown")), None
    while text != before:                                  # folds within folds go first
        before, text = text, re.sub(r"<details(?:(?!<details).)*?</details>", "", text, flags=re.DOTALL)
    text = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    text = re.sub(r"\$\$.+?\$\$|\$[^$\n]+\$", " X ", text, flags=re.DOTALL)
    return re.findall(r"[\w'’-]+", re.sub(r"<[^>]+>|(?<=\])\([^)]*\)", "", text))


def headings(cell):
    text = re.sub(r"```.*?```", "", cell.source, flags=re.DOTALL)
    return re.findall(r"^##\s+(.+?)\s*$", text, flags=re.MULTILINE)


def test_is_valid(notebook):
    nbformat.validate(notebook)


def test_has_no_outputs(notebook):
    kept = [cell.source for cell in cells(notebook, "code") if cell.outputs or cell.execution_count is not None]
    assert kept == []


def test_kernel_is_the_one_of_every_installation(notebook):
    assert notebook.metadata.kernelspec.name == "python3"


def test_first_code_cell_imports_or_installs(notebook):
    expected = sync_repository.install_cell(repository.declared())
    assert cells(notebook, "code")[0].source == expected, "run python scripts/sync_repository.py"


def test_setup_comes_first(notebook):
    """The site folds it under the title, so no other code may stand before it."""
    setup = ["setup" in tags(cell) for cell in cells(notebook, "code")]
    assert setup[0] and setup == sorted(setup, reverse=True)


def visible(notebook):
    return [cell for cell in cells(notebook, "code") if not {"setup", "hide-input"} & set(tags(cell))]


def test_few_code_cells_are_visible(notebook):
    shown = [cell.source.splitlines()[0] for cell in visible(notebook)]
    assert len(shown) <= VISIBLE_CELLS, f"expected the tag hide-input on all but {VISIBLE_CELLS} of these cells: {shown}"


def test_code_is_narrow(notebook):
    """Folded code too: who opens it wants to read it."""
    quoted = [block for cell in cells(notebook, "markdown") for block in re.findall(r"```.*?```", cell.source, re.DOTALL)]
    sources = [*(cell.source for cell in cells(notebook, "code")), *quoted]
    assert [line for source in sources for line in source.splitlines() if len(line) > WIDTH] == []


def test_what_the_site_hides_jupyterlab_folds(notebook):
    """Self-checks stay open there: a reader fills them in."""
    for cell in cells(notebook, "code"):
        hidden = "hide-input" in tags(cell) and "self-check" not in tags(cell)
        folded = cell.metadata.get("jupyter", {}).get("source_hidden", False)
        assert folded == hidden, f'expected "jupyter": {{"source_hidden": {str(hidden).lower()}}} on {cell.source.splitlines()[0]}'


def test_nothing_else_is_installed(notebook):
    later = cells(notebook, "code")[1:]
    assert [cell.source for cell in later if re.search(r"^\s*[%!]\s*(pip|conda|apt)", cell.source, re.MULTILINE)] == []


def test_markdown_renders_in_jupyter_and_colab(notebook):
    assert [found for cell in cells(notebook, "markdown") for found in not_portable(cell.source)] == []


def test_text_holds_no_number_typed_by_hand(notebook):
    """Measured numbers come from code. A cell that quotes the paper or defines a constant says so in its tags."""
    text = [cell for cell in cells(notebook, "markdown") if not {"paper", "definition"} & set(tags(cell))]
    assert [found for cell in text for found in typed_numbers(cell.source)] == []


def test_one_title(notebook):
    titles = [line for cell in cells(notebook, "markdown") for line in re.findall(r"^# .+", cell.source, re.MULTILINE)]
    assert len(titles) == 1


def test_has_its_exercises_and_ends_with_a_summary(chapter):
    found = [heading for cell in cells(chapter, "markdown") for heading in headings(cell)]
    assert found[-2:] == ["Exercises", "In short"], f"expected Exercises and In short as the last headings, got {found}"


def test_is_short(chapter):
    assert len(unfolded_words(chapter)) <= WORDS


def test_words_are_counted_without_what_is_folded():
    folded = "One two.\n<details><summary>Three</summary>\n\nfour <details>five</details></details>\n\n$$six$$ $x$ [seven](eight) `nine`"
    page = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(folded), nbformat.v4.new_code_cell("ten")])
    assert unfolded_words(page) == ["One", "two", "X", "X", "seven", "nine"]


def test_opens_with_a_picture(chapter):
    """A cell that shows something comes before the first heading: the reader's first screen has it."""
    shown = []
    for cell in chapter.cells:
        if cell.cell_type == "markdown" and headings(cell):
            break
        if cell.cell_type == "code" and "setup" not in tags(cell):
            shown.append(cell)
    assert len(shown) >= 1


def test_an_experiment_s_verdict_stands_at_its_head():
    """Folded, so that who wants to predict can; the whole one stands beside the evidence."""
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text())
    chapters, = [part["chapters"] for part in toc["parts"] if part["caption"] == "The paper's experiments"]
    assert chapters
    for entry in chapters:
        notebook = nbformat.read(ROOT / f"{entry['file']}.ipynb", as_version=4)
        head = list(itertools.takewhile(lambda cell: cell.cell_type == "code" or not headings(cell), notebook.cells))
        shown = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
        assert any(cell.source == "verdict(record, folded=True)" for cell in head), entry["file"]
        assert any(re.search(r"verdict\((record|parts)\)", source) for source in shown), entry["file"]


def test_asks_the_reader_before_it_tells(chapter):
    """A prediction that veils the next output, and a question of the exercises that is answered without a kernel."""
    asked = [cell.source for cell in cells(chapter, "code") if re.search(r"\bQuestion\(", cell.source)]
    assert any("veil=True" in source for source in asked), "expected a prediction: Question(..., veil=True)"
    assert any(re.search(r"\bright=|\bnumber=", source) for source in asked), "expected a question with an answer"


def test_exercises_have_a_check_and_a_solution(chapter):
    section, exercises = None, []
    for cell in chapter.cells:
        if cell.cell_type == "markdown":
            section = (headings(cell) or [section])[-1]
        if section and section.lower().startswith("exercises"):
            exercises.append(cell)
    checks = [cell for cell in exercises if cell.cell_type == "code" and "self-check" in tags(cell)]
    solutions = [cell for cell in exercises if cell.cell_type == "markdown" and "<details" in cell.source]
    assert checks, "expected a code cell with the tag self-check after the heading Exercises"
    assert solutions, "expected a solution in <details> after the heading Exercises"
    # Without the empty line Markdown inside <details> is shown as it is typed.
    assert [cell.source for cell in solutions if not re.search(r"</summary>\s*\n\s*\n", cell.source)] == []
