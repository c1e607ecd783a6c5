"""What section 5 suggests for black boxes, looked at."""
from sobolev_lib.experiments import black_box_peers, gradient_worth, learned_simulator, random_directions
from sobolev_lib.experiments.reproduction.claim import Claim, Found

SUGGESTED = "suggested, not run"


def by_calls(record: dict) -> Found:
    return Found.of(gradient_worth.verdict(record))


def by_directions(record: dict) -> Found:
    return Found.of(random_directions.verdict(record))


def by_peers(record: dict) -> Found:
    return Found.of(black_box_peers.verdict(record))


def by_rollouts(record: dict) -> Found:
    return Found.of(learned_simulator.verdict(record))


ADDITIONS = (
    Claim("Section 5, black boxes", "Finite differences stand in for the gradients of a black box, at equal numbers of calls.",
          SUGGESTED, by_calls, "gradient-worth", gradient_worth.RULE, ours=True),
    Claim("Section 5, random directions", "A slope along a random direction is a better bargain than a whole gradient, at equal "
                                          "numbers of calls.",
          "not asked", by_directions, "gradient-worth", random_directions.RULE, ours=True),
    Claim("Section 5, black boxes by other methods", "Finite differences help a Gaussian process of another package, at equal "
                                                     "numbers of calls.",
          "not asked", by_peers, "black-box-peers", black_box_peers.RULE, ours=True),
    Claim("Section 5, a generative temporal model", "Finite differences help a network that learns a simulator's step.",
          SUGGESTED, by_rollouts, "learned-simulator", learned_simulator.RULE, ours=True),
)
