"""A program that uses the library, for the type checker: what it is told must be what it gets. Never run."""
import numpy as np
import torch
from torch import Tensor, nn
from typing_extensions import assert_type

import sobolev_lib as sl

f = sl.functions.styblinski_tang
x = f.sample(100)
data = sl.label(f, x)
assert_type(data, sl.SobolevData)
assert_type(data.jacobian, Tensor | None)

model = sl.models.MLP(2, 64, 1, activation="softplus")
loss = sl.SobolevLoss(order=1, weights=(1.0, 0.1))
history = sl.fit(model, data, loss=loss, steps=10, batch_size=32)
assert_type(history, sl.History)
assert_type(history.steps, list[int])

other: nn.Module = nn.Sequential(nn.Linear(2, 1))
value, jacobian = sl.value_and_derivatives(other, x)
assert_type(value, Tensor)

regressor = sl.SobolevRegressor(hidden=(64, 64), steps=10)
regressor.fit(np.zeros((5, 2)), np.zeros(5), np.zeros((5, 2)))

teacher = sl.atari.load_teacher("pong")
assert_type(teacher, sl.atari.Teacher)
assert_type(sl.atari.play(teacher, "pong", episodes=2), list[float])
torch.save(teacher.state_dict(), "teacher.pt")
