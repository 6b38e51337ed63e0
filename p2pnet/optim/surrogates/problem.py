"""The convex problem of a local step (NEXT: Di Lorenzo and Scutari 2016; Scardapane and Di Lorenzo 2017).

With the local model g̃ and the excess e of `surrogates.base` it is to

    minimise over d     φ(d) = directionᵀd + scale·e(J d) + (τ/2)‖d‖² + r(w + d),

which is scale·g̃(w + d) + (direction − scale·∇g̃(w))ᵀd + (τ/2)‖d‖² + r(w + d) without its constant. `direction` is the
agent's estimate of the network's average gradient (without r). `scale` is what the agent's own mean counts: 1 takes its
curvature as a proxy for the network's, n_k/n̄ is its own term of the objective, n_k/(n̄ N) the paper's weighting. The
gradient of φ without r at d = 0 is `direction` for every surrogate and scale: all that NEXT asks of a surrogate.
"""

from dataclasses import dataclass

from p2pnet.optim.arrays import Array, add_product
from p2pnet.optim.penalties.base import Penalty
from p2pnet.optim.surrogates.base import LocalModel, Tangents


@dataclass(frozen=True, slots=True, eq=False)
class SurrogateProblem:
    """φ of the module's docstring. `params` is w; `proximal_weight` is τ > 0."""

    local_model: LocalModel
    params: Array
    direction: Array
    penalty: Penalty
    proximal_weight: float
    scale: float = 1.0

    def value(self, v: Array) -> float:
        """φ at the parameters v = w + d."""
        step = v - self.params
        return self.smooth_value_at(step, self.local_model.tangents(step)) + self.penalty.value(v)

    def smooth_gradient(self, v: Array) -> Array:
        """∇φ at the parameters v without r's part, (n_params,); `direction` at w."""
        step = v - self.params
        return self.smooth_gradient_at(step, self.local_model.slopes_at(self.local_model.tangents(step)))

    def smooth_value_at(self, step: Array, tangents: Tangents) -> float:
        """φ without r at w + step, given tangents = J step."""
        excess = self.local_model.excess_at(tangents)
        return float(self.direction @ step) + self.scale * excess + 0.5 * self.proximal_weight * float(step @ step)

    def smooth_gradient_at(self, step: Array, slopes: Tangents) -> Array:
        """∇φ at w + step without r's part, given slopes = ∇e(J step)."""
        gradient = self.local_model.vjp(slopes)
        gradient *= self.scale
        add_product(gradient, self.proximal_weight, step)
        gradient += self.direction
        return gradient
