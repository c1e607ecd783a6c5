"""What a changed copy of the library computes, in a fork of a process that has PyTorch in place."""
import json
import sys
from pathlib import Path


def probe(folder, name):
    """Print an experiment's probe by the copy in ``folder``: all that was loaded of the library is forgotten first."""
    for module in [module for module in sys.modules if module.partition(".")[0] == "sobolev_lib"]:
        del sys.modules[module]
    sys.path.insert(0, str(folder))
    import sobolev_lib
    from sobolev_lib.experiments import runner
    from sobolev_lib.experiments.probes import probe_of

    assert Path(sobolev_lib.__file__).is_relative_to(folder)
    print(json.dumps(probe_of(runner.find(name))))
