"""A verdict: what the paper says beside what was measured, and by which rule the one bears the other out."""
from collections.abc import Sequence
from dataclasses import dataclass, fields

STATUSES = ("confirmed", "confirmed in direction", "open", "contradicted")


@dataclass(frozen=True)
class Verdict:
    """What one experiment says of one claim; an experiment's ``verdict(record)`` computes it from the record.

    >>> found = Verdict(claim="Slopes help.", measured="Errors fall 2.1 times (interval 1.8 to 2.4).", scale="5 seeds.",
    ...                 status="confirmed", rule="Confirmed if the interval lies above 1.")
    >>> found.status
    'confirmed'

    ``claim``: what the paper says. ``measured``: one sentence with numbers from the record. ``scale``: how much was run.
    ``status``: "confirmed", "confirmed in direction", "open" or "contradicted". ``rule``: how the status follows from the
    numbers. All but the status may hold ``**bold**``, ``*italic*`` and `` `code` ``. ``notebook.verdict`` shows one.
    Raises ``TypeError`` for what is no text, ``ValueError`` for an empty one and for another status.
    """

    claim: str
    measured: str
    scale: str
    status: str
    rule: str

    def __post_init__(self):
        for field in fields(self):
            value = getattr(self, field.name)
            if not isinstance(value, str):
                raise TypeError(f"{field.name}: expected text, got {type(value).__name__}")
            if not value.strip():
                raise ValueError(f"{field.name}: expected text, got {value!r}")
        if self.status not in STATUSES:
            raise ValueError(f"status: expected one of {', '.join(STATUSES)}, got {self.status!r}")


def status_of(sides: Sequence[str], better: str) -> str:
    """The status that intervals give which lie on ``sides`` ("above", "below" or "around") of no difference.

    >>> status_of(["below", "below", "around"], better="below")
    'confirmed in direction'

    "confirmed" if all lie on the ``better`` side, "confirmed in direction" if more than half do, "contradicted" if all lie on
    the other, "open" otherwise and for none.
    """
    other = {"above": "below", "below": "above"}[better]
    if not sides:
        return "open"
    if all(side == better for side in sides):
        return "confirmed"
    if 2 * list(sides).count(better) > len(sides):
        return "confirmed in direction"
    return "contradicted" if all(side == other for side in sides) else "open"
