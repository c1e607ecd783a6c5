"""Every figure, table, theorem, proposition and claim of the paper, one row each, with what came out here; a few additions.

    python -m sobolev_lib.experiments.reproduction                  # all rows
    python -m sobolev_lib.experiments.reproduction theorem-1 ...    # some of them, with their rules

Numbers come from the best record that is present; a claim whose record is missing is "not run". Theorems are proved in the
book; what stands here are runs of their constructions.
"""
from collections.abc import Sequence

from sobolev_lib.experiments import step_cost
from sobolev_lib.experiments.reproduction import (
    black_boxes,
    distillation,
    functions,
    gradients,
    harm,
    inside,
    networks,
    theory,
    uncertainty,
)
from sobolev_lib.experiments.reproduction.claim import KINDS, NOT_RUN, Claim, Found, NotRun, Row, row_of

__all__ = ["CLAIMS", "KINDS", "NOT_RUN", "SECTIONS", "Claim", "Found", "NotRun", "Row", "rows"]


def _cost(record: dict) -> Found:
    return Found.of(step_cost.verdict(record))


ORDER = ("contradicted", "open", "confirmed in direction", "confirmed")      # of verdicts, the weakest first


def _together(claims: Sequence[Claim], before: str):
    """The look at what the paper sums up: the weakest verdict of these claims; ``before`` goes in front of them."""
    def look() -> Found:
        found = {claim.place: row_of(claim).status for claim in claims}
        weakest = min(("open" if status == NOT_RUN else status for status in found.values()), key=ORDER.index)
        return Found(before + "; ".join(f"{place}: {status}" for place, status in found.items()), weakest, "")

    return look


def _contribution(k: int, says: str, paper: str, claims: Sequence[Claim], before: str = "") -> Claim:
    return Claim(f"Contribution {k}", says, paper, _together(claims, before), computes=False,
                 rule="The weakest verdict of the rows named; what is not run counts as open.")


_PROVED = [claim for claim in (*theory.SECTION_3, *networks.FIELDS) if claim.place.startswith(("Theorem", "Proposition"))]
_MEASURED = [functions.FIGURES[0], distillation.FIGURES[0], gradients.TABLE_1[0]]

SECTIONS = {                                               # in the order of the paper
    "Contributions": (
        _contribution(1, "Sobolev Training, a paradigm for training neural networks. (Whether it is new: see the chapter on "
                         "neighbours.)", "a method", networks.SECTION_2, "Can it be computed as defined? "),
        _contribution(2, "A formal look at matching derivatives; modern architectures are well suited to it.", "theorems",
                      _PROVED),
        _contribution(3, "Evidence that Sobolev Training improves performance and generalisation, particularly with few data.",
                      "three domains", _MEASURED)),
    "The method": (
        *networks.SECTION_2,
        Claim("Section 2, cost", "Projections avoid adding computational complexity where a Jacobian would be large.",
              "no times are given", _cost, "step-cost", step_cost.RULE)),
    "Theory": theory.SECTION_3,
    "Artificial data": (*functions.FIGURES, networks.RELU, *functions.TEXT),
    "Distillation": (*distillation.FIGURES, *distillation.TEXT),
    "Synthetic gradients": (*gradients.TABLE_1, *networks.FIELDS, *gradients.TEXT),
    "Additions": (*functions.ADDITIONS, *black_boxes.ADDITIONS, *uncertainty.ADDITIONS, *inside.ADDITIONS, *harm.ADDITIONS),
}
CLAIMS = tuple(claim for claims in SECTIONS.values() for claim in claims)


def rows(keys: Sequence[str] | None = None) -> list[Row]:
    """The rows of these claims, or of all, in the order of the paper.

    >>> [row.status for row in rows(["theorem-2", "section-3-polynomials"])]
    ['confirmed', 'contradicted']

    ``keys``: of claims, or the name of a section: ``rows(["Theory"])``. Raises ``ValueError`` for any other.
    """
    known = {claim.key: [claim] for claim in CLAIMS} | SECTIONS
    unknown = sorted(set(keys or ()) - set(known))
    if unknown:
        raise ValueError(f"keys: expected some of {', '.join(known)}, got {', '.join(unknown)}")
    wanted = {claim.key for key in known if keys is None or key in keys for claim in known[key]}
    return [row_of(claim) for claim in CLAIMS if claim.key in wanted]
