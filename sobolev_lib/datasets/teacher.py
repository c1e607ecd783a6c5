"""A teacher of scikit-learn's size, with its gradient: a network that tells how diabetes will progress."""
import numpy as np

from sobolev_lib._arguments import integer
from sobolev_lib.datasets.stored import shipped
from sobolev_lib.datasets.table import Table

INPUTS = ("age", "sex", "body mass index", "blood pressure", "s1", "s2", "s3", "s4", "s5", "s6")
JITTER = 0.5                                               # of an answer's point, in standard deviations of the patients'


def diabetes_teacher(X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What the teacher says at X (N, 10), z-scored measurements of patients, and the gradients of that.

    >>> y, dy = diabetes_teacher(np.zeros((1, 10)))        # an average patient
    >>> y.shape, dy.shape
    ((1,), (1, 10))

    A network of 10-64-64-1 tanh units, an ``MLPRegressor`` trained on the diabetes data of scikit-learn (Efron and others
    2004), which come with that package. Its gradient is a product of its layers: weights times the slopes of their units.
    Raises ``ValueError`` for another shape.
    """
    X = np.asarray(X, dtype=float)
    if X.ndim != 2 or X.shape[1] != len(INPUTS):
        raise ValueError(f"X: expected shape (N, {len(INPUTS)}), got {X.shape}")
    weights, a, slopes = shipped("diabetes_teacher"), X, np.broadcast_to(np.eye(X.shape[1]), (len(X), 10, 10))
    for layer in range(3):
        W = weights[f"weight_{layer}"]                     # (in, out)
        a = a @ W + weights[f"bias_{layer}"]
        slopes = slopes @ W                                # (N, 10, out)
        if layer < 2:
            a = np.tanh(a)
            slopes = slopes * (1 - a**2)[:, None]
    return a[:, 0], slopes[:, :, 0]


def teacher_answers(points: int = 200, seed: int = 0) -> Table:
    """Answers of ``diabetes_teacher`` near patients drawn at random, moved by half a standard deviation.

    >>> table = teacher_answers(100)
    >>> table.X.shape, table.y.shape, table.dy.shape
    ((100, 10), (100,), (100, 10))

    A teacher answers wherever it is asked: there are as many points as are wanted. Raises ``ValueError`` for less than one.
    """
    from sklearn.datasets import load_diabetes  # here: only who asks waits for scikit-learn

    random, patients = np.random.default_rng(integer(seed, "seed", least=0)), load_diabetes().data
    patients = (patients - patients.mean(0)) / patients.std(0)
    X = patients[random.integers(len(patients), size=integer(points, "points"))]
    X = X + JITTER * random.normal(size=X.shape)
    return Table(X, *diabetes_teacher(X), inputs=INPUTS, outputs=("progression",),
                 source="a network trained on the diabetes data of scikit-learn (Efron and others 2004)",
                 licence="MIT, as the library; the patients' data come with scikit-learn, BSD 3-Clause")
