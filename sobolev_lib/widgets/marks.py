"""Marks: emphasis in the texts of widgets, and nothing else of HTML."""
import html
import re

_MARKS = re.compile(r"&lt;(/?(?:i|b|sub|sup|code))&gt;")


def marked(text: str, name: str) -> str:
    """HTML of a text in which only a few marks of emphasis mean something: i, b, sub, sup and code.

    >>> marked("1 < <i>x</i>", "question")
    '1 &lt; <i>x</i>'

    Raises ``TypeError`` for what is no text, ``ValueError`` for marks that do not pair up.
    """
    if not isinstance(text, str):
        raise TypeError(f"{name}: expected a text, got {text!r}")
    text_of, still_open = _MARKS.sub(r"<\1>", html.escape(text, quote=False)), []
    for mark in re.findall(r"<(/?\w+)>", text_of):
        if not mark.startswith("/"):
            still_open.append(mark)
        elif not still_open or still_open.pop() != mark[1:]:
            raise ValueError(f"{name}: expected <{mark[1:]}> before <{mark}>, in {text!r}")
    if still_open:
        raise ValueError(f"{name}: expected </{still_open[-1]}> after <{still_open[-1]}>, in {text!r}")
    return text_of
