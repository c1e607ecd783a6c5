"""What a regressor is after a fit that failed, after changed parameters, and with nothing held out to compare with."""
import numpy as np
import pandas
import pytest
import torch

from sobolev_lib import SobolevRegressor

X = np.random.default_rng(0).uniform(-1, 1, (60, 2))
Y, DY = np.sin(X).sum(axis=1), np.cos(X)
SMALL = {"hidden": (16,), "steps": 50}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_fit_that_fails_leaves_what_was_fitted_before(dtype):
    regressor = SobolevRegressor(**SMALL, dtype=dtype).fit(X, Y, DY)
    before = regressor.predict(X)
    regressor.set_params(optimizer=torch.optim.SparseAdam)                      # which has no use for such gradients
    with pytest.raises(RuntimeError):
        regressor.fit(X[:, :1], Y, DY[:, :1])
    assert np.array_equal(regressor.predict(X), before) and len(regressor.histories_) == 1
    with pytest.raises(RuntimeError):
        SobolevRegressor(**SMALL, optimizer=torch.optim.SparseAdam).fit(X, Y, DY)


def test_a_partial_fit_that_fails_can_still_predict():
    regressor = SobolevRegressor(**SMALL, lr=1e30)
    with pytest.raises(FloatingPointError):
        for _ in range(5):
            regressor.partial_fit(X, Y, DY)
    assert all(parameter.dtype == torch.float64 for parameter in regressor.network_.parameters())


@pytest.mark.parametrize("changed", [{"activation": "relu"}, {"hidden": (8,)}])
def test_parameters_changed_after_the_fit_do_not_change_what_is_saved(tmp_path, changed):
    regressor = SobolevRegressor(**SMALL).fit(X, Y, DY)
    regressor.set_params(**changed).save(tmp_path / "saved.safetensors")
    loaded = SobolevRegressor.load(tmp_path / "saved.safetensors")
    assert np.array_equal(loaded.predict(X), regressor.predict(X)) and list(np.atleast_1d(loaded.hidden)) == [16]


def test_without_a_held_out_value_the_spread_stays_as_it_is_and_can_be_saved(tmp_path):
    some = Y.copy()
    some[5:] = np.nan
    regressor = SobolevRegressor(**SMALL, ensemble=2, validation_fraction=0.1).fit(X, some, DY)
    assert np.isfinite(regressor.predict(X, return_std=True)[1]).all()
    regressor.save(tmp_path / "saved.safetensors")
    assert SobolevRegressor.load(tmp_path / "saved.safetensors").std_scale_.isfinite().all()


def test_a_refit_without_held_out_points_forgets_their_scale():
    regressor = SobolevRegressor(**SMALL, ensemble=2, validation_fraction=0.2, warm_start=True).fit(X, Y, DY)
    assert float(regressor.std_scale_) != 1
    assert float(regressor.set_params(validation_fraction=0.0).fit(X, Y, DY).std_scale_) == 1


def test_a_module_takes_points_of_as_many_inputs_only():
    module = SobolevRegressor(**SMALL).fit(X, Y, DY).to_torch()
    for wrong in (torch.ones(5, 1, dtype=torch.float64), torch.ones(2, dtype=torch.float64)):
        with pytest.raises(ValueError, match="as many inputs d as in training"):
            module(wrong)


def test_rows_that_either_side_may_have_shuffled_are_asked_about():
    table = pandas.DataFrame(X, columns=["a", "b"]).assign(y=Y).sample(frac=1, random_state=0)
    again = pandas.DataFrame(table[["a", "b"]].to_numpy(), columns=["a", "b"])            # its numbers are new ones
    with pytest.raises(ValueError, match="y: expected rows in the order of X's"):
        SobolevRegressor(**SMALL).fit(again, table["y"])
