"""Small tables of points, values and true derivatives from four fields; they come with the library or are made in a moment.

>>> deck = sl.datasets.engine_deck()
>>> deck.X.shape, deck.y.shape, deck.dy.shape
((1056, 3), (1056, 2), (1056, 2, 3))

Files lie in ``data/``, each with a checksum inside and the licence of what it was made from beside it.
``scripts/make_datasets.py`` makes them.
"""
from sobolev_lib.datasets.options import BasketOption, option_prices
from sobolev_lib.datasets.stored import engine_deck, metal_cluster, metal_cluster_path
from sobolev_lib.datasets.table import Table
from sobolev_lib.datasets.teacher import diabetes_teacher, teacher_answers

__all__ = ["BasketOption", "Table", "diabetes_teacher", "engine_deck", "metal_cluster", "metal_cluster_path", "option_prices",
           "teacher_answers"]
