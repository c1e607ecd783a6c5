"""Tables that come with the library: a jet engine's deck, and energies and forces of a metal cluster."""
from importlib import resources

import numpy as np

from sobolev_lib._tensor_files import read_tensors
from sobolev_lib.datasets.table import Table


def shipped(name: str) -> dict[str, np.ndarray]:
    """The arrays of a file in ``data/``, in float64; raises ``ValueError`` if its checksum does not fit.

    >>> sorted(shipped("engine_deck"))
    ['X', 'dy', 'y']
    """
    with resources.as_file(resources.files("sobolev_lib.datasets") / "data" / f"{name}.safetensors") as path:
        tensors, _ = read_tensors(path, "data set")
    return {key: tensor.double().numpy() for key, tensor in tensors.items()}


def engine_deck() -> Table:
    """Thrust and fuel consumption of a jet engine by Mach number, altitude and throttle: a grid of 1,056 points.

    >>> deck = engine_deck()
    >>> deck.outputs
    ('thrust, N', 'specific fuel consumption, N/N/s')

    The two outputs differ by a factor of 10^9, and Jacobians are tabulated for both: the deck that Hwang and Martins fitted
    with tensor-product splines (RMTS, 2018). From the package ``smt``, BSD 3-Clause; the licence lies beside the data.
    """
    return Table(**shipped("engine_deck"), inputs=("Mach number", "altitude, km", "throttle"),
                 outputs=("thrust, N", "specific fuel consumption, N/N/s"),
                 source="package smt, example b777_engine", licence="BSD 3-Clause, (c) 2017 SMT developers")


def metal_cluster() -> Table:
    """Energies of six copper atoms at 600 random displacements from their octahedron, and the energies' gradients.

    >>> cluster = metal_cluster()
    >>> cluster.X.shape, cluster.y.shape                   # x, y, z of atom 0, then of atom 1 ...
    ((600, 18), (600,))
    >>> forces = -cluster.dy                               # a simulator gives forces, minus the slope of the energy

    Positions in angstrom, energies in eV, gradients in eV per angstrom; computed with the effective-medium theory of the
    package ``ase``. The numbers are ours, under the library's licence.
    """
    return _cluster("metal_cluster")


def metal_cluster_path() -> Table:
    """The same six atoms along a path: one of them is pulled outwards along its axis, in 81 steps from -0.6 to 1 angstrom.

    >>> path = metal_cluster_path()
    >>> round(float(path.X[-1, 0] - path.X[0, 0]), 3)      # atom 0 moves along x
    1.6
    """
    return _cluster("metal_cluster_path")


def _cluster(name: str) -> Table:
    inputs = tuple(f"{axis} of atom {atom}, angstrom" for atom in range(6) for axis in "xyz")
    return Table(**shipped(name), inputs=inputs, outputs=("energy, eV",),
                 source="computed with the EMT calculator of the package ase", licence="MIT, as the library")
