"""The Explorer of Jupyter and Colab: an anywidget that computes a frame when its front end asks for it."""
import anywidget
import traitlets

from sobolev_lib import book_output


class LiveExplorer(anywidget.AnyWidget):
    """Made by ``Explorer``; ``selection`` maps each axis to the chosen option and can be set.

    >>> figure = Explorer({"N": [1, 2]}, compute=lambda N: [line_panel([0, 1], {"true": [0, N]})])
    >>> figure.selection = {"N": 2}
    """
    _esm = book_output.module_script("explorer")
    spec = traitlets.Dict().tag(sync=True)
    frames = traitlets.Dict().tag(sync=True)
    blobs = traitlets.Dict().tag(sync=True)
    selection = traitlets.Dict().tag(sync=True)

    def __init__(self, source, spec: dict, selection: dict):
        self._source = source
        keys = source.keys() if source.complete else [source.key(selection)]
        super().__init__(spec=spec, selection=selection, **source.bundle(keys))
        self.on_msg(self._answer)

    @traitlets.validate("selection")
    def _complete(self, proposal):
        return self._source.selection(proposal["value"])

    def _answer(self, _, content: dict, buffers) -> None:
        if content.get("type") != "frame":
            return
        key = content["key"]
        try:
            self.send({"type": "frame", "key": key, **self._source.bundle([key])})
        except Exception as error:   # shown in the figure: an exception here would only reach the kernel's log
            self.send({"type": "error", "key": key, "message": f"{type(error).__name__}: {error}"})
