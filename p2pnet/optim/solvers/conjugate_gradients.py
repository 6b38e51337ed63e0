"""Truncated Newton: Newton systems solved by preconditioned conjugate gradients."""

from abc import ABC, abstractmethod
from typing import final

from p2pnet.optim.arrays import Array, add_product
from p2pnet.optim.solvers.base import Solve, Solver
from p2pnet.optim.solvers.in_span import ProblemInSpan, problem_in_span
from p2pnet.optim.solvers.linear_system import FIRST_FORCING, LinearSystem
from p2pnet.optim.solvers.newton import SmoothNewton
from p2pnet.optim.surrogates.base import Curvature, Tangents
from p2pnet.optim.surrogates.problem import SurrogateProblem


class Preconditioner(ABC):
    """A diagonal that conjugate gradients divide by."""

    @abstractmethod
    def diagonal(self, problem: SurrogateProblem, curvature: Curvature, damping: float | Array) -> float | Array:
        """The diagonal, positive; `damping` is τ + ∇²r."""


@final
class DampingPreconditioner(Preconditioner):
    """τ + ∇²r: free of cost, and the best for networks on standardised inputs, whose curvature has a few large
    eigenvalues that no diagonal sees.
    """

    def diagonal(self, problem: SurrogateProblem, curvature: Curvature, damping: float | Array) -> float | Array:
        return damping


@final
class JacobiPreconditioner(Preconditioner):
    """The diagonal of the second derivative of φ (Jacobi): several times fewer steps for linear models whose inputs
    have unequal scales; for networks it costs more than it gains.
    """

    def diagonal(self, problem: SurrogateProblem, curvature: Curvature, damping: float | Array) -> Array:
        result: Array = problem.scale * curvature.diagonal() + damping
        return result


@final
class ConjugateGradients(Solver):
    """Truncated Newton: each Newton system is solved by preconditioned conjugate gradients, matrix-free, to the
    accuracy that its place in the outer iteration deserves (Dembo, Eisenstat and Steihaug 1982).
    """

    def __init__(self, name: str = "cg", preconditioner: Preconditioner | None = None) -> None:
        self.name = name
        self._preconditioner = preconditioner or DampingPreconditioner()

    def start(self, problem: SurrogateProblem, tolerance: float) -> Solve:
        parts = problem_in_span(problem)
        if parts is not None:
            return _InSpan(problem.params, parts, self._preconditioner, tolerance)
        return _TruncatedNewton(SmoothNewton(problem), self._preconditioner, tolerance)


def cg_jacobi() -> ConjugateGradients:
    """Conjugate gradients with the Jacobi preconditioner."""
    return ConjugateGradients("cg-jacobi", JacobiPreconditioner())


@final
class _TruncatedNewton(Solve):
    def __init__(self, newton: SmoothNewton, preconditioner: Preconditioner, tolerance: float) -> None:
        self._newton = newton
        self._preconditioner = preconditioner
        self._point = newton.origin()
        self._first_residual = self._point.residual
        self._target = tolerance * self._first_residual
        self._system: LinearSystem | None = None
        self._is_stalled = False

    def is_converged(self) -> bool:
        return self._point.residual <= self._target

    def is_stalled(self) -> bool:
        return self._is_stalled

    def step(self) -> None:
        if self._system is None:
            self._system = self._new_system()
        if self._system.step():
            self._move()

    def result(self) -> tuple[Array, float]:
        self._move()
        return self._newton.problem.params + self._point.step, self._point.residual

    def _new_system(self) -> LinearSystem:
        newton, problem = self._newton, self._newton.problem
        curvature = problem.local_model.curvature_at(self._point.tangents)

        def product(step: Array) -> tuple[Tangents, Array]:
            tangents, result = curvature.tangents_and_product(step)
            result *= problem.scale
            add_product(result, newton.diagonal, step)
            return tangents, result

        diagonal = self._preconditioner.diagonal(problem, curvature, newton.diagonal)
        return LinearSystem(product, -self._point.gradient, diagonal, self._system_target())

    def _system_target(self) -> float:
        if self._newton.problem.local_model.is_quadratic:
            return 0.9 * self._target
        residual = self._point.residual
        return max(0.5 * self._target, residual * min(FIRST_FORCING, residual / self._first_residual))

    def _move(self) -> None:
        """Along the solution of the system, if there is one; the rest of it is not needed any more."""
        if self._system is None:
            return
        change, tangents, self._system = self._system.solution, self._system.tangents, None
        before, self._point = self._point, self._newton.moved(self._point, change, tangents)
        self._is_stalled = self._newton.is_stalled(before, self._point)


@final
class _InSpan(Solve):
    """Along the span by truncated Newton in coordinates; across it in one division."""

    def __init__(self, params: Array, parts: ProblemInSpan, preconditioner: Preconditioner, tolerance: float) -> None:
        self._params = params
        self._parts = parts
        newton = SmoothNewton(parts.along)
        length = newton.origin().residual
        # Nothing is left of the residual across, so that more of it may be left along.
        self._along = _TruncatedNewton(newton, preconditioner, tolerance * parts.residual / length if length else 1.0)

    def is_converged(self) -> bool:
        return self._along.is_converged()

    def is_stalled(self) -> bool:
        return self._along.is_stalled()

    def step(self) -> None:
        self._along.step()

    def result(self) -> tuple[Array, float]:
        coordinates, residual = self._along.result()
        best_response = self._parts.span.expanded(coordinates)
        best_response += self._parts.step_across
        best_response += self._params
        return best_response, residual
