"""Labels from autodiff, finite differences and tables; SobolevData as a container, a data set and a pytree."""
import copy
import pickle

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Subset, random_split

import sobolev_lib as sl
from sobolev_lib import SobolevData, label

DOUBLE = torch.float64


def points(*shape, seed=0, dtype=DOUBLE):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype) * 2 - 1


def cubic(x):
    """R^3 -> R^2: (x0 x1 x2, x0^3 + 2 x1^2)."""
    return torch.stack([x[:, 0] * x[:, 1] * x[:, 2], x[:, 0] ** 3 + 2 * x[:, 1] ** 2], dim=1)


def cubic_by_hand(x):
    n, zero = len(x), x.new_zeros(len(x))
    a, b, c = x.T
    jacobian = torch.stack([torch.stack([b * c, a * c, a * b], 1), torch.stack([3 * a**2, 4 * b, zero], 1)], 1)
    hessian = x.new_zeros(n, 2, 3, 3)
    hessian[:, 0, 0, 1] = hessian[:, 0, 1, 0] = c
    hessian[:, 0, 0, 2] = hessian[:, 0, 2, 0] = b
    hessian[:, 0, 1, 2] = hessian[:, 0, 2, 1] = a
    hessian[:, 1, 0, 0], hessian[:, 1, 1, 1] = 6 * a, 4
    return torch.stack([a * b * c, a**3 + 2 * b**2], 1), jacobian, hessian


class BlackBox:
    """A function nobody can differentiate: NumPy inside, and it counts its calls."""

    def __init__(self, f):
        self.f, self.calls = f, 0

    def __call__(self, x):
        self.calls += 1
        return self.f(np.asarray(x.cpu()))


# --- autodiff ---------------------------------------------------------------------------------------------------

def test_autodiff_labels_equal_derivatives_by_hand(device):
    x = points(7, 3).to(device)
    data = label(cubic, x, order=2)
    for tensor, expected in zip(data.derivatives, cubic_by_hand(x)):
        torch.testing.assert_close(tensor, expected, rtol=1e-13, atol=1e-13)
    third = label(cubic, x, order=3).derivatives[3]
    expected = torch.zeros(7, 2, 3, 3, 3, dtype=DOUBLE)
    for i, j, k in ((0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)):
        expected[:, 0, i, j, k] = 1
    expected[:, 1, 0, 0, 0] = 6
    torch.testing.assert_close(third, expected.to(device))


@pytest.mark.parametrize("method", ["autodiff", "finite-difference"])
@pytest.mark.parametrize("in_shape", [(), (1,), (3,), (2, 3), (1, 2, 2)], ids=str)
@pytest.mark.parametrize("out_shape", [(), (1,), (4,), (2, 2)], ids=str)
def test_labels_of_any_input_and_output_shape(method, in_shape, out_shape, device):
    x = points(5, *in_shape).to(device)
    weight = points(*out_shape, *in_shape, seed=1).to(device)
    f = lambda x: torch.tensordot(torch.sin(x), weight, dims=(list(range(1, x.ndim)),
                                                              list(range(len(out_shape), weight.ndim))))
    data = label(f, x, order=2, method=method)
    assert data.in_shape == in_shape and data.out_shape == out_shape and data.order == 2 and len(data) == 5
    assert data.values.shape == (5, *out_shape)
    wide = (5, *[1] * len(out_shape), *in_shape)
    torch.testing.assert_close(data.jacobian, weight * torch.cos(x).reshape(wide), rtol=1e-8, atol=1e-8)
    d = max(1, x[0].numel())
    flat = (-weight * torch.sin(x).reshape(wide)).reshape(5, -1, d)
    expected = torch.diag_embed(flat).reshape(5, *out_shape, *in_shape, *in_shape)
    torch.testing.assert_close(data.hessian, expected, rtol=1e-6, atol=1e-6)


def test_labels_carry_no_graph_and_leave_the_function_as_it_was():
    model = sl.models.MLP(3, 4, 2, activation="tanh", dtype=DOUBLE)
    x = points(5, 3).requires_grad_()
    for method in ("autodiff", "finite-difference"):
        data = label(model, x, order=2, method=method)
        assert not any(tensor.requires_grad for tensor in data.tensors)
    assert x.grad is None and all(p.grad is None for p in model.parameters())


def test_labels_under_no_grad_are_the_same():
    x = points(5, 3)
    with torch.no_grad():
        data = label(cubic, x, order=2)
    torch.testing.assert_close(data.hessian, cubic_by_hand(x)[2])


def test_order_zero_calls_for_no_derivative():
    assert label(lambda x: x.detach().sum(1), points(4, 2), order=0).order == 0


# --- finite differences -----------------------------------------------------------------------------------------

@pytest.mark.parametrize("order", [0, 1, 2])
def test_a_black_box_is_called_once(order):
    box = BlackBox(lambda x: np.sin(x).sum(axis=1))
    data = label(box, points(6, 4), order=order, method="finite-difference")
    assert box.calls == 1 and data.order == order


@pytest.mark.parametrize("order", [1, 2])
def test_differences_equal_derivatives_by_hand(order, device):
    x = points(9, 3).to(device)
    box = BlackBox(lambda x: np.stack([x.prod(axis=1), x[:, 0] ** 3 + 2 * x[:, 1] ** 2], axis=1))
    data = label(box, x, order=order, method="finite-difference")
    exact = cubic_by_hand(x)
    torch.testing.assert_close(data.values, exact[0], rtol=1e-14, atol=1e-14)
    torch.testing.assert_close(data.jacobian, exact[1], rtol=1e-9, atol=1e-9)
    if order == 2:
        torch.testing.assert_close(data.hessian, exact[2], rtol=1e-6, atol=1e-6)
        assert torch.equal(data.hessian, data.hessian.transpose(2, 3))


@pytest.mark.parametrize("step", [None, 1e-3, 0.5, 3.0])
def test_central_differences_are_exact_for_quadratics_at_any_step(step):
    # f = x^T A x + b^T x on rows of shape (2, 2)
    A, b, x = points(4, 4, seed=1), points(4, seed=2), points(6, 2, 2, seed=3)
    A = A + A.T
    f = lambda x: np.einsum("ni,ij,nj->n", z := x.reshape(len(x), 4), A.numpy(), z) + z @ b.numpy()
    data = label(BlackBox(f), x, order=2, method="finite-difference", step=step)
    torch.testing.assert_close(data.jacobian, (2 * x.reshape(6, 4) @ A + b).reshape(6, 2, 2), rtol=1e-8, atol=1e-8)
    torch.testing.assert_close(data.hessian, (2 * A).reshape(1, 2, 2, 2, 2).expand(6, -1, -1, -1, -1),
                               rtol=1e-6, atol=1e-6)


def test_the_step_grows_with_the_input():
    x = torch.tensor([[1e-3], [1.0], [1e6]], dtype=DOUBLE)
    data = label(lambda x: x[:, 0] ** 2, x, order=2, method="finite-difference")
    torch.testing.assert_close(data.jacobian, 2 * x, rtol=1e-8, atol=1e-8)
    torch.testing.assert_close(data.hessian, torch.full((3, 1, 1), 2.0, dtype=DOUBLE), rtol=1e-5, atol=0)


@pytest.mark.parametrize("step", [None, 1e-3, 0.1])
def test_differences_divide_by_the_step_that_was_taken_after_rounding(step):
    # float32 near 1000 knows multiples of 6e-5 only: a step of 1e-3 is really 0.98e-3 or 1.04e-3
    x = torch.tensor([[1000.1], [777.7], [0.3]])
    data = label(lambda x: x[:, 0], x, method="finite-difference", step=step)
    torch.testing.assert_close(data.jacobian, torch.ones(3, 1), rtol=1e-7, atol=0)


@pytest.mark.parametrize("wrap", [lambda y: y, lambda y: y.astype(np.float32), list, torch.as_tensor],
                         ids=["float64", "float32", "list", "tensor"])
def test_a_black_box_may_return_arrays_lists_or_tensors(wrap):
    x = points(3, 2)
    data = label(lambda x: wrap(x.numpy().sum(axis=1)), x, method="finite-difference", step=0.5)
    assert data.jacobian.dtype == DOUBLE
    torch.testing.assert_close(data.jacobian, torch.ones(3, 2, dtype=DOUBLE), rtol=1e-6, atol=1e-6)


def test_a_black_box_that_writes_into_its_argument_does_no_harm():
    def f(x):
        result = (x.numpy() ** 2).sum(axis=1)
        x.zero_()
        return result

    x = points(5, 2)
    before = x.clone()
    data = label(f, x, order=2, method="finite-difference")
    assert torch.equal(x, before) and torch.equal(data.inputs, before)
    torch.testing.assert_close(data.jacobian, 2 * before, rtol=1e-8, atol=1e-8)
    torch.testing.assert_close(data.hessian, 2 * torch.eye(2, dtype=DOUBLE).expand(5, 2, 2), rtol=1e-6, atol=1e-6)


# --- tables -----------------------------------------------------------------------------------------------------

def table(n=6, order=2, dtype=torch.float32):
    x = points(n, 3, dtype=dtype)
    return SobolevData(x, *[tensor.to(dtype) for tensor in cubic_by_hand(x)[:order + 1]])


def test_attributes():
    data = table()
    assert len(data) == 6 and data.order == 2 and data.in_shape == (3,) and data.out_shape == (2,)
    assert data.derivatives == (data.values, data.jacobian, data.hessian)
    values_only = SobolevData(data.inputs, data.values)
    assert values_only.order == 0 and values_only.jacobian is None and values_only.hessian is None
    assert SobolevData(data.inputs, data.values, None, None).order == 0
    assert SobolevData(data.inputs, data.values, data.jacobian, None).order == 1
    third = SobolevData(*data.tensors, torch.zeros(6, 2, 3, 3, 3))
    assert third.order == 3 and third.derivatives[3].shape == (6, 2, 3, 3, 3)


def test_a_function_of_one_number_may_drop_the_input_axis():
    x = torch.linspace(0, 1, 5)
    data = SobolevData(x, x**2, 2 * x, 2 * torch.ones(5))
    assert data.in_shape == () and data.out_shape == () and data.order == 2
    row = data[2]
    assert [tensor.shape for tensor in row] == [()] * 4
    torch.testing.assert_close(label(lambda x: x**2, x, 2).jacobian, 2 * x)


def test_arrays_and_lists_are_converted_and_copied():
    x = np.random.default_rng(0).random((4, 2))
    data = SobolevData(x, x.sum(1), np.ones((4, 2)))
    assert data.inputs.dtype == DOUBLE
    x[:] = 0
    assert data.inputs.abs().max() > 0, "the data changed with the caller's array"
    assert SobolevData([[1.0, 2.0]], [3.0], [[1.0, 1.0]]).inputs.dtype == torch.float32
    frozen = np.broadcast_to(np.array([1.0, 2.0]), (4, 2))
    frozen.setflags(write=False)
    assert SobolevData(frozen[::-1], np.ones(4)).inputs.shape == (4, 2)


def test_missing_entries_are_kept_and_counted():
    data = table()
    data.jacobian[0] = float("nan")
    data.hessian[1, 0, 2, 2] = float("nan")
    again = SobolevData(*data.tensors)
    assert again.jacobian[0].isnan().all() and "missing=7" in repr(again)


def test_repr_tells_what_is_inside():
    text = repr(table())
    for part in ("6 points", "order=2", "in_shape=(3,)", "out_shape=(2,)", "torch.float32", "cpu"):
        assert part in text
    assert "missing" not in text


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64], ids=str)
def test_to_moves_everything_and_leaves_the_original(dtype, device):
    data = table()
    data.jacobian[0, 0, 0] = float("nan")
    moved = data.to(dtype)
    assert all(tensor.dtype == dtype for tensor in moved.tensors) and moved.jacobian[0, 0, 0].isnan()
    assert all(tensor.dtype == torch.float32 for tensor in data.tensors)
    both = data.to(device, DOUBLE)
    assert both.inputs.dtype == DOUBLE and both.order == 2 and all(tensor.device.type == device for tensor in both.tensors)


# --- selecting --------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("index, rows", [
    (slice(1, 4), [1, 2, 3]), (slice(None, None, 2), [0, 2, 4]), (slice(-2, None), [4, 5]),
    ([4, 0, 0], [4, 0, 0]), ((5, 1), [5, 1]), ([True, False] * 3, [0, 2, 4]),
    (torch.tensor([3, -1]), [3, 5]), (torch.arange(6) > 3, [4, 5]),
    (np.array([2, 1]), [2, 1]), (np.arange(6) < 2, [0, 1]),
], ids=repr)
def test_selecting_gives_sobolev_data_with_those_rows(index, rows, device):
    data = table().to(device)
    part = data[index]
    assert isinstance(part, SobolevData) and len(part) == len(rows) and part.order == 2
    for tensor, whole in zip(part.tensors, data.tensors):
        assert torch.equal(tensor, torch.stack([whole[row] for row in rows]))


@pytest.mark.parametrize("index", [3, -3, np.int64(3), torch.tensor(3), np.array(3)], ids=repr)
def test_one_index_gives_one_point_as_a_tuple(index):
    data = table()
    row = data[index]
    assert isinstance(row, tuple) and [tensor.shape for tensor in row] == [(3,), (2,), (2, 3), (2, 3, 3)]
    assert all(torch.equal(tensor, whole[3]) for tensor, whole in zip(row, data.tensors))


def test_iterating_ends():
    assert len(list(table())) == 6


@pytest.mark.parametrize("order", [0, 1, 2])
def test_data_loader_batches_make_data_again(order):
    data = table(7, order)
    loader = DataLoader(data, batch_size=3, shuffle=True, generator=torch.Generator().manual_seed(0))
    batches = [SobolevData(*batch) for batch in loader]
    assert [len(batch) for batch in batches] == [3, 3, 1] and all(batch.order == order for batch in batches)
    together = torch.cat([batch.inputs for batch in batches])
    assert torch.equal(together.sort(0).values, data.inputs.sort(0).values)
    scalars = SobolevData(torch.arange(4.0), torch.arange(4.0) ** 2)
    assert [tuple(tensor.shape) for tensor in next(iter(DataLoader(scalars, batch_size=4)))] == [(4,), (4,)]


def test_subsets_and_splits():
    data = table()
    first, second = random_split(data, [4, 2], generator=torch.Generator().manual_seed(0))
    assert len(first) == 4 and len(SobolevData(*next(iter(DataLoader(second, batch_size=2))))) == 2
    rows = Subset(data, np.array([5, 0]))
    assert torch.equal(rows[0][0], data.inputs[5]) and torch.equal(rows[1][1], data.values[0])


def test_copies_and_pickles():
    data = table()
    data.jacobian[0, 0, 0] = float("nan")
    for other in (copy.deepcopy(data), pickle.loads(pickle.dumps(data))):
        for a, b in zip(other.tensors, data.tensors):
            torch.testing.assert_close(a, b, rtol=0, atol=0, equal_nan=True)
            assert a is not b


# --- as a pytree ------------------------------------------------------------------------------------------------

def test_vmap_takes_stacked_data_and_gives_data_back(device):
    data = table().to(device)
    leaves, structure = torch.utils._pytree.tree_flatten(data)
    assert len(leaves) == 4
    stacked = torch.utils._pytree.tree_unflatten([torch.stack([leaf, 2 * leaf]) for leaf in leaves], structure)
    sums = torch.vmap(lambda d: d.values.sum() + d.hessian.sum() * d.order)(stacked)
    once = data.values.sum() + 2 * data.hessian.sum()
    torch.testing.assert_close(sums, torch.stack([once, 2 * once]))
    halves = torch.vmap(lambda d: d[:2])(stacked)
    assert isinstance(halves, SobolevData) and halves.inputs.shape == (2, 2, 3)


# --- what is the caller's stays the caller's ------------------------------------------------------------------------

def doubles_in_place(z):
    z.mul_(2)
    return z.sin()[:, 0]


@pytest.mark.parametrize("order", [0, 1])
@pytest.mark.parametrize("method", ["autodiff", "finite-difference"])
def test_a_function_that_works_in_place_changes_neither_points_nor_labels(order, method):
    x = torch.tensor([[1.2], [0.3]], dtype=torch.float64)
    data = label(doubles_in_place, x, order=order, method=method)
    assert x.tolist() == data.inputs.tolist() == [[1.2], [0.3]]
    torch.testing.assert_close(data.values, torch.sin(2 * x[:, 0]))
    if order:
        torch.testing.assert_close(data.jacobian, 2 * torch.cos(2 * x), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("convert", [torch.as_tensor, np.asarray], ids=["tensors", "arrays"])
def test_data_are_copies(convert):
    x, y, dy = [convert(np.ones(shape)) for shape in ((3, 2), (3,), (3, 2))]
    data = SobolevData(x, y, dy)
    for given in (x, y, dy):
        given[:] = 7.0
    assert all((tensor == 1).all() for tensor in data.tensors)


def test_a_model_or_loss_that_works_in_place_trains_on_the_data_as_they_are():
    class InPlace(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = sl.models.MLP(2, 8, 1, generator=torch.Generator().manual_seed(0))

        def forward(self, x):
            return self.inner(x.mul_(1.5))

    class OutOfPlace(InPlace):
        def forward(self, x):
            return self.inner(1.5 * x)

    def own(prediction, target):
        return (prediction - target).square()

    def changes_labels(prediction, target):
        return target.sub_(prediction.detach()).add_(prediction.detach()).mul_(0.5).mul_(2).sub(prediction).square()

    weights = []
    for model, loss in ((InPlace(), own), (OutOfPlace(), own)):
        data = SobolevData(torch.ones(5, 2), torch.arange(5.0))
        sl.fit(model, data, loss=sl.SobolevLoss(0, value_loss=loss), steps=5, progress=False)
        assert (data.inputs == 1).all()
        weights.append(torch.cat([p.detach().flatten() for p in model.parameters()]))
    assert torch.equal(*weights)
    data = SobolevData(torch.ones(5, 2), torch.arange(5.0))
    sl.fit(OutOfPlace(), data, loss=sl.SobolevLoss(0, value_loss=changes_labels), steps=5, progress=False)
    assert data.values.tolist() == [0, 1, 2, 3, 4]


# --- what must not pass silently ------------------------------------------------------------------------------------

@pytest.mark.parametrize("f, x", [
    (lambda z: z[0] * z[1], [[1., 2.], [3., 5.]]),         # as many points as inputs
    (lambda z: torch.stack([z[0], z[1]]), [[1., 2., 4.], [3., 5., 4.]]),                       # as many as outputs
    (lambda z: z[0], [[1.]]), (lambda z: z @ z.T, [[1., 2.], [3., 5.], [0., 1.]]),
    (lambda z: z.sum(0), [[1., 2.], [3., 5.]]),
])
def test_a_function_of_one_point_is_refused(f, x):
    with pytest.raises(ValueError, match="f: expected a function of a batch of points"):
        label(f, x, order=0)


def test_a_black_box_of_one_point_is_refused_in_its_one_call():
    box = BlackBox(lambda z: z[0] * z[1])
    with pytest.raises(ValueError, match="expected one output row per input row.*one point"):
        label(box, [[1., 2.], [3., 5.]], order=0, method="finite-difference")
    assert box.calls == 1
    assert label(lambda z: z[:, 0] * z[:, 1], [[1., 2.], [3., 5.]], order=0, method="finite-difference").values.tolist() == [2, 15]


def test_a_function_whose_rows_depend_on_each_other_is_told_and_one_that_draws_is_not():
    x = points(6, 2)
    with pytest.warns(UserWarning, match="its value at a point changes with the points beside it"):
        label(lambda z: (z - z.mean(0)).square().sum(1), x)
    generator = torch.Generator().manual_seed(0)
    label(lambda z: z.sum(1) + torch.randn(len(z), generator=generator, dtype=z.dtype), x)
    module = torch.nn.Sequential(torch.nn.Linear(2, 8), torch.nn.Dropout(0.5), torch.nn.Linear(8, 1)).to(x.dtype)
    label(module.eval(), x)
    with pytest.warns(UserWarning, match="a module in training mode .dropout.., and these labels are one draw"):
        label(module.train(), x)


@pytest.mark.parametrize("slot", ["jacobian", "values"])
def test_a_mask_means_missing(slot):
    x, y, dy = np.ones((3, 2)), np.ones(3), np.ones((3, 2))
    if slot == "jacobian":
        data = SobolevData(x, y, np.ma.array(dy, mask=[[0, 1], [0, 0], [1, 1]]))
        assert data.jacobian.isnan().tolist() == [[False, True], [False, False], [True, True]]
    else:
        assert SobolevData(x, np.ma.array(y, mask=[0, 1, 0]), dy).values.isnan().tolist() == [False, True, False]
        with pytest.raises(ValueError, match="values: expected finite numbers, got 1"):
            SobolevData(x, np.ma.array(y, mask=[0, 1, 0]))
    with pytest.raises(ValueError, match="inputs: expected finite"):
        SobolevData(np.ma.array(x, mask=[[0, 1], [0, 0], [0, 0]]), y, dy)


def test_tables_whose_columns_or_rows_are_in_another_order_are_refused():
    pandas = pytest.importorskip("pandas", reason="not installed")
    x = pandas.DataFrame({"a": [1., 2., 4.], "b": [3., 5., 6.]}, index=["p", "q", "r"])
    dy, y = x[["a", "b"]] * 2, x["a"] * x["b"]
    assert SobolevData(x, y, dy).order == 1
    assert SobolevData(x, y, dy.rename(columns={"a": "delta", "b": "vega"})).order == 1        # other names say nothing
    assert SobolevData(x, y.reset_index(drop=True), dy).order == 1                             # nor does a plain numbering
    with pytest.raises(ValueError, match=r"jacobian: expected columns in the order of the inputs', \['a', 'b'\], got \['b', 'a'\]"):
        SobolevData(x, y, dy[["b", "a"]])
    for name, wrong in (("values", (y[::-1], dy)), ("jacobian", (y, dy[::-1]))):
        with pytest.raises(ValueError, match=f"{name}: expected rows in the order of the inputs'"):
            SobolevData(x, *wrong)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int8, torch.int32])
def test_indices_of_any_integer_dtype_are_indices(dtype):
    data = SobolevData(torch.arange(3.0)[:, None], torch.arange(3.0))
    assert data[torch.tensor([1, 0, 1], dtype=dtype)].values.tolist() == [1, 0, 1]
    assert data[np.array([1, 0, 1], dtype=np.uint8)].values.tolist() == [1, 0, 1] and len(data[[]]) == 0


def test_a_value_may_be_missing_where_its_slope_is_known():
    nan = float("nan")
    x, y, dy = torch.rand(3, 2), torch.tensor([1.0, nan, 2.0]), torch.tensor([[1.0, nan], [nan, 2.0], [nan, nan]])
    data = SobolevData(x, y, dy)
    one, reference = [sl.models.MLP(2, 8, 1, generator=torch.Generator().manual_seed(0)) for _ in range(2)]
    sl.SobolevLoss(1)(one, data).backward()
    point = x.clone().requires_grad_()
    prediction = reference(point)[:, 0]
    slopes, = torch.autograd.grad(prediction.sum(), point, create_graph=True)
    errors = [prediction[0] - 1, prediction[2] - 2, slopes[0, 0] - 1, slopes[1, 1] - 2]
    (sum(error.square() for error in errors) / 3).backward()
    for a, b in zip(one.parameters(), reference.parameters()):
        torch.testing.assert_close(a.grad, torch.zeros_like(a) if b.grad is None else b.grad)
    with pytest.raises(ValueError, match="values: expected finite numbers, got 1 .*missing only where a derivative is known"):
        SobolevData(x, torch.tensor([1.0, 1.0, nan]), dy)
    scaled = sl.Standardized(one, data)
    assert float(scaled.output_mean) == 1.5 and float(scaled.output_std) == 0.5
    assert scaled.standardize(data).values.isnan().tolist() == [False, True, False]
    with pytest.raises(ValueError, match="kl: expected all logits of a point or none"):
        sl.SobolevLoss(0, value_loss="kl")(sl.models.MLP(2, 8, 2), SobolevData(
            x, torch.tensor([[1.0, nan]] * 3), torch.ones(3, 2, 2)))


# --- weights of points ----------------------------------------------------------------------------------------------

def test_weights_stay_with_their_points():
    data = SobolevData(torch.arange(4.0)[:, None], torch.arange(4.0), torch.ones(4, 1), weights=[0.0, 1.0, 2.0, 3.0])
    assert data[1:3].weights.tolist() == [1, 2] and data[[3, 0]].weights.tolist() == [3, 0]
    assert data.to(torch.float64).weights.dtype == torch.float64 and data.up_to(0).weights is data.weights
    assert "weighted" in repr(data) and "weighted" not in repr(SobolevData(data.inputs, data.values))
    assert len(data.tables) == 4 and len(data.tensors) == 3
    doubled = torch.utils._pytree.tree_map(lambda t: 2 * t, data)
    assert doubled.weights.tolist() == [0, 2, 4, 6] and doubled.order == 1
    assert data.mean_squares(1) == (pytest.approx((1 + 2 * 4 + 3 * 9) / 4), pytest.approx(6 / 4))


@pytest.mark.parametrize("weights, error, message", [
    (np.ones(3), ValueError, r"weights: expected shape \(4,\), one a point, got \(3,\)"),
    (np.array([1.0, -1.0, 1.0, 1.0]), ValueError, "weights: expected finite numbers >= 0"),
    (np.array([1.0, np.nan, 1.0, 1.0]), ValueError, "weights: expected finite numbers >= 0"),
    (np.zeros(4), ValueError, "not all 0, got zeros only"),
    (np.ones(4, np.float32), TypeError, "weights: expected torch.float64"),
])
def test_weights_that_do_not_fit_are_refused(weights, error, message):
    with pytest.raises(error, match=message):
        SobolevData(np.zeros((4, 1)), np.zeros(4), weights=weights)


def test_weights_in_another_order_are_refused():
    pandas = pytest.importorskip("pandas")
    inputs = pandas.DataFrame(torch.rand(4, 2).numpy(), index=list("abcd"))
    weights = pandas.Series([1.0, 2.0, 3.0, 4.0], index=list("dcba"), dtype="float32")
    with pytest.raises(ValueError, match="weights: expected rows in the order of the inputs'"):
        SobolevData(inputs, torch.rand(4).numpy(), weights=weights)
    assert SobolevData(inputs, torch.rand(4).numpy(), weights=weights.set_axis(list("abcd"))).weights.tolist() == [1, 2, 3, 4]
