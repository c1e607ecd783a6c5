"""A verdict, and a record's line, as a reader meets them."""
from dataclasses import dataclass

from sobolev_lib.experiments.verdicts import Verdict
from sobolev_lib.notebook.text import BARE, INK, LINE, SOFT, as_html, as_plain, one_line
from sobolev_lib.records import command

# a shape and a colour for each word; the colours stand out from white and from black grounds alike
_SIGNS = {
    "confirmed": ("#2e8b57", '<circle cx="8" cy="8" r="8" fill="{0}"/>'
                  '<path d="M4 8.5 7 11.3 12 5.2" fill="none" stroke="#fff" stroke-width="2"/>'),
    "confirmed in direction": ("#3b82c4", '<path d="M2 14 12 4M5.5 3H13v7.5" fill="none" stroke="{0}" stroke-width="2.6"/>'),
    "open": ("#808080", '<circle cx="8" cy="8" r="6.6" fill="none" stroke="{0}" stroke-width="2.6"/>'),
    "contradicted": ("#d1453b", '<path d="M2.5 2.5l11 11m0-11l-11 11" stroke="{0}" stroke-width="3"/>'),
}
_BLOCK_STYLE = f"""{BARE}
section.sl-output.sl-verdict {{ color: {INK}; border: 1px solid {LINE}; border-left: 5px solid var(--sl-sign);
  border-radius: 4px; padding: 0.7em 1em; margin: 1em 0; line-height: 1.45; max-width: 46em; }}
section.sl-output.sl-verdict p {{ margin: 0 0 0.5em; color: inherit; font-size: inherit; line-height: inherit; }}
section.sl-output.sl-verdict .sl-status {{ font-weight: 700; font-size: 1.1em; display: flex; align-items: center; gap:
  0.45em; }}
section.sl-output.sl-verdict b {{ font-weight: 600; }}
section.sl-output.sl-verdict details {{ border: 0; margin: 0; padding: 0; color: {SOFT}; font-size: 0.92em; background:
  none; }}
section.sl-output.sl-verdict summary {{ cursor: pointer; font-weight: 400; }}
section.sl-output.sl-verdict details.sl-whole {{ color: inherit; font-size: 1em; }}
section.sl-output.sl-verdict .sl-whole > summary b {{ font-weight: 700; }}
section.sl-output.sl-verdict .sl-whole > summary svg {{ margin: 0 0.3em 0 0.2em; vertical-align: -0.15em; }}
section.sl-output.sl-verdict details p {{ margin: 0.5em 0 0; font-size: 1em; }}
.sl-output p.sl-record, p.sl-output.sl-record {{ color: {SOFT}; font-size: 0.88em; line-height: 1.45; margin: 0.6em 0; }}
.sl-output .sl-record code, .sl-output.sl-record code {{ font-size: 0.95em; color: inherit; background: none; border: 0;
  padding: 0; overflow-wrap: anywhere; }}
"""


def sign(status: str) -> str:
    """The shape of a verdict's word, as SVG.

    >>> sign("open")[:4]
    '<svg'
    """
    colour, shape = _SIGNS[status]
    return (f'<svg class="sl-sign" width="16" height="16" viewBox="0 0 16 16" aria-hidden="true" style="flex:none">'
            f"{shape.format(colour)}</svg>")


@dataclass(frozen=True)
class VerdictBlock:
    """A verdict as a reader meets it; ``verdict`` makes one."""

    verdict: Verdict
    made: str | None = None                                # the line about the record
    folded: bool = False                                   # at first only the verdict's word is seen

    def _parts(self) -> dict[str, str]:
        return {"The paper": self.verdict.claim, "Measured here": self.verdict.measured, "Scale": self.verdict.scale}

    def _repr_html_(self) -> str:
        status = self.verdict.status
        body = "".join(f"<p><b>{name}.</b> {as_html(text)}</p>" for name, text in self._parts().items())
        rule = f"<p>{as_html(self.verdict.rule)}</p>"
        rule += f'<p class="sl-record">{as_html(self.made)}</p>' if self.made else ""
        body += f"<details><summary>The rule{' and the record' if self.made else ''}</summary>{rule}</details>"
        if self.folded:
            body = (f'<details class="sl-whole"><summary>{sign(status)}<b>{status.capitalize()}</b>: '
                    f"the claim, the result, the rule</summary>{body}</details>")
        else:
            body = f'<p class="sl-status">{sign(status)}{status.capitalize()}</p>{body}'
        return (f'<section class="sl-output sl-verdict" aria-label="Verdict: {status}" '
                f'style="--sl-sign: {_SIGNS[status][0]}"><style>{_BLOCK_STYLE}</style>{body}</section>')

    def _lines(self) -> list[str]:
        parts = {**self._parts(), "Rule": self.verdict.rule}
        return [f"**{self.verdict.status.capitalize()}.**", *[f"*{name}:* {one_line(text)}" for name, text in parts.items()],
                *([self.made] if self.made else [])]

    def _repr_markdown_(self) -> str:
        return "\n>\n".join(f"> {line}" for line in self._lines()) + "\n"

    def __repr__(self) -> str:
        return "\n".join(map(as_plain, self._lines()))


def verdict(found: Verdict | dict, *, folded: bool = False) -> VerdictBlock:
    """What the paper says, what was measured at what scale, and what follows, with its rule folded away.

    >>> verdict(Verdict(claim="Slopes help.", measured="They did.", scale="5 seeds.", status="confirmed", rule="By eye."))
    Confirmed.
    The paper: Slopes help.
    Measured here: They did.
    Scale: 5 seeds.
    Rule: By eye.

    ``found``: a verdict, or a record, whose experiment then gives it; a record's line stands below it. ``folded`` shows
    its word only, until the reader opens it: at a chapter's head, where the evidence is still to come.
    Raises ``ValueError`` for a record whose experiment gives no verdict, ``TypeError`` for anything else.
    """
    if isinstance(found, Verdict):
        return VerdictBlock(found, folded=folded)
    if not isinstance(found, dict):
        raise TypeError(f"found: expected a verdict or a record, got {type(found).__name__}")
    from sobolev_lib.experiments.runner import find  # here: a page without records needs no experiment

    experiment = find(str(found.get("experiment")))
    if not hasattr(experiment, "verdict"):
        raise ValueError(f"found: expected a record of an experiment with a verdict, got one of {experiment.NAME}")
    return VerdictBlock(experiment.verdict(found), provenance(found).text, folded)


@dataclass(frozen=True)
class Provenance:
    """Where a record comes from, in one paragraph; ``provenance`` makes it."""

    text: str

    def _repr_html_(self) -> str:
        return f'<p class="sl-output sl-record"><style>{_BLOCK_STYLE}</style>{as_html(self.text)}</p>'

    def _repr_markdown_(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return as_plain(self.text)


def provenance(record: dict) -> Provenance:
    """A record's line: preset, seeds, date, device, time, versions, and the command that makes it anew.

    >>> provenance(load_record("step-cost"))                                                   # doctest: +SKIP
    Record step-cost, preset cpu: 3 seeds, made on 2026-11-24 on CPU, 2 threads a process, in 25 minutes of computing ...
    """
    made, seeds, seconds = record["provenance"], len(record["seeds"]), record["provenance"]["wall_seconds"]
    if seconds >= 5400:
        time = f"{seconds / 3600:.1f} hours"
    else:
        time = f"{seconds / 60:.0f} minutes" if seconds >= 90 else f"{seconds} seconds"
    torch_version = "" if " with torch " in made["device"] else f", torch {made['packages'].get('torch', 'unknown')}"
    return Provenance(
        f"Record `{record['experiment']}`, preset **{record['preset']}**: {seeds} seed{'s' if seeds > 1 else ''}, made on "
        f"{made['date']} on {made['device']}, in {time} of computing, by version {made['code_version']} of the library"
        f"{torch_version}. Run it again: `{command(record['experiment'], record['preset'], seeds)}`")
