"""Section 4.3: Table 1 and what the text says of synthetic gradients, from their records."""
from statistics import mean, stdev

from sobolev_lib.experiments import decoupled_parts, synthetic_gradients_cifar10
from sobolev_lib.experiments.reproduction.claim import Claim, Found, NotRun
from sobolev_lib.experiments.table_1_verdict import GAP, NAMES, ORDER, RULE, accuracies, difference
from sobolev_lib.formats import number, spread
from sobolev_lib.records import runs_of

SIDES = {"above": "confirmed", "around": "open", "below": "contradicted"}
CIFAR = ("50,000 images of 32 x 32 pixels; the network and the number of seeds are not given in the main text; the supplement was "
         "not consulted")
IMAGENET = "1.28 million images, ResNet-50"


def _runs(record: dict) -> str:
    """Every method's mean and standard deviation with three cuts, in per cent."""
    return ", ".join(f"{name} {spread([100 * value for value in accuracies(record, method)], '.1f')}"
                     for method, name in NAMES.items())


def _need(record: dict, *methods: str) -> None:
    units = ["backprop", "3/noprop", *(f"3/{method}/true" for method in methods)]
    missing = [unit for unit in units if unit not in record["results"]]
    if missing:
        raise NotRun(f"The record has no {', '.join(missing)}.")


def _nothing_to_win(record: dict) -> bool:
    return mean(accuracies(record, "backprop")) - mean(accuracies(record, "noprop")) < GAP


def cifar(record: dict) -> Found:
    _need(record, *ORDER[1:])
    return Found.of(synthetic_gradients_cifar10.verdict(record), _runs(record))


def over_critic(record: dict) -> Found:
    _need(record, *ORDER[1:])
    found = difference(record, "sobolev", "critic")
    middle, low, high = (number(100 * value, "+.1f") for value in found)
    status = "open" if _nothing_to_win(record) else SIDES[found.side()]
    return Found(f"{middle} points", status, synthetic_gradients_cifar10.verdict(record).scale, f"{low} to {high}")


def steadier(record: dict) -> Found:
    _need(record, *ORDER[1:])
    right = {method: accuracies(record, method) for method in ORDER[2:]}
    seeds = min(map(len, right.values()))
    if seeds < 2:
        raise NotRun("The record has one seed: no standard deviation.")
    found = {method: stdev(values) for method, values in right.items()}
    if seeds < 5 or _nothing_to_win(record):
        status = "open"
    else:
        status = "confirmed" if min(found, key=found.get) == "sobolev" else "contradicted"
    return Found(", ".join(f"{NAMES[method]} {number(100 * value, '.2f')}" for method, value in found.items()), status,
                 f"{seeds} seeds")


def not_gradients(record: dict) -> Found:
    _need(record, "direct", "sobolev")
    direct, sobolev = ([value for run in runs_of(record, f"3/{method}/true") for value in run["asymmetry"]]
                       for method in ("direct", "sobolev"))
    middle, low, high = (number(of(direct), ".2f") for of in (mean, min, max))
    return Found(f"predictors that put out the gradient: {middle} ({low} to {high}); predictors whose slope is the gradient: at most "
                 f"{number(max(sobolev), '.0e')}",
                 "confirmed" if min(direct) > 0.1 and max(sobolev) < 1e-3 else "contradicted",
                 f"{len(record['seeds'])} seeds; a predictor at each of 3 places in the network")


def decoupled(record: dict) -> Found:
    return Found.of(decoupled_parts.verdict(record))


def on_imagenet(record: dict) -> Found:
    """Whatever the record holds: it is no run of this claim."""
    raise NotRun(f"The record is a smoke test: {record['config']['data']}, a hundred of ImageNet's thousand classes. No order "
                 "is read off it.")


NOTHING = f"Open unless backprop lies {100 * GAP:.0f} points above noprop, and "
LINES = {  # cuts, name -> the paper's line
    (1, "top 1"): "noprop 54.0 ± 0.29, VFBN 57.9 ± 2.03, critic 71.7 ± 0.23, Sobolev 72.0 ± 0.05 (backprop 75.0)",
    (1, "top 5"): "noprop 77.3 ± 0.06, VFBN 81.5 ± 1.20, critic 90.5 ± 0.15, Sobolev 90.8 ± 0.01 (backprop 92.3)",
    (3, "top 1"): "noprop 18.7 ± 0.18, VFBN 28.3 ± 5.24, critic 65.7 ± 0.56, Sobolev 66.5 ± 0.22 (backprop 75.0)",
    (3, "top 5"): "noprop 38.0 ± 0.34, VFBN 52.9 ± 6.62, critic 86.9 ± 0.33, Sobolev 87.4 ± 0.11 (backprop 92.3)",
}


LAYERS = ("layer1", "layer2", "layer3")                    # where ResNet-50 is cut


def _on_imagenet(*cuts: str) -> str:
    """The command of the whole run."""
    return ("torchrun --nproc-per-node 8 -m sobolev_lib.synthetic_gradients --data imagenet --network resnet50 --cuts "
            f"{' '.join(cuts)} --method sobolev --optimizer sgd --lr 0.4 --batch-size 128 --epochs 90 --bfloat16 --workers 8 "
            "--checkpoint resnet50-sobolev.safetensors")


def _claim(place: str, says: str, paper: str, look, rule: str) -> Claim:
    return Claim(place, says, paper, look, "synthetic-gradients-cifar10", rule, CIFAR)


TABLE_1 = (
    _claim("Table 1, CIFAR-10, 3 modules, top 1", "Sobolev and critic lead, VFBN, direct and noprop follow.",
           "noprop 54.5 ± 1.15, direct 79.2 ± 0.01, VFBN 88.5 ± 2.70, critic 93.2 ± 0.02, Sobolev 93.5 ± 0.01 (backprop "
           "94.3)",
           cifar, RULE),
    *(Claim(f"Table 1, ImageNet, {cuts} module{'s' if cuts > 1 else ''}, {name}", "The same order, with larger gaps.", paper,
            on_imagenet, "synthetic-gradients-imagenet", "", IMAGENET, _on_imagenet(*{1: ("layer2",)}.get(cuts, LAYERS)))
      for (cuts, name), paper in LINES.items()),
)
TEXT = (
    Claim("Section 4.3, decoupled training", "Synthetic gradients train a network in a decoupled, asynchronous fashion.",
          "no speeds are given", decoupled, "decoupled-parts", decoupled_parts.RULE),
    _claim("Section 4.3, gradient fields", "Sobolev-like modules are gradient fields by construction; standard networks "
                                           "almost never are.", "no numbers are given", not_gradients,
           "Asymmetry of the Jacobian at each cut and seed, 0 for a gradient field. Confirmed if all direct modules have "
           "more than 0.1 and all of Sobolev's less than a thousandth, which is rounding."),
    _claim("Section 4.3, Sobolev over critic", "Supervising the gradient, too, gives an additional boost to the accuracy.",
           "93.2 to 93.5: +0.3 points", over_critic,
           f"{NOTHING}where the interval holds zero. Confirmed if it lies above, contradicted if below. True targets, "
           "paired by seed."),
    _claim("Section 4.3, reliability", "Sobolev Training's results have a significantly smaller standard deviation.",
           "VFBN 2.70, critic 0.02, Sobolev 0.01", steadier,
           f"{NOTHING}with fewer than five seeds. Standard deviations over the seeds: confirmed if Sobolev's is the "
           "smallest, else contradicted."),
    Claim("Section 1, ImageNet", "The first successful attempt to train a large-scale ImageNet model with synthetic "
                                 "gradients.",
          "87.4 % in the top 5", on_imagenet, "synthetic-gradients-imagenet", "", IMAGENET, _on_imagenet(*LAYERS)),
)
