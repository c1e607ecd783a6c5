"""Make the files of sobolev_lib/datasets/data: python scripts/make_datasets.py. Needs the packages smt and ase."""
import os
import shutil
from importlib import metadata
from pathlib import Path

import numpy as np
import torch

from sobolev_lib._tensor_files import write_tensors

DATA = Path(__file__).resolve().parents[1] / "sobolev_lib" / "datasets" / "data"
DISPLACEMENT = 0.2                                         # of an atom along an axis, angstrom


def write(name: str, arrays: dict[str, np.ndarray], made_by: str, dtype: torch.dtype) -> None:
    tensors = {key: torch.as_tensor(array, dtype=dtype) for key, array in arrays.items()}
    write_tensors(DATA / f"{name}.safetensors", tensors, {"made_by": made_by})


def engine_deck() -> None:
    """smt's numbers as they are, and its licence."""
    from smt.examples.b777_engine.b777_engine import get_b777_engine

    X, y, dy, _ = get_b777_engine()
    write("engine_deck", {"X": X, "y": y, "dy": dy}, f"smt {metadata.version('smt')}", torch.float64)
    licence, = [path for path in metadata.files("smt") if path.name == "LICENSE.txt"]
    shutil.copy(os.fspath(licence.locate()), DATA / "engine_deck.LICENSE.txt")


def metal_cluster() -> None:
    """Energies and their gradients by ase's EMT at positions that float32 can hold."""
    from ase import Atoms
    from ase.calculators.emt import EMT
    from ase.optimize import BFGS

    axes = np.concatenate([[axis, -axis] for axis in np.eye(3)])
    atoms = Atoms("Cu6", 1.7 * axes, calculator=EMT())
    BFGS(atoms, logfile=None).run(fmax=1e-8)
    rest = atoms.get_positions()

    def labelled(positions: np.ndarray) -> dict[str, np.ndarray]:
        positions = positions.astype(np.float32).astype(float)
        energies, slopes = [], []
        for each in positions:
            atoms.set_positions(each)
            energies.append(atoms.get_potential_energy())
            slopes.append(-atoms.get_forces())
        return {"X": positions.reshape(len(positions), -1), "y": np.array(energies),
                "dy": np.reshape(slopes, (len(positions), -1))}

    made_by = f"EMT of ase {metadata.version('ase')}"
    random = np.random.default_rng(0)
    write("metal_cluster", labelled(rest + DISPLACEMENT * random.normal(size=(600, 6, 3))), made_by, torch.float32)
    path = np.repeat(rest[None], 81, axis=0)
    path[:, 0, 0] += np.linspace(-0.6, 1, 81)
    write("metal_cluster_path", labelled(path), made_by, torch.float32)


def diabetes_teacher() -> None:
    """The network that the library takes as teacher."""
    from sklearn.datasets import load_diabetes
    from sklearn.neural_network import MLPRegressor

    X, y = load_diabetes(return_X_y=True)
    X, y = (X - X.mean(0)) / X.std(0), (y - y.mean()) / y.std()
    teacher = MLPRegressor(hidden_layer_sizes=(64, 64), activation="tanh", solver="lbfgs", alpha=3.0, max_iter=2000, random_state=0).fit(X, y)
    arrays = {f"weight_{k}": W for k, W in enumerate(teacher.coefs_)}
    arrays |= {f"bias_{k}": b for k, b in enumerate(teacher.intercepts_)}
    made_by = f"MLPRegressor of scikit-learn {metadata.version('scikit-learn')}"
    write("diabetes_teacher", arrays, made_by, torch.float32)


if __name__ == "__main__":
    DATA.mkdir(exist_ok=True)
    for make in (engine_deck, metal_cluster, diabetes_teacher):
        make()
        print(make.__name__)
