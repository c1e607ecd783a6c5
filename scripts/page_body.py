"""Edits of a page's own HTML that the source cannot make: a notebook's text holds only what Jupyter and Colab render too.

What is looked for is found by name and class: a selector takes several times as long on pages as long as ours.
"""

import math
import re

from bs4 import BeautifulSoup, NavigableString, Tag

WORDS_A_MINUTE = 200  # for a text with formulas
NOT_READ = {"pre", "script", "style", "noscript", "svg", "details"}, {"math", "sobolev-widget"}  # elements; classes
BLOCKS = ["p", "li", "dt", "dd", "th", "td", "caption", "figcaption", "summary", "h1", "h2", "h3", "h4", "div"]


def parsed(body):
    return BeautifulSoup(body, "html.parser")


def reading_minutes(soup):
    """Return the minutes that the text takes, without code, formulas and what is folded; never 0.

    >>> reading_minutes(parsed("<p>" + "word " * 350 + "</p><pre>" + "code " * 900 + "</pre>"))
    2
    >>> reading_minutes(parsed("<p>word</p><details>" + "proof " * 900 + "</details>"))
    1
    """
    def words(element):
        if not isinstance(element, Tag):
            return len(element.split()) if type(element) is NavigableString else 0         # no comment
        skipped = element.name in NOT_READ[0] or not NOT_READ[1].isdisjoint(element.get("class", ()))
        return 0 if skipped else sum(map(words, element.children))

    return max(1, math.ceil(words(soup) / WORDS_A_MINUTE))


def head(soup, kicker, byline):
    """Put a line above the title and the byline under it. Cells with the tag ``setup`` move into the byline's fold.

    >>> soup = parsed('<h1>T</h1><p>Text</p><div class="cell tag_setup">import</div>')
    >>> head(soup, "", '<details><div class="sl-setup"></div></details>')
    >>> str(soup)
    '<h1>T</h1><details><div class="sl-setup"><div class="cell tag_setup">import</div></div></details><p>Text</p>'
    """
    title = soup.h1
    title.insert_after(parsed(byline))
    if kicker:
        above = soup.new_tag("p", attrs={"class": "sl-kicker"})
        above.string = kicker
        title.insert_before(above)
    fold = soup.find(class_="sl-setup")
    for cell in soup.find_all("div", class_="tag_setup"):
        fold.append(cell.extract())


def show_install_cell(soup, highlighted):
    """Show this in place of the first setup cell's code, which names the address that stands in pyproject.toml.

    >>> soup = parsed('<div class="sl-setup"><div class="highlight"><pre>old</pre></div></div>')
    >>> show_install_cell(soup, '<div class="highlight"><pre>new</pre></div>')
    >>> str(soup)
    '<div class="sl-setup"><div class="highlight"><pre>new</pre></div></div>'
    """
    setup = soup.find(class_="sl-setup")
    code = setup and setup.find(class_="highlight")
    if code is not None:
        code.replace_with(parsed(highlighted.strip()))


def join_hidden_code(soup):
    """Let code that shows nothing share the mark of the hidden code that follows it: a figure with its helpers has one mark.

    >>> cell = '<div class="cell tag_hide-input"><details><summary></summary><div class="cell_input">{}</div></details>{}</div>'
    >>> soup = parsed(cell.format(1, "") + cell.format(2, '<div class="cell_output"></div>'))
    >>> join_hidden_code(soup)
    >>> len(soup.select("details")), [code.get_text() for code in soup.select("details .cell_input")]
    (1, ['1', '2'])
    """
    for cell in soup.find_all("div", class_="tag_hide-input"):
        following = cell.find_next_sibling(True)
        hidden = following is not None and {"cell", "tag_hide-input"} <= set(following.get("class", []))
        if hidden and not cell.find(class_="cell_output"):
            place = following.find("details").find("div", class_="cell_input")
            for code in cell.select("details > .cell_input"):
                place.insert_before(code.extract())
            cell.decompose()


def name_marks(soup):
    """Let hidden code's mark be called what it shows: the label that is laid over it says something else."""
    for details in soup.find_all("details", class_="hide"):
        del details.find("summary", recursive=False)["aria-label"]


def mark_cells(soup):
    """Say of a cell what it shows, for style sheets: asked by ``:has()``, a page that is still being read would be laid out twice.

    A question is text, and no wider than text.

    >>> soup = parsed('<div class="cell"><div class="cell_output"><i class="sobolev-widget"></i></div></div><div class="cell"></div>')
    >>> mark_cells(soup)
    >>> [cell["class"] for cell in soup.select(".cell")]
    [['cell', 'sl-live'], ['cell', 'sl-silent']]
    """
    for cell in soup.find_all("div", class_="cell"):
        if cell.find(class_="sobolev-widget", attrs={"data-widget": lambda kind: kind != "question"}):
            cell["class"] = [*cell["class"], "sl-live"]
        elif not cell.find(class_="cell_output"):
            cell["class"] = [*cell["class"], "sl-silent"]


def wrap_tables(soup):
    """Put each table into a box of its own, which scrolls when the table is too wide; so the table stays a table.

    >>> soup = parsed("<table><tr><td>1</td></tr></table>")
    >>> wrap_tables(soup)
    >>> str(soup)
    '<div class="sl-table"><table><tr><td>1</td></tr></table></div>'
    """
    for box in soup.find_all("div", class_="pst-scrollable-table-container"):
        box.unwrap()
    for table in soup.find_all("table"):
        table.wrap(soup.new_tag("div", attrs={"class": "sl-table"}))


def hold_punctuation(soup):
    """Keep the point or the rest of a word after a formula, and the bracket before it, on the formula's line.

    >>> soup = parsed('<p>So (<span class="math">x</span>), the <span class="math">j</span>-th.</p>')
    >>> hold_punctuation(soup)
    >>> [held.get_text() for held in soup.select(".sl-held")]
    ['(x),', 'j-th.']
    """
    for formula in soup.find_all("span", class_="math"):
        before, after = formula.previous_sibling, formula.next_sibling
        opening = re.search(r"[(“‘]*$", before)[0] if type(before) is NavigableString else ""
        closing = re.match(r"(?:-\w+)?[.,:;!?)”’]*", after)[0] if type(after) is NavigableString else ""
        if not opening and not closing:
            continue
        formula.wrap(soup.new_tag("span", attrs={"class": "sl-held"}))
        if opening:
            before.replace_with(before[:-len(opening)])
            formula.insert_before(opening)
        if closing:
            after.replace_with(after[len(closing):])
            formula.insert_after(closing)


def mark_late(soup):
    """Mark what stands from the first formula on: its place is known once MathJax has set the formulas.

    >>> soup = parsed('<div><p>Text</p><p>A <span class="math">x</span></p><p>More</p></div><p>End</p>')
    >>> mark_late(soup)
    >>> [block.get_text() for block in soup.select(".sl-late")]
    ['A x', 'More', 'End']
    """
    formula = soup.find(class_="math")
    if formula is None:
        return
    block = formula if formula.name == "div" else formula.find_parent(BLOCKS)
    late = [block, *block.find_next_siblings(True)]
    for holder in block.parents:
        late += holder.find_next_siblings(True)
    for element in late:
        element["class"] = [*element.get("class", []), "sl-late"]
