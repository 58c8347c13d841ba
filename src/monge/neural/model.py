"""What all models have in common: settings, fit and resume, samples, and files."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from monge.neural.anchors import Anchor, Free
from monge.neural.checkpoint import networks_of, pack, plain, read, restored, unpack, write
from monge.neural.draws import Draws, device_of
from monge.neural.functionals import Functional
from monge.neural.history import History
from monge.neural.nets import MLP, widths
from monge.neural.running import Run
from monge.neural.samples import Noise, Samples, points_of, samples_of
from monge.neural.settings import rate, share
from monge.neural.training import Slots, State, TrainingStatus, aside, cosine, fitting, own, start
from monge.problem.arrays import positive_integer, shown
from monge.problem.at_home import at_home
from monge.problem.home import home_of_any
from monge.spread.blocks import seed_of

__all__ = ["Model", "load"]

# Samples that go through a network at once when it is used.
_AT_ONCE = 8192


@dataclass(kw_only=True, eq=False, repr=False)
class Model:
    """A map that makes samples of a target out of samples of a source; the base of all models.

    Attributes
    ----------
    map, potential : torch.nn.Module, optional
        Networks to begin with, of which copies are trained: what they share, these do not. None for fully connected
        ones.
    n_steps : int
        Iterations.
    batch_size : int
        Samples of a batch.
    lr, potential_lr : float
        First learning rates of the map and of the potential; None for the map's.
    final_lr : float
        What share of them is left at the end, to which they fall by a cosine; 1 for constant rates.
    betas : pair of float
        Adam's.
    potential_steps : int
        Steps of the potential for each of the map.
    ema : float
        Share of the past in the average of the map's weights, which samples are made by; 0 for the last weights.
    latent : int or None
        Length of the noise that is the source where none is given. None for noise of the target's shape.
    rng : None, int or numpy.random.Generator
        Source of all randomness, first weights included.
    device : str or torch.device, optional
        Where to train; None for the CPU.
    history : History
        Figures of each iteration.
    step : int
        Iterations done.
    status : TrainingStatus or None
        Why training ended; None before it began.
    map_, potential_ : torch.nn.Module
        The network that samples are made by, and the potential's as it is now.
    kept : dict
        What callbacks keep from one call to the next, and files hold.

    Methods
    -------
    fit(target, source)
        Learn anew.
    resume(target, source)
        Go on.
    sample(n)
        Samples as the map makes them.
    transport(x)
        What the map makes of samples of the source.
    save(path)
        Write all that is needed to go on.
    """

    map: Any = None
    potential: Any = None
    n_steps: int = 4000
    batch_size: int = 256
    lr: float = 1e-3
    potential_lr: float | None = None
    final_lr: float = 0.05
    betas: tuple[float, float] = (0.5, 0.9)
    potential_steps: int = 1
    ema: float = 0.999
    latent: int | None = None
    rng: Any = None
    device: Any = None

    _kinds: ClassVar[dict[str, type[Model]]] = {}  # by the name that files have

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if cls._functional is not Model._functional:  # else there is nothing to learn yet: a base of others
            Model._kinds[cls.__name__] = cls

    def __post_init__(self) -> None:
        for name in ("n_steps", "batch_size", "potential_steps"):
            setattr(self, name, positive_integer(getattr(self, name), name))
        if self.latent is not None:
            self.latent = positive_integer(self.latent, "latent")
        self.lr = rate(self.lr, "lr")
        if self.potential_lr is not None:
            self.potential_lr = rate(self.potential_lr, "potential_lr")
        for name in ("ema", "final_lr"):
            setattr(self, name, share(getattr(self, name), name))
        if not (isinstance(self.betas, Sequence) and not isinstance(self.betas, str) and len(self.betas) == 2):
            raise TypeError(f"betas should be a pair of numbers in [0, 1); got {shown(self.betas)}.")
        self.betas = (share(self.betas[0], "betas", below_one=True), share(self.betas[1], "betas", below_one=True))
        for name in ("map", "potential"):
            if not (getattr(self, name) is None or isinstance(getattr(self, name), nn.Module)):
                raise TypeError(f"{name} should be a torch.nn.Module, or None; got {shown(getattr(self, name))}.")
        if not isinstance(self.rng, np.random.Generator):
            seed_of(self.rng)
        device_of(self.device)
        self._state: State | None = None
        self._source: Samples | None = None
        self._noise = True  # whether that is what the source is
        self._shapes: tuple[tuple[int, ...], ...] = ()  # of one sample of the source, and of the target
        self.status: TrainingStatus | None = None

    # What a model puts into the slots.

    def _functional(self) -> Functional:
        raise NotImplementedError

    def _anchor(self) -> Anchor:
        return Free()

    def _sources(self, source: Any, target: tuple[int, ...]) -> Samples:
        if source is not None:
            return samples_of(source, "source", self._device())
        return Noise(target if self.latent is None else (self.latent,))

    def _phases(self) -> tuple[int, ...]:
        return (self.n_steps,)

    def _new_map(self, source: tuple[int, ...], target: tuple[int, ...]) -> Any:
        return MLP(source, target, hidden=widths(target))

    def _new_potential(self, target: tuple[int, ...]) -> Any:
        return MLP(target, 1, hidden=widths(target))

    def _steps_of_potential(self, step: int) -> int:
        return self.potential_steps

    def _optimizer(self, network: Any, name: str) -> Any:
        rate = self.lr if name == "map" or self.potential_lr is None else self.potential_lr
        parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
        return self._rule(parameters, rate)

    def _rule(self, parameters: list[Any], rate: float) -> Any:
        # One pass over the weights in place of seven.
        fused = parameters[0].device.type in ("cpu", "cuda")
        return torch.optim.Adam(parameters, lr=rate, betas=self.betas, fused=fused)

    # What a user calls.

    def fit(
        self,
        target: Any,
        source: Any = None,
        *,
        callbacks: Callable[[Any], Any] | Sequence[Callable[[Any], Any]] = (),
        checkpoint: str | Path | None = None,
        checkpoint_every: int = 500,
        time_limit: float | None = None,
        progress: bool = False,
    ) -> Any:
        """Learn anew.

        Parameters
        ----------
        target : array_like (n, ...) or callable
            Samples, along the first axis; or a sampler, ``target(rng, n)`` with a `numpy.random.Generator`, which
            returns n of them.
        source : array_like (n, ...) or callable, optional
            What the map starts from, likewise. None for standard normal noise.
        callbacks : callable or sequence of callable
            Each is called with the model after each iteration; one that returns True ends training. See `Every` and
            `Watch`.
        checkpoint : path, optional
            A file that the model is saved to on the way, whole or not at all, and at the end: `monge.neural.load`.
        checkpoint_every : int
            Iterations between two of these.
        time_limit : float, optional
            Seconds.
        progress : bool
            Show a progress bar with the functional's value (needs tqdm).

        Returns
        -------
        Model
            Itself.

        Raises
        ------
        ValueError
            Samples that are not finite, have other shapes than the networks, or run dry. An iteration is done whole or
            not at all: whatever is raised on the way, Ctrl-C included, `resume` goes on from where it was.
        OSError
            If no file can be written to ``checkpoint``.

        Warns
        -----
        ConvergenceWarning
            If training ends early, by `time_limit` or by a loss that is not finite; `status` says why.
        """
        run = Run(callbacks, checkpoint, checkpoint_every, time_limit, progress)
        device = self._device()
        draws = Draws(self.rng, device)
        targets = samples_of(target, "target", device)
        sources = self._sources(source, targets.shape)
        shapes = (sources.shape, targets.shape)
        with draws.of_torch():
            network = self._own(self.map, lambda: self._new_map(*shapes))
            potential = None
            if self._functional().adversarial:
                potential = self._own(self.potential, lambda: self._new_potential(targets.shape))
            state = self._begun(network, potential, draws, shapes)
        self._state, self._source, self._shapes = state, sources, shapes
        self._noise = source is None
        run(self, state, self._slots(), sources, targets)
        return self

    def resume(
        self,
        target: Any,
        source: Any = None,
        *,
        callbacks: Callable[[Any], Any] | Sequence[Callable[[Any], Any]] = (),
        checkpoint: str | Path | None = None,
        checkpoint_every: int = 500,
        time_limit: float | None = None,
        progress: bool = False,
    ) -> Any:
        """Go on where training was interrupted, or saved: on a CPU, with the same bits as if it had not been.

        To train for longer, raise ``n_steps`` before: learning rates fall to their end by then.

        Parameters
        ----------
        target, source : see `fit`
            As those of `fit`, the same samples. A sampler should take its numbers from the generator that it is given:
            those go on where they were.
        callbacks, checkpoint, checkpoint_every, time_limit, progress : see `fit`
            As there.

        Returns
        -------
        Model
            Itself.

        Raises
        ------
        ValueError
            If nothing was learned yet, or from samples of another shape.
        """
        state = self._fitted("resume")
        run = Run(callbacks, checkpoint, checkpoint_every, time_limit, progress)
        targets = samples_of(target, "target", self._device())
        sources = self._source if source is None else self._sources(source, targets.shape)
        if sources is None:
            raise ValueError(
                "resume() needs the source that fit() had: it was not noise, and files hold no samples. Call "
                "resume(target, source)."
            )
        for name, samples, shape in zip(("source", "target"), (sources, targets), self._shapes, strict=True):
            if samples.shape != shape:
                raise ValueError(
                    f"{name}: the model was trained on samples of shape {shape}; these have {samples.shape}. Pass "
                    "those that fit() had, or fit() anew."
                )
        self._source = sources
        if state.threads != torch.get_num_threads():
            warnings.warn(
                f"The model was trained with {state.threads} threads of torch, now it has {torch.get_num_threads()}. "
                "What is learned from here on has other bits. torch.set_num_threads makes them equal.",
                RuntimeWarning,
                stacklevel=2,
            )
            state.threads = torch.get_num_threads()
        run(self, state, self._slots(), sources, targets)
        return self

    def transport(self, x: Any) -> Any:
        """What the map makes of samples of the source.

        Parameters
        ----------
        x : array_like (n, ...)
            Samples of the source's shape.

        Returns
        -------
        array (n, ...)
            Of the target's shape, float32, in the library that x is an array of.
        """
        state = self._fitted("transport")
        points = points_of(x, "x", self._shapes[0], self._device(), what="samples of the source's shape")
        return at_home(self._made(state, points), home_of_any(x))

    def sample(self, n: int, *, rng: Any = None) -> NDArray[np.float32]:
        """Draw samples of the source at random, and move them.

        Parameters
        ----------
        n : int
            How many.
        rng : None, int or numpy.random.Generator
            Source of the draw.

        Returns
        -------
        ndarray (n, ...)
            In float32.
        """
        state, draws = self._fitted("sample"), Draws(rng, self._device())
        if self._source is None:
            raise ValueError(
                "sample() needs the source that fit() had: it was no noise, and files hold no samples. Call "
                "transport(x) with samples of it."
            )
        return self._made(state, self._source.draw(positive_integer(n, "n"), draws), draws)

    @property
    def history(self) -> History:
        """Figures of each iteration."""
        return self._fitted("history").history

    @property
    def step(self) -> int:
        """Iterations done."""
        return self._fitted("step").step

    @property
    def map_(self) -> Any:
        """The network that samples are made by: the map with the average of its last weights."""
        return self._fitted("map_").average

    @property
    def potential_(self) -> Any:
        """The potential's network as it is now; None for a model without one."""
        return self._fitted("potential_").potential

    @property
    def kept(self) -> dict[str, Any]:
        """What callbacks keep, by name, from one call to the next: tensors, numbers and words. Files hold it too."""
        return self._fitted("kept").kept

    def save(self, path: str | Path) -> None:
        """Write all that is needed to go on, or to sample, to a file; whole, or not at all.

        Parameters
        ----------
        path : path
            Read by `monge.neural.load`.

        Raises
        ------
        ValueError
            If nothing was learned yet.
        OSError
            If no file can be written there.
        """
        state = self._fitted("save")
        write(
            path,
            {
                "kind": type(self).__name__,
                "settings": plain({each.name: getattr(self, each.name) for each in fields(self)}),
                "shapes": self._shapes,
                "noise": self._noise,
                "status": None if self.status is None else self.status.name,
                "state": pack(state),
            },
        )

    def __repr__(self) -> str:
        done = "not fitted" if self._state is None else f"{self._state.step} iterations"
        return f"{type(self).__name__}({done}" + ("" if self.status is None else f", {self.status.name}") + ")"

    # What these are made of.

    def _device(self) -> Any:
        return device_of(self.device)

    def _fitted(self, what: str) -> State:
        if self._state is None:
            raise ValueError(f"{what} needs a model that was fitted: call fit(target), or monge.neural.load(path).")
        return self._state

    def _own(self, given: Any, new: Callable[[], Any]) -> Any:
        """A copy of a user's network, or a new one, where training is."""
        return (new() if given is None else own(given)).to(self._device()).train()

    def _begun(self, network: Any, potential: Any, draws: Draws, shapes: tuple[tuple[int, ...], ...]) -> State:
        anchor = self._anchor()
        fitting(network, potential, anchor, self._functional(), shapes[0], shapes[1], draws.device)
        return start(network, potential, anchor, draws, self._optimizer)

    def _made(self, state: State, points: Any, draws: Draws | None = None) -> NDArray[np.float32]:
        # A network may draw, too: from numbers that are not training's, and not the caller's.
        with aside(state), (draws or Draws(0, self._device())).of_torch():
            parts = [state.average(state.anchor.source(part)).cpu().numpy() for part in points.split(_AT_ONCE)]
        return np.concatenate(parts)

    def _slots(self) -> Slots:
        return Slots(
            functional=self._functional(),
            batch_size=self.batch_size,
            phases=self._phases(),
            potential_steps=self._steps_of_potential,
            rate=cosine(self.final_lr),
            ema=self.ema,
        )


def load(path: str | Path, *, device: Any = None, **given: Any) -> Any:
    """A model from a file that `save`, or training with ``checkpoint=``, wrote; `resume` goes on where it was.

    Parameters
    ----------
    path : path
        The file. What it holds is read as numbers, never executed.
    device : str or torch.device, optional
        Where the model goes; None for the CPU.
    **given
        Settings in place of those in the file, and those that files cannot hold: `map` and `potential`, networks like
        those that were trained, if they are of classes other than monge's; functions that a model was made with.

    Returns
    -------
    Model
        Of the class that was saved.

    Raises
    ------
    ValueError
        If the file is none of monge's, or its weights do not fit the networks.
    OSError
        If there is no such file.

    Examples
    --------
    >>> import monge.neural, os, tempfile
    >>> model = monge.neural.WGAN(n_steps=1, rng=0).fit([[0.0], [1.0]])
    >>> path = os.path.join(tempfile.mkdtemp(), "wgan.pt")
    >>> model.save(path)
    >>> bool((monge.neural.load(path).sample(3, rng=1) == model.sample(3, rng=1)).all())
    True
    """
    held = read(path)
    kind = Model._kinds.get(held["kind"])
    if kind is None:
        raise ValueError(f"{path} holds a model of the class {held['kind']}, which is not known. Import it before.")
    settings = restored(held["settings"], given, path)
    model = kind(**{**settings, "device": device})
    model._shapes = tuple(tuple(shape) for shape in held["shapes"])
    device = model._device()
    draws = Draws(0, device)  # until it is known where they were
    with draws.of_torch():  # first weights, which those of the file take the place of
        network, potential = (
            networks_of(held["state"][name], given.get(name), name, path, device) for name in ("map", "potential")
        )
        state = model._begun(network, potential, draws, model._shapes)
    unpack(state, held["state"], path)
    model._state = state
    model._noise = bool(held["noise"])
    model._source = model._sources(None, model._shapes[1]) if model._noise else None
    model.status = None if held["status"] is None else TrainingStatus[held["status"]]
    return model
