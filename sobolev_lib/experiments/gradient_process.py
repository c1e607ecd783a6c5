"""A Gaussian process of values, or of values and slopes, by ``gpytorch``.

New records of ``black-box-peers`` and ``harmful-slopes`` need the package.
"""
import copy

import numpy as np
import torch
from torch import Tensor

from sobolev_lib.experiments.own_peers import Predict

_ROWS = 64                                                 # asked at once: with slopes, each brings d + 1 columns


def gaussian_process(X, y, dy, seed: int, *, length: float, noise: float, steps: int = 50, directions=None) -> Predict:
    """The process that its likelihood chooses: X (N, d), y (N,) or (N, q), dy shaped (N, d) or (N, q, d), or None.

    With ``directions`` (N, d), one a point, dy has y's shape: slopes along these alone.

    >>> X = np.random.default_rng(0).uniform(-1, 1, (20, 2))
    >>> predict = gaussian_process(X, np.sin(X[:, 0]), None, 0, length=1.0, noise=1e-4)        # doctest: +SKIP
    >>> predict(X)[0].shape                                                                    # doctest: +SKIP
    (20,)

    A squared-exponential kernel with a length for each input, one process an output, on z-scores. L-BFGS maximises the
    likelihood by lengths, size and noise, from ``length`` and ``noise`` on; slopes have a noise of their own for each input,
    or one along directions. Answers with values alone. ``seed`` is not used: nothing is drawn.
    """
    import gpytorch

    X, Y = torch.as_tensor(X), torch.as_tensor(y).reshape(len(X), -1)
    mean, std, low, size = X.mean(0), X.std(0), Y.mean(0), Y.std(0)
    labels, z = ((Y - low) / size).T.unsqueeze(2), (X - mean) / std                        # (q, N, 1), (N, d)
    if directions is not None:
        z = torch.cat([z, torch.as_tensor(directions) / std], 1)                           # each point's direction behind it
        slopes = (torch.as_tensor(dy).reshape(len(X), -1) / size).T.unsqueeze(2)
        labels = torch.cat([labels, slopes], 2)                                            # (q, N, 2)
    elif dy is not None:
        slopes = torch.as_tensor(dy).reshape(len(X), -1, X.shape[1]) * std / size.unsqueeze(1)
        labels = torch.cat([labels, slopes.transpose(0, 1)], 2)                            # (q, N, 1 + d)
    # factors of the whole matrix, not the approximations for large ones: a step of L-BFGS needs a likelihood to trust
    with gpytorch.settings.fast_computations(False, False, False), gpytorch.settings.max_cholesky_size(100_000):
        processes = [_fitted(z, each.squeeze(1), length, noise, steps, directions is not None) for each in labels]

    def predict(X) -> tuple[np.ndarray, None]:
        z = (torch.as_tensor(X, dtype=mean.dtype) - mean) / std
        if directions is not None:
            z = torch.cat([z, torch.zeros_like(z)], 1)     # values are asked, along nothing
        with torch.no_grad(), gpytorch.settings.skip_posterior_variances():
            found = [torch.cat([_value(process(rows).mean) for rows in z.split(_ROWS)]) for process in processes]
        return (low + size * torch.stack(found, 1)).reshape(len(z), *np.shape(y)[1:]).numpy(), None
    return predict


def _value(mean: Tensor) -> Tensor:
    return mean if mean.ndim == 1 else mean[:, 0]


def _fitted(z: Tensor, labels: Tensor, length: float, noise: float, steps: int, along: bool):
    """labels (N,), or (N, 1 + d) with slopes; ``along`` directions (N, 2), and then z is (N, 2 d)."""
    import gpytorch
    from linear_operator.utils.errors import NanError, NotPSDError

    likelihood, process = _process(z, labels, length, noise, along)
    marginal = gpytorch.mlls.ExactMarginalLogLikelihood(likelihood, process)
    lbfgs = torch.optim.LBFGS(process.parameters(), max_iter=steps, line_search_fn="strong_wolfe")
    least, best = float("inf"), copy.deepcopy(process.state_dict())

    def closure():
        nonlocal least, best
        lbfgs.zero_grad()
        loss = -marginal(process(z), labels)
        if loss.item() < least:
            least, best = loss.item(), copy.deepcopy(process.state_dict())
        loss.backward()
        return loss

    try:
        lbfgs.step(closure)
    except (NanError, NotPSDError):                        # rounding has ended the search, as it does on exact labels
        process.load_state_dict(best)
    likelihood.eval()
    return process.eval()


def _process(z: Tensor, labels: Tensor, length: float, noise: float, along: bool):
    """Its likelihood, and the process, not fitted yet."""
    import gpytorch
    from gpytorch import distributions, kernels, likelihoods, means

    least, inputs = gpytorch.constraints.GreaterThan(1e-8), z.shape[1] // (2 if along else 1)
    if labels.ndim == 1:
        likelihood = likelihoods.GaussianLikelihood(noise_constraint=least).to(z.dtype)
        likelihood.noise = noise
        mean, kernel, normal = means.ConstantMean(), kernels.RBFKernel(ard_num_dims=inputs), distributions.MultivariateNormal
    else:
        tasks = labels.shape[1]
        likelihood = likelihoods.MultitaskGaussianLikelihood(tasks, has_global_noise=False, noise_constraint=least).to(z.dtype)
        likelihood.task_noises = torch.full((tasks,), noise, dtype=z.dtype)
        mean, kernel = means.ConstantMeanGrad(), kernels.RBFKernelGrad(ard_num_dims=inputs)
        normal = distributions.MultitaskMultivariateNormal
    kernel.lengthscale = length
    if along:
        kernel = _along(kernel)

    class Process(gpytorch.models.ExactGP):
        def __init__(self):
            super().__init__(z, labels, likelihood)
            self.mean, self.kernel = mean, kernels.ScaleKernel(kernel)

        def forward(self, x):
            return normal(self.mean(x)[..., :2] if along else self.mean(x), self.kernel(x))

    return likelihood, Process().to(z.dtype).train()


def _along(gradients):
    """A kernel of values and slopes along each point's direction, from one of values and gradients: its covariance, projected.

    Points (N, 2 d) have their directions behind them.
    """
    import gpytorch

    def projection(x: Tensor) -> Tensor:
        """(N, 2, 1 + d): from a value and a gradient to the value, and the slope along the direction."""
        found = x.new_zeros(len(x), 2, 1 + x.shape[1] // 2)
        found[:, 0, 0], found[:, 1, 1:] = 1.0, x[:, x.shape[1] // 2:]
        return found

    class Along(gpytorch.kernels.Kernel):
        def __init__(self):
            super().__init__()
            self.gradients = gradients

        def forward(self, x1, x2, diag=False, **params):
            first, second = projection(x1), projection(x2)
            whole = self.gradients(*(x[:, :x.shape[1] // 2].contiguous() for x in (x1, x2))).to_dense()
            whole = whole.reshape(len(x1), first.shape[2], len(x2), second.shape[2])
            found = torch.einsum("nae,nemf,mbf->namb", first, whole, second).reshape(2 * len(x1), 2 * len(x2))
            return found.diagonal() if diag else found

        def num_outputs_per_input(self, x1, x2):
            return 2

    return Along()
