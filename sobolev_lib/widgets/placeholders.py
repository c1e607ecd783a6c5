"""What keeps a figure's place in the book until its script runs: the same boxes with the same texts, so that nothing moves then.

The markup mirrors what explorer.js, field_ball.js, guide.js, hypotheses.js, lorenz_rollout.js and question.js build, and the same style sheets lay it out.
"""
import re
from html import escape


def explorer_placeholder(spec: dict, selection: dict, panels: list[dict], frames: dict[str, list[dict]]) -> str:
    """The place of an Explorer that opens on ``panels``; ``frames`` are all that it can show.

    >>> spec = {"axes": [{"name": "N", "label": "N", "options": [1], "text": ["1"], "numeric": True}], "play": None}
    >>> "sbx-panels" in explorer_placeholder(spec, {"N": 1}, [], {})
    True
    """
    surfaces = any(panel["kind"] == "surface" for panel in panels)
    images = all(panel["kind"] == "image" for panel in panels)
    overlay = next((panel["labels"] for panel in panels if "overlay" in panel), None)
    buttons = [_button("▶ Play", "min-width:6.2em")] if spec["play"] is not None else []
    controls = buttons + [_axis(axis, selection[axis["name"]]) for axis in spec["axes"]] + [_button("Show as map")] * surfaces
    figures = [_panel(panel, _longest(frames, i)) for i, panel in enumerate(panels)]
    history = next((i for i, panel in enumerate(panels) if panel["kind"] == "line"), len(panels))
    bars = '<div class="sbx-bar"><i></i><div></div><p>value</p></div>' if surfaces else ""
    if history < len(panels):                              # colours are told below the surfaces, not below their history
        figures.insert(history, bars)
        bars = ""
    if overlay:
        bars += f'<div class="sbx-bar sbx-scale"><i></i><div>{"".join(f"<span>{escape(text)}</span>" for text in overlay)}</div></div>'
    return _unseen("sbx", _box("sbx-controls", *controls)
                   + f'<div class="sbx-panels" data-images="{"yes" if images else "no"}">'
                   + "".join(figures) + "</div>"
                   + bars + '<p class="sbx-note"></p>')


def hypotheses_placeholder(buttons: list[str], titles: list[str], legend: list[str]) -> str:
    """The place of Hypotheses, from the texts of its buttons, panels and legend.

    >>> "shp-panels" in hypotheses_placeholder(["Draw others"], ["The same values"], ["true function"])
    True
    """
    figures = "".join(f'<figure><figcaption>{escape(title)}</figcaption><i class="shp-picture"></i></figure>' for title in titles)
    spans = [f'<span><i style="width:26px"></i>{escape(text)}</span>' for text in legend]
    return _unseen("shp", _box("shp-buttons", *map(_button, buttons)) + _box("shp-panels", figures) + _box("shp-legend", *spans)
                   + '<p class="shp-says"></p>')


def question_placeholder(state: dict) -> str:
    """The place of a Question, from its state.

    >>> "squ-answers" in question_placeholder({"question": "Why?", "choices": ["a", "b"], "says": ["x", "y"], "veil": False})
    True
    """
    if "choices" in state:
        texts = state["choices"] + ["Show me"] * state["veil"]
        answers = "".join(f'<button type="button">{text}</button>' for text in texts)
    else:
        answers = '<input type="text">' + _button("Check") + _button("Show the answer")
    return _unseen("squ", f'<p class="squ-question">{state["question"]}</p>' + _box("squ-answers", answers))


def guide_placeholder(state: dict) -> str:
    """The place of a Guide, from its state; the answer is that of the first choices.

    >>> state = {"questions": [{"question": "Why?", "choices": ["a"], "says": ["x"], "sets": [{"k": "1"}]}],
    ...          "call": "f({arguments}, {settings})", "arguments": {"X": ""}}
    >>> "f(X, k=1)" in guide_placeholder(state)
    True
    """
    # as guide.js does it
    sets: dict[str, str] = {}
    own = state["arguments"]
    for question in state["questions"]:
        sets |= question["sets"][0]
    settings = [f"{name}={text}" for name, text in sets.items() if name not in own and text is not None]
    passed = [text or name for name in own if (text := sets.get(name, own[name])) is not None]
    filled = {"{settings}": ", ".join(settings), "{arguments}": ", ".join(passed)}
    call = re.sub(r"\{(?:settings|arguments)\}", lambda place: filled[place.group()], state["call"])
    fields = "".join(f"<fieldset><legend>{question['question']}</legend><div>"
                     + "".join(f'<label><input type="radio"><span>{choice}</span></label>' for choice in question["choices"])
                     + "</div></fieldset>" for question in state["questions"])
    advice = "".join(f"<li>{question['says'][0]}</li>" for question in state["questions"] if question["says"][0])
    answer = _box("sgd-answer", f"<pre><code>{escape(call)}</code></pre>", _box("sgd-copy", _button("Copy code")),
                  f"<ul>{advice}</ul>")
    return _unseen("sgd", fields + answer)


def field_ball_placeholder(buttons: list[list[str]], readings: list[str]) -> str:
    """The place of FieldBall, from the texts of its two rows of buttons and of its readings.

    >>> "sfb-picture" in field_ball_placeholder([["One bowl"], ["Drop it again"]], ["per length"])
    True
    """
    rows = [_box("sfb-buttons", *map(_button, row)) for row in buttons]
    values = [f"<div><span>{escape(name)}</span><b>0</b></div>" for name in readings]
    side = _box("sfb-side", rows[0], '<label class="sfb-slider"><span>arrows</span><input type="range"></label>',
                _box("sfb-readings", *values), '<p class="sfb-says"></p>', rows[1], '<p class="sfb-hint"></p>')
    return _unseen("sfb", _box("sfb-row", '<i class="sfb-picture"></i>', side))


def lorenz_rollout_placeholder(names: list[str]) -> str:
    """The place of LorenzRollout, from the names of its networks.

    >>> "slr-picture" in lorenz_rollout_placeholder(["values alone"])
    True
    """
    readings = [f"<div><span>{escape(name)}</span><b>0</b></div>" for name in ["the simulator itself", *names]]
    side = _box("slr-side", _box("slr-readings", *readings), '<i class="slr-curves"></i>',
                '<label class="slr-slider"><span>start</span><input type="range"></label>',
                _box("slr-buttons", _button("❚❚ Pause"), _button("Another start")))
    return _unseen("slr", _box("slr-row", '<i class="slr-picture"></i>', side))


def _unseen(name: str, markup: str) -> str:
    # invisible, it takes no focus and no screen reader speaks of it
    return f'<div class="sobolev-placeholder" style="visibility:hidden"><div class="{name}">{markup}</div></div>'


def _box(name: str, *children: str) -> str:
    return f'<div class="{name}">{"".join(children)}</div>'


def _button(text: str, style: str = "") -> str:
    return f'<button type="button" style="{style}">{escape(text)}</button>'


def _axis(axis: dict, option) -> str:
    texts, label = axis["text"], escape(axis["label"])
    longest = escape(max(texts, key=len))
    if not axis["numeric"]:
        return f"<label><span>{label}</span><select><option>{longest}</option></select></label>"
    output = f'<output style="min-width:{len(longest)}ch">{escape(texts[axis["options"].index(option)])}</output>'
    return f'<label><span>{label}{output}</span><input type="range"></label>'


def _longest(frames: dict, i: int) -> dict[str, str]:
    """The longest title and caption that panel ``i`` has in any frame."""
    alike = [panels[i] for panels in frames.values() if i < len(panels)]
    return {name: max((panel[name] for panel in alike), key=len, default="") for name in ("title", "caption")}


def _panel(panel: dict, longest: dict[str, str]) -> str:
    shape = f' style="aspect-ratio:{panel["size"][0]} / {panel["size"][1]}"' if panel["kind"] == "image" else ""
    curves = [f'<span><i style="width:26px"></i>{escape(curve["name"])}</span>' for curve in panel.get("curves", [])]
    text = {name: f'<TAG class="sbx-{name}" data-longest="{escape(longest[name])}"><span>{escape(panel[name])}</span></TAG>'
            for name in longest}
    return (f'<figure class="sbx-panel" data-kind="{panel["kind"]}">' + text["title"].replace("TAG", "div")
            + (_box("sbx-legend", *curves) if curves else "")
            + f'<i class="sbx-picture"{shape}></i>' + text["caption"].replace("TAG", "p") + "</figure>")
