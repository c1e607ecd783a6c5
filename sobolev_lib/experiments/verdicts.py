"""A verdict: what the paper says beside what was measured, and by which rule the one bears the other out."""
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
