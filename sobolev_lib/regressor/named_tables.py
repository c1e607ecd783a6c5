"""Tables as users have them: what their rows and columns are called, and plain arrays of what they hold."""
import numpy as np
import torch
from scipy.sparse import issparse

from sobolev_lib._warnings import warn_outside

_COMPLEX = (complex, np.complexfloating)


def plain(value, name: str):
    """A tensor, on whatever device and with whatever graph, as an array; a masked array with NaN where it is masked.

    >>> plain(torch.ones(2, requires_grad=True), "y")
    array([1., 1.], dtype=float32)

    Raises ``TypeError`` for sparse tensors, ``ValueError`` for complex numbers.
    """
    refuse_complex(value, name)
    if isinstance(value, torch.Tensor):
        if value.layout != torch.strided:
            raise TypeError(f"{name}: expected a dense tensor, got a sparse one; pass {name}.to_dense()")
        value = value.detach().cpu()
        return (value.float() if value.dtype == torch.bfloat16 else value).numpy()         # NumPy has no such numbers
    if isinstance(value, np.ma.MaskedArray):               # scikit-learn and NumPy would take what lies beneath
        return np.ma.filled(value.astype(np.float64), np.nan) if np.ma.is_masked(value) else value.data
    return value


def refuse_complex(table, name: str) -> None:
    """Raises ``ValueError`` for complex numbers, among objects too: NumPy and pandas would drop the imaginary parts.

    >>> refuse_complex([1, 2.5], "y")
    """
    if isinstance(table, (list, tuple)):
        try:
            table = np.asarray(table)
        except (TypeError, ValueError):                    # rows of several lengths: what is asked next says so
            return
    kinds = {"c"} if isinstance(table, torch.Tensor) and table.is_complex() else _kinds(table)
    if "O" in kinds:
        kinds = kinds | {"c" for each in np.asarray(table, dtype=object).ravel() if isinstance(each, _COMPLEX)}
    if "c" in kinds:                                       # the second half are scikit-learn's words
        raise ValueError(f"{name}: expected real numbers, got complex ones. Complex data not supported: real and imaginary "
                         "parts can be columns of their own")


def _kinds(table) -> set[str]:
    """The kinds of a table's dtypes in NumPy's letters."""
    return {getattr(dtype, "kind", "") for dtype in np.atleast_1d(getattr(table, "dtypes", getattr(table, "dtype", "")))}


def refuse_dates(table, name: str) -> None:
    """Raises ``TypeError`` for dates and times: NaT would be a number, and units are nobody's guess.

    >>> refuse_dates(np.arange(3.0), "y")
    """
    if {"m", "M"} & _kinds(table):
        columns = [column for column, dtype in table.dtypes.items() if dtype.kind in "mM"] if hasattr(table, "columns") else []
        raise TypeError(f"{name}: expected numbers, got dates or times{f' in {columns}' if columns else ''}; pass numbers in a unit of "
                        "your choice, such as (t - t.min()) / np.timedelta64(1, 's')")


def numbers_of(table, name: str):
    """What holds numbers alone, as ``plain``; of pandas too, with NaN for entries that are missing there.

    >>> import pandas
    >>> numbers_of(pandas.Series([1.5, None], dtype="Float64"), "y")
    array([1.5, nan])

    Raises ``TypeError`` for sparse matrices, dates and times, ``ValueError`` for complex numbers.
    """
    if issparse(table):
        raise TypeError(f"{name}: expected a dense array, got a sparse one ({type(table).__name__}); pass {name}.toarray()")
    refuse_dates(table, name)
    if _index(table) is None:
        return plain(table, name)
    refuse_complex(table, name)
    try:
        return table.to_numpy(dtype=np.float64, na_value=np.nan)
    except (TypeError, ValueError):
        pass
    try:                                                   # objects, among them pandas.NA, which is no number
        return np.where(table.isna(), np.nan, table.to_numpy(dtype=object)).astype(np.float64)
    except (TypeError, ValueError):                        # text, for example: what is asked next says so
        return table


def rows_alike(X, **tables) -> list:
    """``tables``, by their names, with rows in the order of X's; where X names no rows, they must be in one order already.

    >>> import pandas
    >>> X, y = pandas.DataFrame({"a": [1, 2]}, index=["p", "q"]), pandas.Series([20, 10], index=["q", "p"])
    >>> [table.tolist() for table in rows_alike(X, y=y)]
    [[10, 20]]

    Raises ``ValueError`` as ``rows_as``.
    """
    if _index(X) is not None:
        return [rows_as(X, table, name) for name, table in tables.items()]
    named = {name: table for name, table in tables.items() if _index(table) is not None}
    for first, name in zip(list(named)[:1] * len(named), list(named)[1:]):
        if rows_as(named[first], named[name], name, of=first) is not named[name]:
            raise ValueError(f"{name}: expected rows in the order of {first}'s, {list(_index(named[first])[:3])} ..., got "
                             f"the same in another, {list(_index(named[name])[:3])} ...; X has no names of rows that could "
                             f"decide: pass {name}.loc[{first}.index] if its rows are in {first}'s order, "
                             f"{first}.loc[{name}.index] if in {name}'s")
    return list(tables.values())


def rows_as(X, table, name: str, of: str = "X"):
    """``table`` with its rows in the order of X's, where both name their rows (a pandas index); ``of``: what X is called.

    >>> import pandas
    >>> X, y = pandas.DataFrame({"a": [1, 2]}, index=["p", "q"]), pandas.Series([20, 10], index=["q", "p"])
    >>> rows_as(X, y, "y").tolist()
    [10, 20]

    Raises ``ValueError`` saying which mend is which where names leave two readings, or belong to other rows. Warns where
    one of the two was numbered by pandas and the other is numbered otherwise.
    """
    rows, own = _index(X), _index(table)
    if rows is None or own is None or rows.equals(own):
        return table
    mend = f"if row k of {name} belongs to row k of {of}, pass {name}.set_axis({of}.index)"
    by_name = f"{name}.loc[{of}.index]"
    common = len(set(rows) & set(own))
    numbered = "RangeIndex" in (type(rows).__name__, type(own).__name__)
    if len(rows) != len(own):
        if common == len(rows):
            raise ValueError(f"{name}: expected the {len(rows)} rows of {of}, got {len(own)} with these among them; pass "
                             f"{by_name}")
        return table                                       # its length will be refused
    if not (rows.is_unique and own.is_unique):
        if numbered:
            return table                                   # names that occur twice are no names
        raise ValueError(f"{name}: expected rows named as {of}'s, got another index with names that occur twice; {mend}")
    if common == len(rows):
        if numbered:
            # one was shuffled; the other may be older than that, or made from its numbers afterwards
            raise ValueError(f"{name}: expected rows in the order of {of}'s, {list(rows[:3])} ..., got the same in another, "
                             f"{list(own[:3])} ...; pass {by_name} if rows belong together "
                             f"by number, and {mend}")
        return table.loc[rows]
    dates = "DatetimeIndex" in (type(rows).__name__, type(own).__name__)   # of another zone, or as text, they say something, too
    if (common or dates) and not numbered:
        others = set(own) - set(rows)
        raise ValueError(f"{name}: expected the rows of {of}, got {len(rows) - common} others of {len(rows)}, such as "
                         f"{next(row for row in own if row in others)!r}; {mend}")
    if common and type(rows) is not type(own):             # two numberings: a part of a table, and what was made from it
        warn_outside(f"{name}: {common} of its {len(own)} rows are numbered as rows of {of}, in other places; row k is taken as "
                     f"that of row k of {of}. If that is right, pass {name}.set_axis({of}.index)")
    return table


def column_names(X, fitted=None) -> list:
    """The names of X's columns; those that an estimator was ``fitted`` with if X has none.

    >>> column_names(np.zeros((3, 2)))
    []
    """
    return list(getattr(X, "columns", getattr(fitted, "feature_names_in_", ())))


def check_outputs(y, known: list) -> list:
    """The names of y's columns; raises ``ValueError`` if they are the ``known`` ones in another order.

    >>> import pandas
    >>> check_outputs(pandas.DataFrame({"price": [1.0], "vega": [2.0]}), [])
    ['price', 'vega']
    """
    own = list(getattr(y, "columns", ()))
    if own != known and len(own) == len(known) and set(own) == set(known):
        raise ValueError(f"y: expected columns in the order of those of the first fit, {known}, got {own}; pass y[{known}]")
    return own


def columns_as(inputs: list, dy):
    """``dy`` with a column for each of the ``inputs``' names, in their order; NaN for those that it lacks.

    >>> import pandas
    >>> columns_as(["spot", "vol"], pandas.DataFrame({"spot": [0.6]}))
    array([[0.6, nan]])

    Raises ``ValueError`` if some names are the inputs' and others are not.
    """
    own = list(getattr(dy, "columns", ()))
    known = [name for name in own if name in inputs]
    if not known or inputs == own or len(set(inputs)) < len(inputs):
        return dy                                          # other names say nothing
    if len(set(own)) < len(own):
        raise ValueError(f"dy: expected a column for each of X's, {inputs}, got names that occur twice, {own}; rename them, "
                         "or pass dy.to_numpy()")
    if len(known) < len(own):
        others = [name for name in own if name not in known]
        raise ValueError(f"dy: expected columns named after X's, {inputs}, got {others} beside {known}; name each column "
                         "after the input that it is the slope along, or pass dy.to_numpy()")
    table = np.full((len(dy), len(inputs)), np.nan)
    for name in own:
        table[:, inputs.index(name)] = numbers_of(dy[name], "dy")
    return table


def check_columns(X) -> None:
    """Raises ``ValueError`` naming the columns of a table that are sparse, or hold text or categories, and what to do; ``TypeError``
    for dates and times.

    >>> import pandas
    >>> check_columns(pandas.DataFrame({"a": [1.0, 2.0]}))                 # (N, d) of numbers: fine
    """
    refuse_dates(X, "X")
    if _index(X) is None or not hasattr(X, "columns"):
        return
    sparse = [name for name, dtype in X.dtypes.items() if str(dtype).startswith("Sparse")]
    if sparse:
        raise ValueError(f"X: expected dense columns, got sparse ones in {sparse}; pass X.astype(float)")
    objects = [name for name, dtype in X.dtypes.items() if str(dtype) == "object"]
    missing = [name for name in objects if X[name].isna().any()]
    if missing:                                            # pandas.NA among objects: scikit-learn stumbles over it
        raise ValueError(f"X: expected a number in every row, but X contains NaN in {missing}")
    text = [name for name, dtype in X.dtypes.items() if str(dtype) in ("category", "str", "string")
            or name in objects and X[name].map(lambda each: isinstance(each, str)).any()]
    if text:
        raise ValueError(f"X: expected numbers, got text or categories in {text}; encode them first: make_pipeline("
                         f"make_column_transformer((OneHotEncoder(sparse_output=False), {text}), remainder=\"passthrough\", "
                         "verbose_feature_names_out=False).set_output(transform=\"pandas\"), SobolevRegressor()). Slopes "
                         "along the other columns are matched by name")


def _index(table):
    """The names of a table's rows, if it is one of pandas."""
    index = getattr(table, "index", None)
    return index if hasattr(index, "is_unique") and hasattr(index, "equals") else None
