"""partial_fit: what it remembers from call to call, through files too, and what it refuses."""
import numpy as np
import pytest
import torch

import sobolev_lib as sl


def saddle(n=60, seed=0):
    X = np.random.default_rng(seed).uniform(-1, 1, (n, 2))
    return X, np.sin(X[:, 0]) * X[:, 1], np.stack([np.cos(X[:, 0]) * X[:, 1], np.sin(X[:, 0])], 1)


def quick(**settings):
    return sl.SobolevRegressor(**{"hidden": (16,), "steps": 30, "lr": 1e-2, "batch_size": 20} | settings)


def through_a_file(regressor, folder):
    regressor.save(folder / "r.safetensors")
    return sl.SobolevRegressor.load(folder / "r.safetensors")


def parts(count=4):
    X, y, dy = saddle()
    return [(X[k::count], y[k::count], dy[k::count]) for k in range(count)]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("ensemble", [1, 2])
@pytest.mark.parametrize("first", ["fit", "partial_fit"])
def test_a_file_between_two_calls_changes_nothing(ensemble, first, dtype, tmp_path):
    X, _, _ = saddle()
    make = lambda: getattr(quick(ensemble=ensemble, dtype=dtype), first)(*parts()[0], np.linspace(1, 3, 15))
    whole, broken = make(), through_a_file(make(), tmp_path)
    # settings that change from call to call, sample weights, and labels that come and go
    calls = [({"lr": 3e-3}, {}), ({"derivative_weight": 0.3}, {"sample_weight": np.full(15, 8.0)}), ({"batch_size": 5}, {}),
             ({"lr": 1e-2, "derivative_weight": [1.0, 0.2]}, {"sample_weight": np.linspace(0, 1, 15)})]
    for part, (changed, more) in zip(parts(), calls):
        for regressor in (whole, broken):
            regressor.set_params(**changed).partial_fit(*part, **more)
        broken = through_a_file(broken, tmp_path)
        np.testing.assert_array_equal(broken.predict(X), whole.predict(X))
    for regressor in (whole, broken):
        regressor.partial_fit(*parts()[0][:2])
    np.testing.assert_array_equal(broken.predict_gradient(X), whole.predict_gradient(X))
    assert [history.train for history in broken.histories_] == [history.train for history in whole.histories_]


def test_each_call_has_its_own_settings():
    X, y, dy = saddle()
    found = {}
    for name, changed in {"same": {}, "small steps": {"lr": 1e-9}, "values": {"derivative_weight": 0.0},
                          "all at once": {"batch_size": 60}, "in double": {"dtype": "float64"}}.items():
        regressor = quick().partial_fit(X, y, dy)
        before = regressor.predict(X)
        found[name] = regressor.set_params(**changed).partial_fit(X, y, dy).predict(X) - before
    moved = {name: np.abs(change).max() for name, change in found.items()}
    assert moved["small steps"] < 1e-6 < 1e-3 < moved["same"]
    for name in ("values", "all at once"):
        assert np.abs(found[name] - found["same"]).max() > 1e-3
    np.testing.assert_allclose(found["in double"], found["same"], atol=1e-4)
    assert regressor.histories_[0].steps == [1, 2, 3, 4, 5, 6]


def test_a_weight_means_the_same_in_each_call():
    X, y, dy = saddle()
    labels = lambda: (X, y, dy)

    def after(*weights):
        regressor = quick()
        for each in weights:
            regressor.partial_fit(*labels(), None if each is None else np.full(60, each))
        return regressor.predict(X)

    plain = after(None, None, None)
    np.testing.assert_array_equal(after(1.0, None, 1.0), plain)
    np.testing.assert_array_equal(after(4.0, 4.0, 4.0), plain)                                # the unit is nobody's business
    assert np.abs(after(1.0, 4.0, 1.0) - plain).max() > 1e-4
    np.testing.assert_array_equal(after(2.0, 8.0, 2.0), after(1.0, 4.0, 1.0))
    # and as many copies are the same as a weight
    counts = 2 + np.arange(60) % 3
    copies = quick().partial_fit(*labels()).partial_fit(*[np.repeat(table, counts, axis=0) for table in labels()])
    weighted = quick().partial_fit(*labels()).partial_fit(*labels(), counts)
    np.testing.assert_array_equal(copies.predict(X), weighted.predict(X))
    # what is said with little weight changes little
    moved = []
    for weight in (1.0, 1e-6):
        regressor = quick().partial_fit(*labels()).partial_fit(*labels())
        without = regressor.predict(X)
        moved.append(np.abs(regressor.partial_fit(X, y + 5, dy, np.full(60, weight)).predict(X) - without).mean())
    assert moved[1] < moved[0]


def test_terms_are_divided_by_the_first_labels_of_their_kind():
    X, y, dy = saddle()
    unknown = np.full_like(dy, np.nan)
    divisors = lambda regressor: regressor._stream.divisors
    known = divisors(quick().partial_fit(X, y, dy))
    assert divisors(quick().partial_fit(X, y)) == {0: known[0]}
    assert divisors(quick().partial_fit(X, y, unknown)) == {0: known[0]}
    assert divisors(quick().partial_fit(X, y).partial_fit(X, y, dy)) == pytest.approx(known)
    assert divisors(quick().fit(X, y, dy).partial_fit(X, 100 * y, 100 * dy)) == known
    scaled = quick().fit(X, y, dy).scaling_.standardize(sl.SobolevData(X, y, dy))
    assert known == pytest.approx(dict(enumerate(scaled.mean_squares(1))), rel=1e-5)


@pytest.mark.parametrize("changed", [{"hidden": (8,)}, {"activation": "tanh"}, {"ensemble": 2}])
def test_other_networks_are_refused(changed, tmp_path):
    X, y, dy = saddle()
    regressor = quick().partial_fit(X, y, dy)
    before = regressor.predict(X)
    with pytest.raises(ValueError, match="partial_fit: expected data and parameters of the networks that are there"):
        regressor.set_params(**changed).partial_fit(X, y, dy)
    np.testing.assert_array_equal(regressor.predict(X), before)


def test_a_call_that_fails_leaves_what_was_there():
    X, y, dy = saddle()
    regressor = quick(ensemble=2).partial_fit(X, y, dy)
    before = regressor.predict(X)
    for _ in range(2):
        with pytest.raises(FloatingPointError):
            regressor.set_params(lr=1e30).partial_fit(X, y, dy)
        np.testing.assert_array_equal(regressor.predict(X), before)
    expected = quick(ensemble=2).partial_fit(X, y, dy).partial_fit(X, y, dy).predict(X)
    np.testing.assert_array_equal(regressor.set_params(lr=1e-2).partial_fit(X, y, dy).predict(X), expected)
    unfitted = quick(lr=1e30)
    with pytest.raises(FloatingPointError):
        unfitted.partial_fit(X, y, dy)
    with pytest.raises(ValueError, match="not fitted"):
        unfitted.predict(X)


def test_a_file_without_a_stream_can_go_on(tmp_path):
    import json

    from safetensors import safe_open
    from safetensors.torch import save_file

    X, y, dy = saddle()
    quick().fit(X, y, dy).save(tmp_path / "r.safetensors")
    with safe_open(tmp_path / "r.safetensors", framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}
        header = json.loads(file.metadata()["SobolevRegressor"])
    assert not any(name.startswith("adam") for name in tensors)                                # where there was no pass
    del header["stream"]
    save_file(tensors, tmp_path / "earlier.safetensors", metadata={"SobolevRegressor": json.dumps(header)})
    loaded = sl.SobolevRegressor.load(tmp_path / "earlier.safetensors")
    assert torch.isfinite(torch.as_tensor(loaded.partial_fit(X, y, dy).predict(X))).all()
