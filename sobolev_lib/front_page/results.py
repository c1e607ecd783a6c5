"""The paper's four results as cards: pictures made from records and from a network that comes with the book; verdicts."""
import numpy as np
import torch

from sobolev_lib import functions
from sobolev_lib.front_page.cards import Card
from sobolev_lib.front_page.thumbnails import agreeing, dots, film
from sobolev_lib.widgets.hypotheses import KNOTS

METHOD_NAMES = {"backprop": "backprop", "noprop": "noprop", "direct": "direct", "vfbn": "VFBN", "critic": "critic",
                "sobolev": "Sobolev"}


def seven_functions(record: dict) -> Card:
    """Figure 2 on the right: how many times the test error falls on each function, from a record of ``seven-functions``.

    >>> seven_functions(load_record("seven-functions")).page                                  # doctest: +SKIP
    'seven_functions'
    """
    from sobolev_lib.experiments import seven_functions as experiment  # here, as below: SciPy is loaded only for these cards

    found = {cell: experiment.log_ratio(*(methods[name]["test_mse"] for name in experiment.TRAININGS)).mean
             for cell, methods in experiment.cells(record).items()}
    names = dict.fromkeys(name for name, _ in found)
    rows = [(getattr(functions, name).title.replace("Styblinski-Tang", "Styblinski"),
             [(10 ** mean, "sobolev" if mean > 0 else "regular") for (other, _), mean in found.items() if other == name])
            for name in names]
    better = sum(mean > 0 for mean in found.values())
    picture = dots(rows, [(0.3, "0.3"), (1, "1"), (10, "10 ×")], line=1, logarithmic=True,
                   alt="Seven rows of dots, one a function: error without slopes over error with slopes. "
                       f"{better} of {len(found)} dots lie right of one, where slopes help.")
    return Card("Seven functions", picture,
                "Landscapes learned from few points. How many times smaller is the error with slopes?",
                experiment.verdict(record).status,
                f"Slopes help in {better} of {len(found)} cases, at most {10 ** max(found.values()):.1f}-fold. "
                "The paper says: by orders of magnitude.", "seven_functions")


def atari(record: dict) -> Card:
    """Figure 4: students of game players, from a record of ``atari-distillation``; the film shows a teacher's gradient.

    >>> atari(load_record("atari-distillation")).page                                         # doctest: +SKIP
    'atari'
    """
    from sobolev_lib.experiments import atari_verdict as experiment

    cells = experiment.comparisons(record)
    better, worse = [sum(cell["answer"] == answer for cell in cells) for answer in ("better", "worse")]
    picture = film(_game(), alt="A game of Breakout, played by a network. Coloured pixels show on what its move depends.")
    return Card("Atari players", picture,
                "A small network copies a large one that plays. It is also told on which pixels each move depends: the "
                "coloured ones.", experiment.verdict(record).status,
                f"With slopes the copy is closer in {better} of {len(cells)} cases, and less close in {worse or 'none'}.",
                "atari")


def synthetic_gradients(record: dict) -> Card:
    """Table 1: images recognised by networks whose parts train on predicted gradients, from ``synthetic-gradients-cifar10``.

    >>> synthetic_gradients(load_record("synthetic-gradients-cifar10")).page                  # doctest: +SKIP
    'synthetic_gradients'
    """
    from sobolev_lib.experiments import table_1_verdict as experiment

    found = {method: [100 * one for one in experiment.accuracies(record, method)] for method in METHOD_NAMES}
    means = {method: np.mean(ones) for method, ones in found.items()}
    predicting = [method for method in means if method not in ("backprop", "noprop")]
    gains = [means[method] - means["noprop"] for method in predicting]
    ahead = experiment.difference(record, "sobolev", "critic")
    change = (f"raise the accuracy by {min(gains):.0f} to {max(gains):.0f}" if min(gains) > 0 else
              f"change the accuracy by {min(gains):+.0f} to {max(gains):+.0f}".replace("-", "−"))
    answer = {"above": "better than", "below": "worse than"}.get(ahead.side(), "neither better nor worse than")
    low, high = [5 * round(rounding(edge(map(edge, found.values())) / 5))
                 for edge, rounding in ((min, np.floor), (max, np.ceil))]
    picture = dots([(METHOD_NAMES[method], [(one, method) for one in ones]) for method, ones in found.items()],
                   [(low, f"{low}"), (high, f"{high} %")],
                   alt="Six rows of dots, one a method: per cent of test images recognised. "
                       + ", ".join(f"{METHOD_NAMES[method]} {mean:.0f}" for method, mean in means.items()) + ".")
    return Card("Synthetic gradients", picture,
                "The parts of a network learn without waiting for each other, from predicted gradients. "
                "Backprop has the true one, noprop none; four methods predict it.",
                experiment.verdict(record).status,
                f"Predicted gradients {change} percentage points against none. A predictor told values and slopes does "
                f"{answer} one told values; {METHOD_NAMES[max(predicting, key=means.__getitem__)]} does best.",
                "synthetic_gradients")


def theory(points: int = 60) -> Card:
    """Proposition 1 and figure 2 on the left; the network of the proposition is built for random data and checked.

    >>> theory(5).status
    'proved'
    """
    from sobolev_lib import theory as construction, value_and_derivatives

    generator = torch.Generator().manual_seed(0)
    x, values, gradients = [torch.randn(points, *shape, generator=generator, dtype=torch.float64)
                            for shape in ((2,), (), (2,))]
    y, jacobian = value_and_derivatives(construction.interpolating_network(x, values, gradients), x)
    miss = max((y[:, 0] - values).abs().max().item(), (jacobian[:, 0] - gradients).abs().max().item())
    digits, power = f"{miss:.0e}".split("e")
    size = f"{digits}·10" + str(int(power)).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    picture = agreeing(KNOTS, [0.26, 0.5, 0.88],
                       alt="Three points on a zigzag line. On the left, other zigzags with the same values take turns. "
                           "On the right there is only one with the same values and slopes.")
    return Card("What theory says", picture,
                "Can a network have any values and any slopes? And how many points do slopes save?", "proved",
                f"At finitely many points it can: the network of Proposition 1 misses {points} random ones by {size} at most. On "
                "a whole box only if the slopes belong to the values. For a line one point is enough, not two.",
                "approximation")


def _game(steps: int = 75, skip: int = 60) -> np.ndarray:
    """Screens (steps, 170, 240, 3) of the Breakout teacher's play, with the gradient of its move laid over."""
    from sobolev_lib import atari as games

    teacher, states = games.load_teacher("breakout"), []
    games.watch(teacher, "breakout", steps=steps, skip=skip, seed=3, state=states.append)
    seen = torch.from_numpy(np.stack(states))
    with torch.no_grad():
        moves = teacher(seen).argmax(1)
    gradients = games.input_gradient(teacher, seen, moves)[:, -1].numpy()
    size = np.abs(gradients)
    share = np.clip(size / np.quantile(size, 0.999, axis=(1, 2), keepdims=True), 0, 1)[..., None]
    share[share < 0.3] = 0   # the many weak ones would be a fog
    colours = np.where(gradients[..., None] > 0, [255, 120, 80], [90, 160, 255])
    grey = seen[:, -1].numpy()[..., None].repeat(3, axis=-1) * 0.75
    shown = np.clip(grey * (1 - share) + colours * share, 0, 255).astype(np.uint8)
    return _framed(shown)


def _framed(screens: np.ndarray) -> np.ndarray:
    """Square screens twice as large on a black ground of the cards' shape, cut above and below."""
    doubled = screens.repeat(2, axis=1).repeat(2, axis=2)
    framed = np.zeros((len(screens), 170, 240, 3), np.uint8)
    framed[:, 1:169, 36:204] = doubled
    return framed
