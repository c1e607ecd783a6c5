"""The paper's theorems as code: each construction of a proof can be built, evaluated and broken."""
from sobolev_lib.theory.density import approximating_network, modulus_of_continuity, ridge_network
from sobolev_lib.theory.gradient_fields import jacobian_asymmetry, loop_bound
from sobolev_lib.theory.identification import gaussian_from_derivative, gaussians_through, identify
from sobolev_lib.theory.interpolation import interpolating_network
from sobolev_lib.theory.shallow_interpolation import kinked_line, shallow_interpolating_network
from sobolev_lib.theory.tradeoff import Tradeoff, compromise, tradeoff

__all__ = ["Tradeoff", "approximating_network", "compromise", "gaussian_from_derivative", "gaussians_through", "identify",
           "interpolating_network", "jacobian_asymmetry", "kinked_line", "loop_bound", "modulus_of_continuity", "ridge_network",
           "shallow_interpolating_network", "tradeoff"]
