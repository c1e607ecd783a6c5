"""Curvature as uncertainty, which section 5 suggests: error bars at the training points, as labels of a second derivative.

A wave of one input is measured with noise that changes along it; every point comes with its error bar. Each method says a
mean and a standard deviation at inputs it has not seen (``bells``). They are judged by the log loss and by how often new
values lie within their intervals, where there are points and outside. In two more cases the error bars mislead: the noise
has two branches, or the bars are reported half as long as they are. Every method has 28 trials: a learning rate and a
number of steps, the smoothness of the two processes, or depth and number of trees. The lowest mean log loss on validation
values over the tuning seeds wins, and the winner runs for every seed. A seed fixes the points, the noise and the initial
weights.
"""
import itertools
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

import numpy as np

from sobolev_lib.experiments import bell_peers, bells
from sobolev_lib.experiments.bell_peers import BOOSTED, PROCESS
from sobolev_lib.experiments.bells import TRUTH, Bell, Points, log_loss, within
from sobolev_lib.experiments.intervals import Interval, interval
from sobolev_lib.experiments.keeping import Keep
from sobolev_lib.experiments.own_peers import by
from sobolev_lib.experiments.verdicts import Verdict, status_of
from sobolev_lib.records import MissingResults, result

NAME = "curvature"
SHOWS = "Section 5, curvature as uncertainty: error bars as labels of a second derivative"
DEVICE = "cpu"                                             # the peer's, and small enough
NOISES = ("error bars", "two branches", "bars too short")
RIVALS = {"two outputs": "two outputs", "ensemble": "the ensemble"}                      # are not told the error bars
LEVELS = tuple(round(0.05 * k, 2) for k in range(1, 20))   # of central intervals
REACH, BEYOND = 2.0, 3.0                                   # points lie within the one; outside means up to the other


@dataclass(frozen=True)
class Config:
    cases: dict = field(default_factory=lambda: {          # the noise and the number of points
        "few": ("error bars", 20), "more": ("error bars", 60), "many": ("error bars", 180),
        "two branches": ("two branches", 60), "bars too short": ("bars too short", 60)})
    methods: tuple[str, ...] = (*bells.NETWORKS, BOOSTED, PROCESS, TRUTH)
    hidden: tuple[int, ...] = (32, 32)
    rates: tuple[float, ...] = (1e-3, 3e-3, 1e-2, 3e-2)
    steps: tuple[int, ...] = (25, 50, 150, 400, 800, 1600, 3200)
    smoothness: tuple = (0.25, 0.5, 1.0, 1.5, 2.5, 4.0, None)                            # of Matern's kernel, None is smooth
    smoothness_of_bars: tuple = (0.5, 1.5, 2.5, None)
    depths: tuple[int, ...] = (1, 2, 3, 4)                 # of trees
    trees: tuple[int, ...] = (25, 50, 100, 200, 300, 500, 800)
    tuning_seeds: tuple[int, ...] = (1000, 1001, 1002, 1003)
    validation_points: int = 200
    test_points: int = 1000


PRESETS = {"quick": Config(cases={"more": ("error bars", 60)}, methods=("curvature", "two outputs", TRUTH), rates=(1e-2,),
                           steps=(100, 200), tuning_seeds=(1000,)),
           "cpu": Config()}


def truth(x: np.ndarray) -> Bell:
    """The mean and the standard deviation of y at x.

    >>> [round(float(each[0]), 3) for each in truth(np.zeros(1))]
    [0.0, 0.441]
    """
    return np.sin(2 * x), 0.2 * np.exp(0.9 * np.cos(2.2 * x + 0.5))


def measured(noise: str, x: np.ndarray, generator: np.random.Generator) -> Points:
    """Measurements at x with one of ``NOISES``, and the error bars that come with them."""
    if noise not in NOISES:
        raise ValueError(f"noise: expected one of {', '.join(NOISES)}, got {noise!r}")
    (mean, sigma), draws = truth(x), generator.normal(size=len(x))
    if noise == "two branches":                            # of the same variance: 0.96 between the branches, 0.04 within
        draws = 0.96**0.5 * generator.choice([-1, 1], len(x)) + 0.2 * draws
    return Points(x, mean + sigma * draws, sigma / 2 if noise == "bars too short" else sigma)


def drawn(case: str, seed: int, config: Config) -> tuple[Points, Points, Points, Points]:
    """Points to learn from, to choose by, to test on, and to test on outside.

    >>> [len(points.x) for points in drawn("few", 0, Config())]
    [20, 200, 1000, 1000]
    """
    noise, count = config.cases[case]
    generator = np.random.default_rng([seed, NOISES.index(noise)])
    sizes = count, config.validation_points, config.test_points
    inside = [measured(noise, generator.uniform(-REACH, REACH, size), generator) for size in sizes]
    beyond = generator.uniform(REACH, BEYOND, config.test_points) * generator.choice([-1, 1], config.test_points)
    return *inside, measured(noise, beyond, generator)     # type: ignore[return-value]


def units(config: Config) -> list[str]:
    """One a case and a method."""
    return [f"{case}/{method}" for case in config.cases for method in config.methods]


def trials(method: str, config: Config) -> list[tuple]:
    """A learning rate and a number of steps; two smoothnesses of the processes; depth and number of trees; of the truth nothing.

    >>> {len(trials(method, Config())) for method in Config().methods if method != TRUTH}
    {28}
    """
    tables = {TRUTH: (), PROCESS: (config.smoothness, config.smoothness_of_bars), BOOSTED: (config.depths, config.trees)}
    return list(itertools.product(*tables.get(method, (config.rates, config.steps))))


def run_unit(unit: str, config: Config, seeds: list[int], device: str, keep: Keep | None = None) -> dict:
    """Tune a method on a case, and fit its winner for each seed."""
    keep, (case, method) = keep or Keep(), unit.split("/")
    every, code = trials(method, config), by(method)
    scores = keep.once("tuning", lambda: _tuned(case, method, config)) if len(every) > 1 else [0.0]
    found = [{"settings": list(trial), "validation_log_loss": score} for trial, score in zip(every, scores)]
    winner = every[min(range(len(every)), key=lambda k: scores[k])]
    runs = keep.once("runs", lambda: _runs(case, method, winner, seeds, config))
    return {"by": code, "trials": found, "chosen": list(winner), "runs": runs}


def _tuned(case: str, method: str, config: Config) -> list[float]:
    """The mean validation log loss of each trial over the tuning seeds."""
    parts = [drawn(case, seed, config) for seed in config.tuning_seeds]
    scores: dict[tuple, list[float]] = {trial: [] for trial in trials(method, config)}
    if method == PROCESS:
        for (train, validation, *_), trial in itertools.product(parts, scores):
            scores[trial].append(log_loss(validation.y, bell_peers.process(train, *trial)(validation.x)))
    elif method == BOOSTED:
        for ((train, validation, *_), seed), depth in itertools.product(zip(parts, config.tuning_seeds), config.depths):
            for count, predict in zip(config.trees, bell_peers.boosted(train, depth, config.trees, seed)):
                scores[depth, count].append(log_loss(validation.y, predict(validation.x)))
    else:
        runs = list(itertools.product(range(len(parts)), config.rates))

        def look(step: int, predictions: list) -> None:
            for (k, rate), predict in zip(runs, predictions):
                scores[rate, step].append(log_loss(parts[k][1].y, predict(parts[k][1].x)))

        bells.trained(method, [parts[k][0] for k, _ in runs], [rate for _, rate in runs],
                      [config.tuning_seeds[k] for k, _ in runs], config.steps, config.hidden, look)
    return [statistics.mean(each) for each in scores.values()]


def _runs(case: str, method: str, trial: Sequence, seeds: Sequence[int], config: Config) -> list[dict]:
    parts, predictions = [drawn(case, seed, config) for seed in seeds], []
    if method == TRUTH:
        predictions = [truth] * len(seeds)
    elif method == PROCESS:
        predictions = [bell_peers.process(train, *trial) for train, *_ in parts]
    elif method == BOOSTED:
        depth, count = trial
        predictions = [bell_peers.boosted(train, depth, [count], seed)[0] for (train, *_), seed in zip(parts, seeds)]
    else:
        rate, steps = trial
        bells.trained(method, [train for train, *_ in parts], [rate] * len(seeds), seeds, [steps], config.hidden,
                      lambda step, found: predictions.extend(found))
    return [{"seed": seed, **_measures(predict, part, first=seed == seeds[0])}
            for seed, predict, part in zip(seeds, predictions, parts)]


def _measures(predict, part: Sequence[Points], first: bool) -> dict:
    train, _, test, outside = part
    bell, beyond = predict(test.x), predict(outside.x)
    found = {"log_loss": log_loss(test.y, bell), "coverage": [within(test.y, bell, level) for level in LEVELS],
             "outside": within(outside.y, beyond, 0.9)}
    if first:                                              # to be drawn
        bands = np.round(predict(shown()), 4).tolist()
        found |= {"bands": bands, "points": np.round([train.x, train.y, train.bars], 4).tolist()}
    return found


def shown() -> np.ndarray:
    """The inputs at which the first seed's bells are kept."""
    return np.linspace(-BEYOND, BEYOND, 121)


def describe(config: Config) -> dict:
    return asdict(config)


def probe() -> dict:
    """The numbers of a few steps of each network; the other package's are not asked for."""
    config = Config(cases={"few": ("error bars", 8), "two branches": ("two branches", 8)}, methods=bells.NETWORKS,
                    hidden=(4,), rates=(1e-2,), steps=(2, 4), tuning_seeds=(1000,), validation_points=10, test_points=10)
    found = {unit: run_unit(unit, config, [0], "cpu") for unit in units(config)}
    return {unit: each | {"runs": [_undrawn(run) for run in each["runs"]]} for unit, each in found.items()}


def _undrawn(run: dict) -> dict:
    return {name: part for name, part in run.items() if name not in ("bands", "points")}


# --- what a record says -----------------------------------------------------------------------------------------------

def runs_of(record: dict, case: str, method: str) -> dict[int, dict]:
    """A method's runs by seed; raises ``MissingResults`` where there are none."""
    runs = result(record, f"{case}/{method}")["runs"]
    if not runs:
        raise MissingResults(f"record: expected runs of {case}/{method}, got none")
    return {run["seed"]: run for run in runs}


def gain(record: dict, case: str, other: str, method: str = "curvature") -> Interval:
    """By how much a method's log loss is lower than another's, in nats, paired by seeds: above zero the method is better."""
    ours, theirs = runs_of(record, case, method), runs_of(record, case, other)
    common = sorted(set(ours) & set(theirs))
    if not common:
        raise MissingResults(f"record: expected runs of {case} with seeds that {method} and {other} share, got none")
    return interval([theirs[seed]["log_loss"] - ours[seed]["log_loss"] for seed in common])


def coverage(record: dict, case: str, method: str, level: float = 0.9) -> Interval:
    """The share of new values in the central intervals of a level, among ``LEVELS``."""
    return interval([run["coverage"][LEVELS.index(level)] for run in runs_of(record, case, method).values()])


def outside(record: dict, case: str, method: str) -> Interval:
    """The same of intervals of 90 %, where no point was near."""
    return interval([run["outside"] for run in runs_of(record, case, method).values()])


def at_ends(record: dict, case: str, method: str) -> dict[str, bool]:
    """By setting, whether the value that validation chose is the smallest or the largest that was tried.

    A smoothness of None is no end: nothing is smoother.
    """
    names = {PROCESS: ("smoothness", "smoothness_of_bars"), BOOSTED: ("depths", "trees")}.get(method, ("rates", "steps"))
    chosen = result(record, f"{case}/{method}")["chosen"]  # of the truth, nothing
    return {name: value is not None and value in (record["config"][name][0], record["config"][name][-1])
            for name, value in zip(names, chosen)}


def honest(record: dict) -> list[str]:
    """The cases whose error bars say all about the noise, which decide; raises ``MissingResults`` where there are none."""
    found = [case for case, (noise, _) in record["config"]["cases"].items() if noise == "error bars"]
    if not found:
        raise MissingResults("record: expected cases with error bars that are right, got none")
    return found


RULE = ("Where the error bars are right, at each number of points, the log loss on new values of the network whose "
        "curvature is matched to them is compared with that of a network of two outputs and of an ensemble of five such, "
        "tuned by as many trials and not told the bars; differences are paired by seed, with a 95 % interval. Confirmed "
        "if it is lower in every comparison, with an interval beyond zero, at three numbers of points at least. Confirmed "
        "in direction if so in more than half of the comparisons. Contradicted if it is higher in every one, with "
        "intervals beyond zero. Open otherwise. The same bars told as values, the free energy, NGBoost, the Gaussian "
        "process and the cases whose error bars mislead are told, and decide nothing.")


def verdict(record: dict) -> Verdict:
    """By ``RULE``."""
    cases = honest(record)
    found = {(case, rival): gain(record, case, rival) for case in cases for rival in RIVALS}
    sides = [each.side() for each in found.values()]
    status = status_of(sides, better="above")
    if len(cases) < 3 and status == "confirmed":
        status = "confirmed in direction"
    points = {case: record["config"]["cases"][case][1] for case in cases}
    told = "; ".join(f"from {points[case]} points " + ", ".join(f"{_lower(found[case, rival])} than {name}"
                                                                 for rival, name in RIVALS.items()) for case in cases)
    control = ", ".join(_lower(gain(record, case, "bars as values")) for case in cases)
    held = ", ".join("{:.0f} ({:.0f} to {:.0f})".format(*(100 * end for end in coverage(record, case, "curvature")))
                     for case in cases)
    return Verdict(
        claim="Where the uncertainty at training points is known, the second-order signal could be matched to it "
              "(section 5).",
        measured="Log loss on new values with the curvature matched, against networks that are not told the error bars: "
                 f"{told}. Against one that is told the bars as values: {control}. "
                 f"Its intervals of 90 % hold {held} % of the values.",
        scale=f"One target of one input, {len(record['seeds'])} seeds, as many trials for each method.",
        status=status, rule=RULE)


def _lower(found: Interval) -> str:
    """How much lower a log loss is, in words; or higher.

    >>> _lower(Interval(-0.5, -0.75, 0.25))
    '0.5 nats higher (-0.25 to 0.75)'
    """
    word, (mean, low, high) = ("lower", found) if found.mean >= 0 else ("higher", (-found.mean, -found.high, -found.low))
    return f"{mean:.2g} nats {word} ({low:.2g} to {high:.2g})"
