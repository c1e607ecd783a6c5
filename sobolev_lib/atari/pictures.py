"""A game as a short looping film in a notebook or a page."""
import base64
import html
import io

import numpy as np

SECONDS_PER_STEP = 4 / 60                                  # an agent step is four frames of a 60 Hz screen


class Film:
    """Screens shown one after another in a loop, by itself in a notebook's output.

    >>> screens = np.zeros((3, 210, 160, 3), dtype=np.uint8)                   # (steps, height, width, 3)
    >>> Film(screens, alt="A black screen")                                    # doctest: +SKIP

    ``screens`` (T, H, W, 3) uint8, such as ``watch`` returns; ``alt`` says what happens to those who cannot see it;
    ``caption`` stands below. The film runs at the game's own speed. Who has asked for less motion sees the middle screen.
    Encoded as WebP inside the output: nothing has to be fetched. Raises ``ValueError`` for other shapes or no ``alt``.
    """

    def __init__(self, screens: np.ndarray, *, alt: str, caption: str = ""):
        screens = np.asarray(screens)
        if screens.ndim != 4 or screens.shape[3] != 3 or screens.dtype != np.uint8 or not len(screens):
            raise ValueError(f"screens: expected uint8 of shape (T, H, W, 3), got {screens.dtype} of {screens.shape}")
        if not alt.strip():
            raise ValueError("alt: expected a description of what happens, got an empty text")
        self.screens, self.alt, self.caption = screens, alt, caption

    def _repr_html_(self) -> str:
        height, width = self.screens.shape[1:3]
        still, film = _webp(self.screens[len(self.screens) // 2][None]), _webp(self.screens)
        alt = html.escape(self.alt, quote=True)
        return (f'<figure style="margin:0;max-width:{2 * width}px;flex:1 1 0;min-width:0">'
                f'<picture><source media="(prefers-reduced-motion: reduce)" srcset="{still}">'
                f'<img src="{film}" alt="{alt}" width="{width}" height="{height}" '
                'style="width:100%;height:auto;image-rendering:pixelated"></picture>'
                f'<figcaption style="text-align:center">{html.escape(self.caption)}</figcaption></figure>')


class FilmRow:
    """Films side by side, smaller where the page is narrow.

    >>> FilmRow([Film(screens, alt="One"), Film(screens, alt="Two")])          # doctest: +SKIP

    Each film holds screens of shape (T, H, W, 3).
    """

    def __init__(self, films: list[Film]):
        self.films = films

    def _repr_html_(self) -> str:
        return ('<div style="display:flex;gap:.75rem">'
                + "".join(film._repr_html_() for film in self.films) + "</div>")


def _webp(screens: np.ndarray) -> str:
    from PIL import Image  # the only use of Pillow: distillation does without

    images = [Image.fromarray(screen) for screen in screens]
    buffer = io.BytesIO()
    # lossless: on flat colours it is both exact and a third of the size
    images[0].save(buffer, "WEBP", save_all=True, append_images=images[1:], duration=round(1000 * SECONDS_PER_STEP),
                   loop=0, lossless=True, quality=50)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()
