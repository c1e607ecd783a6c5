"""What the paper leaves out: slopes that are noisy, wrong or too fine."""
from sobolev_lib.experiments import harmful_slopes
from sobolev_lib.experiments.reproduction.claim import Claim, Found


def by_peers(record: dict) -> Found:
    return Found.of(harmful_slopes.verdict(record))


ADDITIONS = (
    Claim("Slopes that hurt", "Slopes that are noisy, wrong or too fine hurt, where they count as much as values.", "not asked",
          by_peers, "harmful-slopes", harmful_slopes.RULE, ours=True),
)
