"""From problems that were checked to their results: one, or many in one call, each by the route that suits it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any

from monge.entropic import multiscale, passes, stored
from monge.entropic.kernels.select import Route, check_device
from monge.entropic.problem import Outcome, Problem
from monge.entropic.result import EntropicTransport
from monge.problem.batch import naming
from monge.problem.home import Home
from monge.problem.transport import ConvergenceWarning, Status

__all__ = ["device_of", "solve_all", "solve_one", "warn_of_shortfalls"]

# What a status says of results that are made of several transports, of which a batch is no start for another call.
_OF_TERMS = {
    Status.MAX_ITER: (
        "max_iter ran out before the marginal errors of all transports came below tol: error_bound says how far the "
        "value may be off. Raise max_iter, tol or eps"
    )
}
# Problems that are prepared and solved together.
_CHUNK = 1024


def solve_one(
    problem: Problem, workers: int, report: Callable[[int, float, float], None] | None = None
) -> EntropicTransport:
    """One problem, on all threads."""
    return problem.answer(_SOLVERS[problem.way](problem, workers, report), workers)


def solve_all(
    problems: Sequence[Problem], workers: int, show: Callable[[int], None] | None = None, share: int = 1
) -> list[EntropicTransport]:
    """Every problem on one thread, `workers` of them at a time; a single one that the core solves whole on all.

    So many problems, `share`, belong to one item of a batch, by whose number errors name it.
    """
    answers: list[EntropicTransport] = []
    for first in range(0, len(problems), _CHUNK):
        answers += _solve_some(problems[first : first + _CHUNK], first, workers, share)
        if show is not None:
            show(len(answers) // share)
    return answers


def _solve_some(problems: Sequence[Problem], first: int, workers: int, share: int) -> list[EntropicTransport]:
    """From number `first` on: those with a kernel matrix in one call, others side by side."""
    # Those whose costs have too few digits for this eps have one of their own.
    together = [k for k, one in enumerate(problems) if one.way is Route.STORED and one.eps == one.wanted]
    outcomes = dict(zip(together, stored.solve_all([problems[k] for k in together], workers), strict=True))
    if problems[0].way is Route.DEVICE:
        from monge.entropic import gpu  # which imports the compiler

        together = list(range(len(problems)))
        outcomes = dict(enumerate(gpu.solve_all(problems, workers)))
    stopped = Event()

    def look(*_: Any) -> None:
        if stopped.is_set():
            raise KeyboardInterrupt

    def one(k: int) -> EntropicTransport:
        look()
        with naming("problem", (first + k) // share):
            outcome = outcomes[k] if k in outcomes else _SOLVERS[problems[k].way](problems[k], 1, look)
            return problems[k].answer(outcome, workers)

    if workers == 1 or len(together) == len(problems):
        return [one(k) for k in range(len(problems))]
    with ThreadPoolExecutor(workers) as pool:
        try:
            return list(pool.map(one, range(len(problems))))
        finally:  # after an interrupt the others stop at their next pass
            stopped.set()


def _on_device(problem: Problem, workers: int, report: Any) -> Outcome:
    from monge.entropic import gpu  # which imports the compiler

    return gpu.solve(problem, workers, report)


_SOLVERS: dict[Route, Callable[..., Outcome]] = {
    Route.STORED: stored.solve,
    Route.MULTISCALE: multiscale.solve,
    Route.PASSES: passes.solve,
    Route.DEVICE: _on_device,
}


def warn_of_shortfalls(
    solver: str, answers: Sequence[EntropicTransport], eps: float, batch: bool, share: int = 1
) -> None:
    """Warns the caller of the public function that called this where results are not what was asked for.

    So many answers, `share`, belong to one result, which has them in `terms`.
    """
    count, result = len(answers) // share, "t" if share == 1 else "loss.terms[k]"
    changed = [(k // share, t.eps) for k, t in enumerate(answers) if t.eps != eps]
    if changed:
        which = f" in {len({k for k, _ in changed})} of {count} problems" if batch else ""
        warnings.warn(
            f"{solver}: eps = {eps!r} is below the digits of the costs in use{which}; solved with eps = "
            f"{max(used for _, used in changed):.3g} in its place, which is {result}.eps. For the limit of a small eps "
            "use monge.emd.",
            ConvergenceWarning,
            stacklevel=3,
        )
    for status in (Status.MAX_ITER, Status.ROUNDED):
        late = [(k // share, t.stats["error"]) for k, t in enumerate(answers) if t.status is status]
        if late:
            which = f"{len({k for k, _ in late})} of {count} problems: " if batch else ""
            said = status.value if share == 1 else _OF_TERMS.get(status, status.value)
            text = f"{solver}: {which}{said} (marginal error {max(error for _, error in late):.3g})."
            warnings.warn(text, ConvergenceWarning, stacklevel=3)


def device_of(device: str | None, home: Home | None) -> str | None:
    """The device that was asked for, or else the one that the costs are on."""
    if device is None and home is not None and home.on_gpu:
        check_device("cuda")
        return "cuda"
    return device
