"""Files that others have made to harm, whole by their own account and with a right sum: a clear error, and soon."""
import json
import pickle

import numpy as np
import pytest
import torch

import sobolev_lib as sl
from sobolev_lib import records
from sobolev_lib._tensor_files import read_tensors, write_tensors

X = np.random.default_rng(0).uniform(-1, 1, (40, 2))
DATA = sl.SobolevData(*[torch.tensor(t, dtype=torch.float32) for t in (X, X[:, 0] * X[:, 1], X[:, ::-1].copy())])
DEEP = "[" * 100_000                                       # Python's reader of JSON gives up with an error of its own


def put(value, place, new):
    """Return a header with something else in one place; ``new`` is taken out where it is ``...``."""
    at = value = json.loads(json.dumps(value))
    for key in place[:-1]:
        at = at[key]
    if new is ...:
        del at[place[-1]]
    else:
        at[place[-1]] = new
    return value


def rewritten(path, place, new, kind):
    """Write a file anew with a right sum, and one place of its header, or one of its tensors, changed."""
    tensors, about = read_tensors(path, "try")
    path.unlink()                                          # a checkpoint's place is kept for its run
    if place == "header":
        about = about | {kind: new}
    elif isinstance(place, str):
        tensors = {name: new if name == place else tensor for name, tensor in tensors.items() if (name, new) != (place, ...)}
    else:
        about = about | {kind: json.dumps(put(json.loads(about[kind]), place, new))}
    write_tensors(path, tensors, about)


@pytest.fixture(scope="module")
def regressor():
    estimator = sl.SobolevRegressor(hidden=(8,), activation="silu", steps=5, ensemble=2)
    return estimator.fit(X, X[:, 0] * X[:, 1], X[:, ::-1].copy())


@pytest.mark.parametrize("place, new", [
    (["members"], 10**12),
    (["choice", "plan", "hidden"], [10**9, 10**9]),
    (["n_features"], 10**12),
    (["choice", "held_out"], None),
    (["choice", "plan", "settings"], "x"),
    (["parameters"], ["hidden"]),
    (["histories"], 3),
    (["stream", "divisors"], [[1e400, 1]]),
    ("header", DEEP),
    ("network.0.weight", ...),
    ("network.0.weight", torch.full((8, 2), torch.nan, dtype=torch.float64)),
])
def test_regressors(regressor, tmp_path, place, new):
    regressor.save(tmp_path / "a")
    rewritten(tmp_path / "a", place, new, "SobolevRegressor")
    with pytest.raises(ValueError, match="load: expected a file written by SobolevRegressor.save, got .*a: "):
        sl.SobolevRegressor.load(tmp_path / "a")


def one(path):
    model = sl.models.MLP(2, 8, 1, generator=torch.Generator().manual_seed(0))
    return sl.fit(model, DATA, steps=10, batch_size=16, validation=DATA, patience=5, evaluate_every=5, progress=False,
                  checkpoint=path)


def many(path):
    models = [sl.models.MLP(2, 8, 1, generator=torch.Generator().manual_seed(k)) for k in range(2)]
    return sl.fit_many(models, DATA, steps=10, validation=DATA, patience=5, evaluate_every=5, progress=False, checkpoint=path)


@pytest.mark.parametrize("train, place, new", [
    (one, ["progress"], None),
    (one, ["progress", "history", "seconds"], None),
    (one, ["progress", "history", "steps"], [10**12]),     # a learning rate's schedule would be stepped through
    (one, ["progress", "history", "train", "loss"], 1),
    (one, ["progress", "history", "other"], 1),
    (one, ["progress", "position"], ...),
    (one, ["optimizers"], []),
    (one, ["optimizers", 0, "groups"], None),
    (one, "model.0.weight", torch.zeros(3)),
    (one, "best.0.weight", torch.zeros(3)),
    (one, "random.cpu", torch.zeros(7)),
    (one, "header", DEEP),
    (many, ["progress"], {}),
    (many, ["progress", "bounds"], [0, 10**12]),
    (many, ["progress", "parts"], [None]),
    (many, ["progress", "runs"], []),
    (many, "0.rows", torch.zeros(1)),
])
def test_checkpoints(tmp_path, train, place, new):
    path = tmp_path / "a"
    train(path)
    rewritten(path, place, new, "sobolev_lib")
    before = path.read_bytes()
    with pytest.raises(ValueError, match="checkpoint: expected .*, got .* in .*a"):
        train(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("content", [
    DEEP.encode(), b"", b"\0" * 100, b'{"results": "\xe9"}', b'{"a": ' + b"1" * 5000 + b"}", pickle.dumps({"config": {}}),
    b"version https://git-lfs.github.com/spec/v1\n", json.dumps({"config": {}}).encode("utf-16")],
    ids=["deep", "empty", "zeros", "latin", "digits", "pickle", "pointer", "utf-16"])
def test_records(tmp_path, content):
    with records.records_in(tmp_path):
        (tmp_path / "step-cost-cpu.json").write_bytes(content)
        with pytest.raises(ValueError, match="record: expected JSON in .*step-cost-cpu.json, got something else"):
            records.load_record("step-cost")


def test_a_folder_is_no_record(tmp_path):
    (tmp_path / "step-cost-cpu.json").mkdir()
    with records.records_in(tmp_path), pytest.raises(ValueError, match="record: expected JSON in .*step-cost-cpu.json"):
        records.load_record("step-cost")
