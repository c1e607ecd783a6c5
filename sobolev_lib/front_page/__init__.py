"""The book's front page: four cards, each a result of the paper with a picture and what was measured here.

>>> from sobolev_lib import front_page
>>> front_page.Cards([front_page.theory()])._repr_html_().startswith("<style>")
True
"""
from sobolev_lib.front_page.cards import Card, Cards
from sobolev_lib.front_page.results import atari, seven_functions, synthetic_gradients, theory

__all__ = ["Card", "Cards", "atari", "seven_functions", "synthetic_gradients", "theory"]
