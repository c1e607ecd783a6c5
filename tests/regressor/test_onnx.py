"""A regressor as an ONNX graph: the same values and gradients without PyTorch, by two runtimes where they are installed."""
import sys

import numpy as np
import pytest

import sobolev_lib as sl
from sobolev_lib.models import ACTIVATIONS


def saddle(outputs=None):
    X = np.random.default_rng(0).uniform(-1, 1, (40, 2))
    y, dy = np.sin(X[:, 0]) * X[:, 1], np.stack([np.cos(X[:, 0]) * X[:, 1], np.sin(X[:, 0])], 1)
    X, y, dy = 1e4 + 50 * X, 7 + 3 * y, 3 / 50 * dy
    if outputs is None:
        return X, y, dy
    return X, np.stack([y, 3 - y, 2 * y][:outputs], 1), np.stack([dy, -dy, 2 * dy][:outputs], 1)


def quick(**settings):
    return sl.SobolevRegressor(**{"hidden": (16, 8), "steps": 30} | settings)


@pytest.fixture(params=["reference", "onnxruntime"])
def answer(request):
    """From a model and points to what a runtime makes of them."""
    onnx = pytest.importorskip("onnx", reason="not installed")
    if request.param == "reference":
        reference = pytest.importorskip("onnx.reference")
        # where the reference's exponential leaves its range its sigmoid is 0 or 1 all the same
        return np.errstate(over="ignore", invalid="ignore")(
            lambda model, X: reference.ReferenceEvaluator(model).run(["value", "gradient"], {"x": X}))
    runtime = pytest.importorskip("onnxruntime", reason="not installed")
    assert onnx
    return lambda model, X: runtime.InferenceSession(model.SerializeToString()).run(["value", "gradient"], {"x": X})


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation_has_its_value_and_slope(activation, answer):
    X, y, dy = saddle()
    regressor = quick(activation=activation).fit(X, y, dy)
    # far outside too, where exponentials leave their range and hinges have long been passed
    for points in (X, 1e4 + 5e4 * np.random.default_rng(1).uniform(-1, 1, (30, 2))):
        value, gradient = answer(regressor.to_onnx(), points)
        assert value.dtype == gradient.dtype == np.float64
        exact = 1e-6 if activation == "gelu" else 1e-11
        np.testing.assert_allclose(value, regressor.predict(points), rtol=exact, atol=exact)
        np.testing.assert_allclose(gradient, regressor.predict_gradient(points), rtol=exact, atol=exact)


@pytest.mark.parametrize("outputs", [None, 1, 3])
@pytest.mark.parametrize("settings", [{}, {"ensemble": 3}, {"hidden": ()}, {"hidden": (4, 5, 6)}], ids=str)
def test_every_shape(outputs, settings, answer):
    X, y, dy = saddle(outputs)
    regressor = quick(**settings).fit(X, y, dy)
    for points in (X, X[:1]):
        for found, expected in zip(answer(regressor.to_onnx(), points), regressor.predict(points, return_gradient=True)):
            assert found.shape == expected.shape
            np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-11)


def test_single_precision_and_names(answer, tmp_path):
    import onnx

    pandas = pytest.importorskip("pandas", reason="not installed")
    X, y, dy = saddle()
    X = X - 1e4
    regressor = quick().fit(pandas.DataFrame(X, columns=["spot", "vol"]), y, dy)
    onnx.save(regressor.to_onnx(dtype="float32"), tmp_path / "r.onnx")
    model = onnx.load(tmp_path / "r.onnx")
    value, gradient = answer(model, X.astype(np.float32))
    assert value.dtype == gradient.dtype == np.float32
    expected = regressor.predict(pandas.DataFrame(X, columns=["spot", "vol"]), return_gradient=True)
    np.testing.assert_allclose(value, expected[0], rtol=1e-4)
    np.testing.assert_allclose(gradient, expected[1], atol=1e-5)
    assert {each.key: each.value for each in model.metadata_props} == {"inputs": "spot, vol"}
    with pytest.raises(ValueError, match="dtype: expected \"float32\" or \"float64\", got 'float16'"):
        regressor.to_onnx("float16")


def test_what_to_install_is_said(monkeypatch):
    regressor = quick().fit(*saddle())
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ImportError, match="onnx is needed here and is not installed: pip install onnx"):
        regressor.to_onnx()
    with pytest.raises(ValueError, match="not fitted"):
        quick().to_onnx()
