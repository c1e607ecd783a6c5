"""Who takes part: each is fitted to X, y, dy and gives values and gradients, all with their own defaults."""
import numpy as np
import torch
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

import sobolev_lib as sl


class Ours:
    """``SobolevRegressor`` with its defaults; ``slopes=False`` shows it the values alone."""

    def __init__(self, slopes: bool = True, **settings):
        self.slopes, self.settings = slopes, settings

    def fit(self, X, y, dy, seed: int):
        self.regressor = sl.SobolevRegressor(random_state=seed, **self.settings).fit(X, y, dy if self.slopes else None)
        return self

    def predict(self, X):
        return self.regressor.predict(X, return_gradient=True)


class Twin:
    """The network of Huge and Savine (Differential Machine Learning, 2020), built anew from the paper.

    Four hidden layers of 20 softplus units on z-scores; the cost weighs values with 1 / (1 + d), slopes with d / (1 + d),
    each partial divided by its own root mean square; Adam over 100 epochs of four batches at least, rates on their schedule.
    """

    RATES = ((0.0, 1e-8), (0.2, 0.1), (0.6, 0.01), (0.9, 1e-6), (1.0, 1e-8))

    def fit(self, X, y, dy, seed: int):
        self.scalar = y.ndim == 1
        self.x, self.y = [(table.mean(0), table.std(0)) for table in (X, y.reshape(len(X), -1))]
        z = torch.as_tensor((X - self.x[0]) / self.x[1], dtype=torch.float32)
        v = torch.as_tensor((y.reshape(len(X), -1) - self.y[0]) / self.y[1], dtype=torch.float32)
        s = torch.as_tensor(dy.reshape(len(X), -1, X.shape[1]) * self.x[1] / self.y[1][:, None], dtype=torch.float32)
        known = ~s.isnan()
        s = s.nan_to_num()
        size = (s.square().sum(0) / known.sum(0)).sqrt().clamp_min(1e-12)
        n, d = X.shape
        generator = torch.Generator().manual_seed(seed)
        self.network = self._network(d, v.shape[1], generator)
        adam, batch = torch.optim.Adam(self.network.parameters()), min(n, max(256, n // 4))
        steps = -(-n // batch)
        for epoch in range(100):
            adam.param_groups[0]["lr"] = float(np.interp(epoch / 100, *zip(*self.RATES)))
            order = torch.randperm(n, generator=generator)
            for k in range(steps):
                rows = order[k * batch:(k + 1) * batch]
                values, slopes = sl.value_and_derivatives(self.network, z[rows])
                errors = ((slopes - s[rows]) / size * known[rows]).square().mean()
                loss = ((values - v[rows]).square().mean() + d * errors) / (1 + d)
                adam.zero_grad()
                loss.backward()
                adam.step()
        return self

    @staticmethod
    def _network(d: int, m: int, generator: torch.Generator) -> nn.Sequential:
        sizes, layers = [d, 20, 20, 20, 20, m], []
        for a, b in zip(sizes, sizes[1:]):
            linear = nn.Linear(a, b)
            nn.init.normal_(linear.weight, std=a**-0.5, generator=generator)               # variance one over fan-in
            nn.init.zeros_(linear.bias)
            layers += [linear, nn.Softplus()]
        return nn.Sequential(*layers[:-1])

    def predict(self, X):
        z = torch.as_tensor((X - self.x[0]) / self.x[1], dtype=torch.float32)
        values, slopes = (tensor.detach().double().numpy() for tensor in sl.value_and_derivatives(self.network, z))
        values = self.y[0] + self.y[1] * values
        slopes = slopes * self.y[1][:, None] / self.x[1]
        return (values[:, 0], slopes[:, 0]) if self.scalar else (values, slopes)


class Plain:
    """scikit-learn's ``MLPRegressor`` behind a scaler, on values alone; its gradients by central differences."""

    def fit(self, X, y, dy, seed: int):
        self.mean, self.std = y.mean(0), y.std(0)
        network = MLPRegressor(hidden_layer_sizes=(256, 256), max_iter=2000, random_state=seed, early_stopping=len(X) >= 500)
        self.model = make_pipeline(StandardScaler(), network).fit(X, (y - self.mean) / self.std)
        self.step = 1e-3 * X.std(0)
        return self

    def predict(self, X):
        value = lambda X: self.mean + self.std * self.model.predict(X)
        moves = np.diag(self.step)
        slopes = [(value(X + move) - value(X - move)) / (2 * step) for move, step in zip(moves, self.step)]
        return value(X), np.stack(slopes, axis=-1)


PEERS = {"ours": Ours, "ours, values only": lambda: Ours(slopes=False), "Huge and Savine": Twin, "MLPRegressor": Plain}
