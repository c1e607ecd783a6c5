from dataclasses import dataclass


@dataclass(frozen=True)
class Verdict:
    claim: str
    measured: str
    scale: str
    status: str
    rule: str
