"""The reproduction as a page shows it: a row a claim, where it comes from below it, and on a phone a card a claim."""
import html
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from sobolev_lib.experiments.reproduction import KINDS, NOT_RUN, Row
from sobolev_lib.experiments.verdicts import STATUSES
from sobolev_lib.notebook.tables import Table, table
from sobolev_lib.notebook.text import BARE, INK, LINE, SOFT, as_html
from sobolev_lib.notebook.verdicts import sign

_STYLE = f"""{BARE}
div.sl-output.sl-claims {{ color: {INK}; margin: 1em 0; line-height: 1.4; }}
div.sl-output.sl-claims > table {{ display: table; width: 100%; border-collapse: collapse; table-layout: auto; margin: 0;
  font-size: 0.92em; color: inherit; }}
div.sl-output.sl-claims th, div.sl-output.sl-claims td {{ text-align: left; vertical-align: top; padding: 0.35em 0.9em
  0.2em 0; border: 0; color: inherit; background: none; white-space: normal; max-width: none; font-weight: 400; }}
div.sl-output.sl-claims tr {{ background: none !important; border: 0; }}
div.sl-output.sl-claims thead th {{ font-weight: 600; border-bottom: 1px solid {LINE}; }}
div.sl-output.sl-claims tbody th b {{ font-weight: 600; display: block; }}
div.sl-output.sl-claims tbody th {{ width: 24%; }}
div.sl-output.sl-claims .sl-word {{ display: flex; gap: 0.4em; align-items: baseline; white-space: nowrap; }}
div.sl-output.sl-claims .sl-word svg {{ align-self: center; }}
div.sl-output.sl-claims .sl-made td {{ color: {SOFT}; font-size: 0.88em; padding-bottom: 0.7em; border-bottom: 1px solid
  {LINE}; }}
div.sl-output.sl-claims .sl-interval {{ display: block; color: {SOFT}; }}
div.sl-output.sl-claims code {{ color: inherit; background: none; border: 0; padding: 0; font-size: 0.95em; overflow-wrap:
  anywhere; }}
div.sl-output.sl-claims details {{ border: 0; margin: 0; padding: 0; background: none; }}
div.sl-output.sl-claims summary {{ cursor: pointer; font-weight: 400; }}
@media (max-width: 720px) {{
  div.sl-output.sl-claims > table, div.sl-output.sl-claims :is(tbody, tr, th, td) {{ display: block; width: auto; }}
  div.sl-output.sl-claims tbody th {{ width: auto; }}
  div.sl-output.sl-claims thead {{ display: none; }}
  div.sl-output.sl-claims td[data-label]::before {{ content: attr(data-label) ": "; color: {SOFT}; }}
}}
"""
_HEADER = ("Claim", "Verdict", "Ours", "95 % interval", "The paper", "Our scale", "The paper's scale", "Record", "Device",
           "Date", "Command", "Rule")


@dataclass(frozen=True)
class Claims:
    """Rows of the reproduction; ``claims`` makes it."""

    rows: tuple[Row, ...]

    def table(self) -> Table:
        """All columns, as plain frontends show them and as pandas gets them."""
        return table(_HEADER, [(row.place, row.status, row.ours, row.interval, row.paper, row.scale, row.paper_scale,
                                row.record, row.device, row.date, f"`{row.command}`", row.rule) for row in self.rows])

    def to_pandas(self):
        """The same as a ``pandas.DataFrame``."""
        return self.table().to_pandas()

    def _repr_html_(self) -> str:
        names = ("What the paper says", "Verdict", "Ours", "The paper's number")
        head = "".join(f'<th scope="col">{name}</th>' for name in names)
        return (f'<div class="sl-output sl-claims"><style>{_STYLE}</style><table><thead><tr>{head}</tr></thead><tbody>'
                f'{"".join(map(_html, self.rows))}</tbody></table></div>')

    def _repr_markdown_(self) -> str:
        return self.table()._repr_markdown_()

    def __repr__(self) -> str:
        return "\n".join(f"{row.status:22} {row.place}: {row.ours}".rstrip(" :") for row in self.rows)


def _html(row: Row) -> str:
    word = f'<span class="sl-word">{sign(row.status) if row.status != NOT_RUN else ""}{row.status}</span>'
    # on a line of its own: behind a sentence with several numbers it would seem to be the last one's
    interval = f'<span class="sl-interval">95\xa0% interval: {as_html(row.interval)}</span>' if row.interval else ""
    made = ". ".join(text.rstrip(".") for text in (
        f"Scale: {row.scale}" if row.scale else "", f"The paper's: {row.paper_scale}" if row.paper_scale else "",
        f"Record {row.record}" if row.date and row.record else row.record,
        ", ".join(filter(None, (row.device, row.date)))) if text)
    rule = f"<details><summary>The rule</summary>{as_html(row.rule)}</details>" if row.rule else ""
    return (f'<tr id="{row.key}"><th scope="row"><b>{as_html(row.place)}</b>{as_html(row.says)}</th>'
            f'<td>{word}</td><td data-label="Ours">{as_html(row.ours) or "–"}{interval}</td>'
            f'<td data-label="The paper\'s number">{as_html(row.paper)}</td></tr><tr class="sl-made"><td colspan="4">'
            f"{as_html(made)}{'. ' if made else ''}<code>{html.escape(row.command)}</code>{rule}</td></tr>")


def claims(rows: Sequence[Row]) -> Claims:
    """What the paper says beside what came out here, a row a claim.

    >>> from sobolev_lib.experiments.reproduction import rows
    >>> claims(rows(["theorem-1"]))                                                            # doctest: +ELLIPSIS
    confirmed              Theorem 1: 2,048 ReLUs are off by at most ...
    """
    return Claims(tuple(rows))


def tally(rows: Sequence[Row]) -> Table:
    """How many claims got which verdict: what is computed on the spot, what is measured, what the book adds.

    >>> from sobolev_lib.experiments.reproduction import rows
    >>> tally(rows(["theorem-1", "theorem-2"]))
    verdict    theorems
    confirmed         2

    Rows that sum up others are not counted.
    """
    found = Counter((row.status, row.kind) for row in rows)
    kinds = [kind for kind in KINDS if any((status, kind) in found for status in (*STATUSES, NOT_RUN))]
    return table(["verdict", *kinds], [[status, *[found[status, kind] for kind in kinds]] for status in (*STATUSES, NOT_RUN)
                                       if any(found[status, kind] for kind in kinds)])
