"""What section 5 suggests for known uncertainty, looked at."""
from sobolev_lib.experiments import curvature
from sobolev_lib.experiments.reproduction.claim import Claim, Found


def by_curvature(record: dict) -> Found:
    return Found.of(curvature.verdict(record))


ADDITIONS = (
    Claim("Section 5, curvature as uncertainty", "Uncertainty that is known at training points is matched as a second-order signal.",
          "suggested, not run", by_curvature, "curvature", curvature.RULE, ours=True),
)
