"""Numbers as a reader wants them: with a real minus, and with powers of ten written out."""
import re
from collections.abc import Iterable, Sequence
from statistics import mean, stdev

MINUS, TIMES = "\N{MINUS SIGN}", "\N{NO-BREAK SPACE}\N{MULTIPLICATION SIGN}\N{NO-BREAK SPACE}"
_POWER = re.compile(r"(?<![\w.])(-?\d+(?:\.\d+)?)e([+-]\d+)\b")
_MINUS = re.compile(r"(?<![\w.-])-(?=\d|inf)")
SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def number(value: float, spec: str = ",.3g") -> str:
    """A number as a reader wants it: by a Python format, with a real minus and with powers of ten written out.

    >>> number(-1.5), number(12345.0), number(0.00002), number(0.25, "+.2f"), number(-3e-7, ".1e")
    ('−1.5', '12,345', '2\\xa0×\\xa010⁻⁵', '+0.25', '−3.0\\xa0×\\xa010⁻⁷')
    """
    if spec.endswith("g") and 100 <= abs(value) < 1e5:     # 12,345 rather than 1.23 x 10^4
        spec = f"{spec[:1] if spec[0] == '+' else ''},.0f"
    return typeset(f"{value:{spec}}")


def typeset(text: str) -> str:
    """Numbers in a text as a reader wants them: with a real minus, powers of ten, and no line break within.

    >>> typeset("-1.5e-07 (95 %)")
    '−1.5\\xa0×\\xa010⁻⁷ (95\\xa0%)'
    """
    text = _POWER.sub(lambda found: f"{found[1]}{TIMES}10{str(int(found[2])).translate(SUPERSCRIPTS)}", text)
    return re.sub(r"\binf\b", "∞", _MINUS.sub(MINUS, text)).replace(" %", "\N{NO-BREAK SPACE}%")


def ratio(value: float) -> str:
    """A ratio with two digits, and without a fraction from ten up.

    >>> ratio(0.123), ratio(3.0), ratio(9.96), ratio(1234.5)
    ('0.12', '3', '10', '1,234')
    """
    return number(value, ".2g") if abs(value) < 9.95 else number(value, ",.0f")


def percent(share: float, digits: int = 0) -> str:
    """A share in per cent.

    >>> percent(0.123), percent(-0.0125, 1)
    ('12%', '−1.2%')
    """
    return number(share, f".{digits}%")


def listed(parts: Iterable[str]) -> str:
    """Joined as in a sentence.

    >>> listed(["a", "b", "c"])
    'a, b and c'
    """
    *most, last = [*parts] or [""]
    return f"{', '.join(most)} and {last}" if most else last


def with_interval(found: Sequence[float], spec: str = ",.3g") -> str:
    """A mean, or another middle, with the ends of its interval.

    >>> with_interval((1.5, 1.25, 1.8)), with_interval((-1.0, -2.0, 0.5), "+.1f")
    ('1.5 (1.25 to 1.8)', '−1.0 (−2.0 to +0.5)')

    ``found``: the middle and the two ends, such as an ``intervals.Interval``. Raises ``ValueError`` for another count.
    """
    if len(found) != 3:
        raise ValueError(f"found: expected a middle and two ends, got {len(found)} numbers")
    middle, low, high = (number(value, spec) for value in found)
    return f"{middle} ({low} to {high})"


def spread(values: Sequence[float], spec: str = ",.3g") -> str:
    """Mean and standard deviation of several values, one a seed; of one value that value.

    >>> spread([54.0, 56.0, 55.0], ".1f"), spread([54.0], ".1f")
    ('55.0\\xa0±\\xa01.0', '54.0')
    """
    middle = number(mean(values), spec)
    return f"{middle}\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}{number(stdev(values), spec)}" if len(values) > 1 else middle
