"""One row of the reproduction: a claim of the paper, and what came out when we looked."""
import datetime
from collections.abc import Callable
from dataclasses import dataclass

from sobolev_lib.experiments.verdicts import STATUSES, Verdict
from sobolev_lib.records import MissingResults, command, load_record

NOT_RUN = "not run"
KINDS = ("theorems", "experiments", "additions")           # theorems and identities, computed on the spot; from records; ours


class NotRun(MissingResults):
    """A record exists, and holds nothing on this claim: another preset is needed."""


@dataclass(frozen=True)
class Found:
    """What one look at a claim gave: our number, its interval if it has one, the verdict's word, and what was run."""

    ours: str
    status: str
    scale: str
    interval: str = ""

    def __post_init__(self):
        if self.status not in STATUSES:
            raise ValueError(f"status: expected one of {', '.join(STATUSES)}, got {self.status!r}")

    @classmethod
    def of(cls, verdict: Verdict, ours: str = "", interval: str = "") -> "Found":
        """An experiment's own verdict, in its words or in others."""
        return cls(ours or verdict.measured, verdict.status, verdict.scale, interval)


@dataclass(frozen=True)
class Claim:
    """A figure, table, theorem or sentence of the paper, and how it is looked at.

    ``look`` takes the best record of ``experiment``, or nothing where there is none: then it computes. ``paper`` is the
    paper's number, in words where it has none; ``paper_scale`` what that was measured on. ``rule`` is how the verdict
    follows; where there is none it is that of the experiment's own verdict. ``instead`` is the command where another one
    repeats it.
    """

    place: str
    says: str
    paper: str
    look: Callable[..., Found]
    experiment: str | None = None
    rule: str = ""
    paper_scale: str = ""
    instead: str = ""
    computes: bool = True                                  # without a record: here and now, rather than from other rows
    ours: bool = False                                     # looked at by this book; the paper does not say it

    @property
    def key(self) -> str:
        """What the claim is called on the command line and in links."""
        return "-".join("".join(c if c.isalnum() else " " for c in self.place.lower()).split())

    @property
    def kind(self) -> str:
        """One of ``KINDS``, or "summary" of other rows."""
        if self.ours:
            return KINDS[2]
        return KINDS[1] if self.experiment else KINDS[0] if self.computes else "summary"


@dataclass(frozen=True)
class Row:
    """A claim with what was found; what is missing is an empty text, and a claim without its record is "not run"."""

    key: str
    place: str
    says: str
    paper: str
    ours: str
    interval: str
    status: str
    scale: str
    paper_scale: str
    record: str
    device: str
    date: str
    rule: str
    command: str
    kind: str


def row_of(claim: Claim) -> Row:
    """Look at one claim."""
    name = claim.experiment
    if name is None:
        made = ("CPU", datetime.date.today().isoformat()) if claim.computes else ("", "")
        return _row(claim, claim.look(), "", *made, f"python -m sobolev_lib.experiments.reproduction {claim.key}")
    try:
        record = load_record(name)
        found, again = claim.look(record), command(name, record["preset"], len(record["seeds"]))
    except FileNotFoundError:
        return _row(claim, None, "", "", "", command(name, "cpu"))
    except MissingResults as why:
        return _row(claim, None, str(why), "", "", command(name, "paper"))
    made = record["provenance"]
    return _row(claim, found, f"{name}, {record['preset']}", made["device"], made["date"], again)


def _row(claim: Claim, found: Found | None, record: str, device: str, date: str, again: str) -> Row:
    seen = (found.ours, found.interval, found.status, found.scale) if found else ("", "", NOT_RUN, "")
    return Row(claim.key, claim.place, claim.says, claim.paper, *seen, claim.paper_scale, record, device, date, claim.rule,
               claim.instead or again, claim.kind)
