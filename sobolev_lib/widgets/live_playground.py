"""The Playground of Jupyter and Colab: the same front end, with what it has trained within Python's reach."""
import base64

import anywidget
import numpy as np
import torch
import traitlets

from sobolev_lib import book_output
from sobolev_lib.data import SobolevData
from sobolev_lib.models import MLP
from sobolev_lib.scaling import Standardized
from sobolev_lib.widgets.playground_settings import checked_settings


class LivePlayground(anywidget.AnyWidget):
    """Made by ``Playground``.

    >>> playground = Playground("booth", points=3)
    >>> playground.settings = {"points": 20, "lr": 0.01}      # the other settings stay
    >>> playground.settings["points"], playground.running, playground.metrics
    (20, False, {})

    ``metrics`` has "step", "stopped" (for each network the step at which its loss was no longer finite, or None) and, for
    "regular" and "sobolev", "value_mse" and "gradient_mse" on the test points, in original units. ``history`` has "steps"
    and "errors", the latter by network and then by error. Both are empty until the browser has reported.
    """
    _esm = book_output.module_script("playground")
    schema: traitlets.List = traitlets.List().tag(sync=True)
    presets: traitlets.List = traitlets.List().tag(sync=True)
    problem = traitlets.Dict().tag(sync=True)
    controls = traitlets.Unicode().tag(sync=True)
    alt = traitlets.Unicode().tag(sync=True)
    home = traitlets.Unicode().tag(sync=True)
    settings = traitlets.Dict().tag(sync=True)
    running = traitlets.Bool(False).tag(sync=True)
    metrics = traitlets.Dict().tag(sync=True)
    history = traitlets.Dict().tag(sync=True)
    weights = traitlets.Dict().tag(sync=True)
    trained_on = traitlets.Dict().tag(sync=True)

    @traitlets.validate("settings")
    def _complete(self, proposal):
        return checked_settings({**self.settings, **proposal["value"]}, own=len(self.problem["domain"]) if self.problem else None)

    @property
    def data(self) -> SobolevData:
        """The training points with their values and derivatives, noise included; NaN where a derivative is missing."""
        rows = self._reported("trained_on")
        numbers = lambda name: torch.tensor([float("nan") if one is None else one for one in rows[name]], dtype=torch.float32)
        return SobolevData(numbers("x").reshape(-1, rows["n"]).T, numbers("values"), numbers("gradients").reshape(-1, rows["n"]).T)

    def network(self, name: str) -> Standardized:
        """The "regular" or the "sobolev" network as it was at the browser's last report, a module in original units."""
        if name not in ("regular", "sobolev"):
            raise ValueError(f"name: expected 'regular' or 'sobolev', got {name!r}")
        weights = self._reported("weights")
        settings, tensors = weights["settings"], [_floats(text) for text in weights[name]]
        inputs = len(tensors[0]) // settings["width"]
        network = MLP(inputs, *[settings["width"]] * settings["depth"], 1, activation=settings["activation"],
                      generator=torch.Generator())
        with torch.no_grad():
            for parameter, tensor in zip(network.parameters(), tensors, strict=True):
                parameter.copy_(tensor.reshape(parameter.shape))
        return Standardized(network, self.data)

    def _reported(self, name: str) -> dict:
        if not getattr(self, name):
            raise RuntimeError("the browser has not reported yet: show the playground, and let it train or take a step")
        return getattr(self, name)


def _floats(text: str) -> torch.Tensor:
    return torch.from_numpy(np.frombuffer(base64.b64decode(text), "<f4").copy())
