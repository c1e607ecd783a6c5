"""What section 5 suggests for derivatives inside a network, looked at."""
from sobolev_lib.experiments import internal_matching, internal_verdict
from sobolev_lib.experiments.reproduction.claim import Claim, Found


def by_layers(record: dict) -> Found:
    return Found.of(internal_matching.verdict(record))


ADDITIONS = (
    Claim("Section 5, internal derivatives", "Matched derivatives by hidden layers beat matched derivatives by the input.",
          "an unexplored path", by_layers, internal_matching.NAME, internal_verdict.RULE, ours=True),
)
