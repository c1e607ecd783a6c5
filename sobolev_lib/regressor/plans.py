"""Plans: whole trainings, among which a regressor chooses where it is left the choice.

They were chosen by one half of the cases in ``experiments/regressor_cases`` and others like them; the other half is reported.
"""
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from sobolev_lib.formats import listed
from sobolev_lib.training.estimating import Settings

# where hidden weights begin, by activation, over 1 / sqrt(fan in); He's sqrt(2) for the others
GAINS = {"silu": 0.7, "gelu": 0.7, "tanh": 0.7, "elu": 0.7, "relu": 1.0, "leaky_relu": 1.0}
LEAST, ITERATIONS = 20, 300                                # points for a trial; of fewer, those of L-BFGS: on noise it would go on for long
LABELS = 7_500                                             # at most, that L-BFGS takes at every iteration
STEPS, EPOCHS, BATCH, LARGEST_BATCH = 6_000, 40, 256, 2_048
WIDTH_TIMES_RATE, LARGEST_RATE = 1.28, 0.02
POINTS, OUTPUTS = 20_000, 4                                # at most, that sines are solved for
MORE_ITERATIONS, MORE_STEPS, MORE_RATE = 0.3, 0.15, 0.1    # of L-BFGS and of Adam, and its rate, where a trial goes on
SINES_TIMES_RATE = 0.0128                                  # of Adam, if more points come: all sines move the answer at once
LEAST_SINES, SINES_PER_INPUT, SINES = 200, 400, 1_000      # for each output
SLIGHT, NONE = 1e-4, 1e-8                                  # shares of squared slopes that noise covers, and that rounding does


@dataclass(frozen=True)
class Plan:
    """A network and its training.

    >>> plan = Plan("given", hidden=(32,), settings=Settings(steps=100))
    >>> plan.activation, plan.dtype, plan.drop
    ('silu', 'float32', None)

    ``drop``: the share of squared slopes that dropped directions may hold, None to leave the inputs as they are;
    ``emphasis``: what ``derivative_weight`` is multiplied by; ``solved``: by least squares (``waves``), not trained, so that
    settings are those of what may follow, ``partial_fit``; ``trims``: without labels that outweigh all others; ``doubts_zeros``: without
    slopes along inputs where all are zero (both: ``outliers``); ``values_alone``: the outputs whose slopes are left out.
    """

    name: str
    hidden: tuple[int, ...] = (64, 64, 64)
    activation: str = "silu"
    settings: Settings = field(default_factory=Settings)
    dtype: str = "float32"
    drop: float | None = None
    emphasis: float = 1.0
    solved: bool = False
    trims: bool = False
    doubts_zeros: bool = False
    values_alone: tuple[int, ...] = ()

    @property
    def kind(self) -> str:
        """The name of the plan that this is a variant of."""
        return self.name.split(", ")[0]

    def without_outliers(self) -> "Plan":
        """The same with labels trimmed."""
        return replace(self, name=f"{self.name}, trimmed", trims=True)

    def without_flat_slopes(self) -> "Plan":
        """The same with slopes of zero unknown."""
        return replace(self, name=f"{self.name}, no zeros", doubts_zeros=True)

    def without_slopes(self, outputs: Sequence[int], q: int) -> "Plan":
        """The same with no slope known of these outputs, of q."""
        what = "values alone" if len(outputs) == q else f"values of {listed(map(str, outputs))} alone"
        return replace(self, name=f"{self.name}, {what}", values_alone=(*outputs,))


def plans_for(n: int, d: int, q: int) -> list[Plan]:
    """What is worth a trial for n points with d inputs and q outputs, the simplest first.

    Where points are few, the first is taken, and a second stands by.

    >>> [plan.name for plan in plans_for(200, d=2, q=1)], [plan.name for plan in plans_for(50_000, d=2, q=1)]
    (['smooth', 'waves', 'brief', 'exact'], ['smooth', 'brief', 'long'])

    Source: "smooth" is the network of Huge and Savine (Differential Machine Learning, 2020) with their batches and weights;
    the rest is this library's own.
    """
    solvable = n <= POINTS and q <= OUTPUTS
    if n < LEAST:
        if not solvable:
            return [exact(n, d, q)]
        last = exact(n, d, q)
        return [waves(n, d, q), replace(last, settings=replace(last.settings, steps=ITERATIONS))]
    slopes_count = float(d)                                # every partial as much as the value, as Huge and Savine have it
    smooth = Plan("smooth", (20, 20, 20, 20), "softplus", drop=SLIGHT, emphasis=slopes_count, settings=Settings(
        steps=400, lr=0.02, batch_size=min(LARGEST_BATCH, max(BATCH, n // 4))))
    brief = Plan("brief", settings=Settings(steps=400, lr=0.01), drop=SLIGHT, emphasis=slopes_count)
    last = exact(n, d, q) if n * q * (1 + d) <= LABELS else long(n)
    return [smooth, waves(n, d, q), brief, last] if solvable else [smooth, brief, last]


def waves(n: int, d: int, q: int) -> Plan:
    """Least squares for sines at random frequencies: kriging, as a network.

    >>> waves(30, d=2, q=1).hidden, waves(1_000, d=2, q=3).hidden
    ((270,), (3000,))
    """
    sines = q * min(SINES, SINES_PER_INPUT * d, max(LEAST_SINES, 3 * n * (1 + d)))
    return Plan("waves", (sines,), "sine", Settings(lr=SINES_TIMES_RATE / sines), dtype="float64", drop=NONE,
                emphasis=float(d), solved=True)


def exact(n: int, d: int, q: int) -> Plan:
    """L-BFGS on all points in double precision, for labels that are few and exact.

    >>> exact(30, d=2, q=1).settings.steps
    1000
    """
    iterations = min(1_000, max(300, 2_000_000 // (n * q * (1 + d))))
    return Plan("exact", settings=Settings(steps=iterations, optimizer="lbfgs", lr=0.01), dtype="float64", drop=NONE)


def long(n: int) -> Plan:
    """Adam on many exact labels.

    >>> long(50_000).settings.steps
    7840
    """
    return Plan("long", settings=Settings(steps=max(STEPS, EPOCHS * -(-n // BATCH)), lr=0.02), drop=NONE)


def going_on(plan: Plan, given: dict) -> Plan | None:
    """What is left of a long training after its trial, of which it has most points already; None where it begins anew.

    >>> going_on(exact(30, d=2, q=1), {}).settings.steps, going_on(long(50_000), {}).settings.lr
    (300, 0.002)
    >>> going_on(waves(30, d=2, q=1), {}) is going_on(long(50_000), {"lr": 0.01}) is None
    True
    """
    told = "lr" in given or given.get("weight_decay") or given.get("schedule", "one-cycle") != "one-cycle"
    if told or plan.kind not in ("exact", "long"):
        return None
    share, rate = (MORE_ITERATIONS, 1.0) if plan.settings.optimizer == "lbfgs" else (MORE_STEPS, MORE_RATE)
    settings = replace(plan.settings, steps=max(1, round(share * plan.settings.steps)), lr=rate * plan.settings.lr)
    return replace(plan, settings=settings)


def rate_for(hidden) -> float:
    """Adam's peak rate for hidden layers of these sizes: wider ones take smaller steps.

    >>> rate_for((64, 64)), rate_for((256, 256))
    (0.02, 0.005)
    """
    return min(LARGEST_RATE, WIDTH_TIMES_RATE / max(hidden, default=1))


def as_given(plan: Plan, given: dict) -> Plan:
    """The plan with what was given in place: parameters of ``SobolevRegressor`` by name, without those left alone.

    >>> as_given(long(100), {"hidden": (256,), "steps": 10}).settings.lr
    0.005
    """
    network = {name: given[name] for name in ("hidden", "activation", "dtype") if name in given}
    settings = {name: value for name, value in given.items() if name not in (*network, "reduce_inputs")}
    if "hidden" in given and "lr" not in given:
        settings["lr"] = rate_for(given["hidden"])
    if settings.get("optimizer") == "lbfgs" and "dtype" not in given:
        network["dtype"] = "float64"                       # a line search needs the digits
    if "reduce_inputs" in given:
        network["drop"] = None if given["reduce_inputs"] is None else SLIGHT
    return replace(plan, settings=replace(plan.settings, **settings), **network)
