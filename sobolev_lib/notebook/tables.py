"""Tables: HTML with numbers flush right, Markdown, text, and pandas."""
import html
import re
from collections.abc import Iterable
from dataclasses import dataclass

from sobolev_lib.formats import MINUS
from sobolev_lib.notebook.text import BARE, GROUND, INK, LINE, SOFT, as_html, as_plain, as_text

_NUMBER = re.compile(rf"[*`]*[<>≈~]?\s?[+{MINUS}-]?\d")
_NOTHING = ("", "–", "—")

_TABLE_STYLE = f"""{BARE}
div.sl-output.sl-table {{ color: {INK}; overflow-x: auto; max-width: 100%; margin: 0.8em 0; }}
div.sl-output.sl-table > table {{ display: table; width: auto; border-collapse: collapse; table-layout: auto; margin: 0;
  font-size: 0.92em; font-variant-numeric: tabular-nums; line-height: 1.35; color: inherit; }}
div.sl-output.sl-table caption {{ caption-side: top; text-align: left; color: {SOFT}; padding: 0 0 0.4em; font-size: 1em; }}
div.sl-output.sl-table th, div.sl-output.sl-table td {{ padding: 0.28em 1.1em 0.28em 0; text-align: left; vertical-align:
  baseline; border: 0; background: none; color: inherit; max-width: none; white-space: normal; }}
div.sl-output.sl-table tr {{ border: 0; border-bottom: 1px solid {LINE}; background: none !important; }}
div.sl-output.sl-table thead th {{ font-weight: 600; vertical-align: bottom; }}
div.sl-output.sl-table tbody th {{ font-weight: 400; }}
div.sl-output.sl-table tr > th:first-child {{ position: sticky; left: 0; background: {GROUND}; }}
div.sl-output.sl-table .sl-number {{ text-align: right; }}
div.sl-output.sl-table td.sl-number {{ white-space: nowrap; }}
@media (max-width: 480px) {{
  div.sl-output.sl-table td.sl-number {{ white-space: normal; }}
  /* stays, with a line where the others go under it */
  div.sl-output.sl-table tr > th:first-child {{ min-width: 5em; padding-right: 0.5em;
    background: linear-gradient(to left, {LINE} 1px, {GROUND} 1px); }}
  div.sl-output.sl-table tr > th:first-child + * {{ padding-left: 0.6em; }}
  div.sl-output.sl-table caption {{ max-width: calc(100vw - 5.75rem); }}  /* of a table that scrolls, too, all can be read */
}}
"""


@dataclass(frozen=True)
class Table:
    """Rows under a header; ``table`` makes one."""

    header: tuple
    rows: tuple[tuple, ...]
    caption: str | None = None

    def to_pandas(self):
        """The same as a ``pandas.DataFrame``: numbers stay numbers, and text keeps no marks of Markdown."""
        import pandas

        return pandas.DataFrame([[as_plain(cell) if isinstance(cell, str) else cell for cell in row] for row in self.rows],
                                columns=[as_plain(name) for name in self.header])

    def _repr_html_(self) -> str:
        kinds = [' class="sl-number"' if numeric else "" for numeric in self._numeric()]
        head = "".join(f'<th scope="col"{kind}>{as_html(name)}</th>' for name, kind in zip(self.header, kinds))
        body = "".join(f'<tr><th scope="row"{kinds[0]}>{as_html(first)}</th>'
                       + "".join(f"<td{kind}>{as_html(cell)}</td>" for cell, kind in zip(rest, kinds[1:])) + "</tr>"
                       for first, *rest in self.rows)
        caption = f"<caption>{as_html(self.caption)}</caption>" if self.caption else ""
        label = html.escape(as_plain(self.caption or f"Table: {', '.join(as_text(name) or 'rows' for name in self.header)}"))
        return (f'<div class="sl-output sl-table" role="region" tabindex="0" aria-label="{label}">'
                f"<style>{_TABLE_STYLE}</style><table>{caption}<thead><tr>{head}</tr></thead>"
                f"<tbody>{body}</tbody></table></div>")

    def _repr_markdown_(self) -> str:
        rule = ["---:" if numeric else "---" for numeric in self._numeric()]
        lines = [[as_text(cell).replace("|", "\\|") for cell in row] for row in (self.header, rule, *self.rows)]
        return (f"{self.caption}\n\n" if self.caption else "") + "\n".join("| " + " | ".join(line) + " |" for line in lines)

    def __repr__(self) -> str:
        lines = [[as_plain(cell) for cell in row] for row in (self.header, *self.rows)]
        widths = [max(map(len, column)) for column in zip(*lines)]
        text = ["  ".join(cell.rjust(width) if numeric else cell.ljust(width)
                          for cell, width, numeric in zip(line, widths, self._numeric())).rstrip() for line in lines]
        return "\n".join([as_plain(self.caption)] * bool(self.caption) + text)

    def _numeric(self) -> list[bool]:
        """Of each column, whether all that stands in it begins with a number."""
        columns = [[as_text(cell) for cell in column if as_text(cell) not in _NOTHING] for column in zip(*self.rows)]
        return [bool(column) and all(map(_NUMBER.match, column)) for column in columns] or [False] * len(self.header)


def table(header: Iterable, rows: Iterable[Iterable], caption: str | None = None) -> Table:
    """A table, with the columns that hold numbers flush right.

    >>> table(["method", "error"], [["regular", 0.5], ["Sobolev", 0.0625]])
    method    error
    regular     0.5
    Sobolev  0.0625

    Cells are text or numbers; text may hold ``**bold**``, ``*italic*`` and `` `code` ``. Numbers go through ``number``.
    The first column names the rows. ``.to_pandas()`` gives a data frame. Raises ``ValueError`` where a row is not as long
    as the header.
    """
    names, lines = tuple(header), tuple(tuple(row) for row in rows)
    wrong = [line for line in lines if len(line) != len(names)]
    if wrong:
        raise ValueError(f"rows: expected {len(names)} cells as in the header, got {len(wrong[0])} in {wrong[0]!r}")
    if not names:
        raise ValueError("header: expected at least one column, got none")
    return Table(names, lines, caption)
