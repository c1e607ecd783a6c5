"""A figure with its caption, in the page's colours: on the site, in Jupyter and in Colab, light and dark."""
import base64
import html
import io

from sobolev_lib import book_output
from sobolev_lib.plotting.palette import PAGE, STATIC, palette_css
from sobolev_lib.plotting.style import finish, need
from sobolev_lib.plotting.svg import DENSITY, svg_of

MOST = 400_000      # bytes of an SVG; a picture of more is shown as pixels
SHRINKS = 0.66      # of its natural width; narrower, its text would be too small to read, so it is swiped instead
GROWS = 1.25
PHONE = 340         # CSS pixels that a phone has for a figure


def show(figure, *, caption: str, alt: str) -> "Shown":
    """A matplotlib figure with a numbered caption, which takes the colours of the page around it.

    >>> figure = learning_curves({"Sobolev": {"steps": [0, 10], "train": {"loss": [1, 0.1]}, "validation": {}}})
    >>> shown = show(figure, caption="The loss falls tenfold in ten steps.", alt="One falling line")

    ``caption`` is a sentence that says what the figure shows to be so; ``alt`` describes the picture to those who cannot
    see it. Both are plain text. Notebooks show the result when it is the cell's last value. Logarithmic axes get labels
    1, 10, 100. Parts with very many shapes should be rasterised (``rasterized=True``); a figure that is large all the
    same is shown as pixels on a white card. Raises ``TypeError`` without a matplotlib figure, ``ValueError`` for an empty
    ``caption`` or ``alt``.
    """
    if not hasattr(figure, "savefig"):
        raise TypeError(f"figure: expected a matplotlib figure, got {type(figure).__name__}")
    for name, text, what in (("caption", caption, "a sentence with the finding"), ("alt", alt, "a description")):
        if not isinstance(text, str) or not text.strip():
            raise ValueError(f"{name}: expected {what}, got {text!r}")
    finish(figure)
    picture, width = svg_of(figure, alt)
    if len(picture) > MOST:
        picture = _pixels(figure, alt)
    need("matplotlib.pyplot").close(figure)   # a notebook would show it a second time
    return Shown(picture, width, caption)


class Shown:
    """What ``show`` returns: shows itself as an HTML figure."""

    def __init__(self, picture: str, width: float, caption: str):
        self.picture, self.width, self.caption = picture, width, caption

    def _repr_html_(self) -> str:
        # A page of the site has these style sheets already.
        style = "" if book_output.in_book() else f"<style>{style_sheet()}</style>"
        least = SHRINKS * self.width if SHRINKS * self.width > PHONE else 0   # one panel fits any phone
        wide = ' tabindex="0" role="group" aria-label="Scrolls sideways where the page is narrow"' if least else ""
        hint = '<p class="sl-swipe" aria-hidden="true">Swipe to see the rest →</p>' if least else ""
        return (f'{style}<figure class="sl-figure" style="--sl-least:{least:.0f}px;--sl-most:{GROWS * self.width:.0f}px">'
                f'<div class="sl-picture"{wide}>{self.picture}</div>{hint}'
                f"<figcaption>{html.escape(self.caption)}</figcaption></figure>")


def _pixels(figure, alt: str) -> str:
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=DENSITY, facecolor="white", bbox_inches="tight", metadata={"Software": None})
    data = base64.b64encode(file.getvalue()).decode()
    return f'<img class="sl-card" alt="{html.escape(alt, quote=True)}" src="data:image/png;base64,{data}">'


def style_sheet() -> str:
    """All that the site's style sheets say, and the colours that Jupyter, Colab and VS Code give to text and ground."""
    return ((STATIC / "figures.css").read_text(encoding="utf-8") + palette_css()
            + ".sl-figure { --sl-ink: var(--vscode-editor-foreground, var(--jp-content-font-color1, "
            f"var(--colab-primary-text-color, {PAGE['ink']}))); "
            "--sl-soft: var(--vscode-editor-foreground, var(--jp-content-font-color2, var(--sl-ink))); "
            "--sl-line: var(--vscode-notebook-cellBorderColor, var(--jp-border-color2, rgb(128 128 128 / .35))); "
            "--sl-ground: var(--vscode-editor-background, var(--jp-layout-color0, var(--colab-primary-surface-color, "
            f"{PAGE['ground']}))); }}")
