"""Files that hold a model: written whole or not at all, and read without executing anything.

All that decides the next steps is kept: networks, old maps, the average, optimisers, generators, history. torch's
format with `weights_only` takes tensors and plain values alone: settings are numbers and words, and networks recipes.
"""

from __future__ import annotations

import os
import secrets
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from monge.neural.history import History
from monge.neural.nets import build, recipe_of
from monge.neural.training import State, own

__all__ = ["networks_of", "pack", "plain", "read", "restored", "unpack", "writable", "write"]

_FORMAT = "monge.neural 1"

_PARTS = {"format", "kind", "settings", "shapes", "noise", "status", "state"}

# What a file cannot hold, in place of the setting.
_MISSING = {"missing": True}


def writable(path: str | Path) -> Path:
    """The path. OSError where no file can be written to it, which is better known before training than after."""
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(f"{path} should be the name of a file to write; it is a directory.")
    try:
        beside = _beside(path)
        beside.touch(exist_ok=False)
        beside.unlink()
    except OSError as problem:
        raise type(problem)(
            f"{path} cannot be written: {problem.strerror} ({path.absolute().parent}). Make the directory, or pass "
            "another path."
        ) from None
    return path


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}")


def write(path: str | Path, held: dict[str, Any]) -> None:
    """To a file beside it first, which then takes its place: whoever is killed on the way leaves the old one."""
    path = Path(path)
    beside = _beside(path)
    try:
        with open(beside, "xb") as file:
            torch.save({"format": _FORMAT, **held}, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def read(path: str | Path) -> dict[str, Any]:
    """What `write` wrote. ValueError for another file, OSError for none."""
    problem: Any = "no archive"
    held = None
    if zipfile.is_zipfile(path):  # else torch tries formats of other times
        try:
            held = torch.load(path, weights_only=True, map_location="cpu")
        except Exception as found:  # whatever bytes that mean something else may lead to
            problem = type(found).__name__
    else:
        open(path, "rb").close()  # says why where there is nothing to read
    if held is None:
        raise ValueError(
            f"{path} is no file of monge.neural's, or it is damaged ({problem}). Pass one that model.save(path) wrote."
        )
    if not (isinstance(held, dict) and held.get("format") == _FORMAT and held.keys() >= _PARTS):
        raise ValueError(
            f"{path} is no file of monge.neural's, or of another version of it (expected {_FORMAT!r}). Pass one that "
            "model.save(path) wrote."
        )
    return held


def plain(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings as a file takes them. Networks have recipes, and the generator's state is kept: both are left out."""
    kept = {name: value for name, value in settings.items() if name not in ("map", "potential", "rng", "device")}
    kept = {name: value.item() if isinstance(value, np.generic) else value for name, value in kept.items()}
    return {name: value if _is_plain(value) else _MISSING for name, value in kept.items()}


def _is_plain(value: Any) -> bool:
    """Whether a file can hold it, and give it back."""
    if isinstance(value, dict):
        return all(type(key) in (int, str) for key in value) and all(map(_is_plain, value.values()))
    if isinstance(value, list | tuple):
        return all(map(_is_plain, value))
    return value is None or type(value) in (bool, int, float, str, Tensor)


def restored(settings: dict[str, Any], given: dict[str, Any], path: str | Path) -> dict[str, Any]:
    """The settings of a file, and what was given for those that it could not hold."""
    missing = [name for name, value in settings.items() if value == _MISSING and name not in given]
    if missing:
        names = ", ".join(f"{name}=..." for name in missing)
        raise ValueError(
            f"{path}: files do not hold functions or objects. Pass what the model was made with: load(path, {names})."
        )
    return {**settings, **given}


def pack(state: State) -> dict[str, Any]:
    """The state in tensors and plain values."""
    if not _is_plain(state.kept):
        raise TypeError(f"model.kept should hold tensors, numbers and words, which files can; got {state.kept!r}.")

    def network(module: Any, optimizer: Any) -> dict[str, Any] | None:
        if module is None:
            return None
        if not _is_plain(module.state_dict()):
            raise TypeError(
                f"files hold tensors, numbers and words; the state of a {type(module).__name__} has something else: "
                "look at its get_extra_state()."
            )
        return {
            "name": type(module).__name__,
            "recipe": recipe_of(module),
            "weights": module.state_dict(),
            "optimizer": optimizer.state_dict(),
        }

    return {
        "map": network(state.map, state.map_optimizer),
        "potential": network(state.potential, state.potential_optimizer),
        "anchor": state.anchor.state_dict(),
        "average": state.average.state_dict(),
        "draws": state.draws.state(),
        "threads": state.threads,
        "step": state.step,
        "phase": state.phase,
        "history": state.history.state(),
        "evaluations": dict(state.evaluations),
        "kept": state.kept,
    }


def networks_of(held: dict[str, Any] | None, given: Any, name: str, path: str | Path, device: Any) -> Any:
    """The network of a file, whose weights are still to come: as its recipe says, or a copy of what was given."""
    if held is None:
        return None
    if given is None and held["recipe"] is None:
        raise ValueError(
            f"{path}: the {name} is a network of the class {held['name']}, which files do not hold. Pass one like it: "
            f"load(path, {name}=...)."
        )
    return (build(held["recipe"]) if given is None else own(given)).to(device).train()


def unpack(state: State, held: dict[str, Any], path: str | Path) -> None:
    """The state that was packed, into one with networks of the same kind. ValueError if they are of another."""
    for _ in range(held["phase"] - 1):
        state.anchor.advance(state.map)
    try:
        for name in ("map", "potential"):
            if held[name] is not None:
                getattr(state, name).load_state_dict(held[name]["weights"])
                getattr(state, f"{name}_optimizer").load_state_dict(held[name]["optimizer"])
        state.average.load_state_dict(held["average"])
        state.anchor.load_state_dict(held["anchor"])
    except (RuntimeError, ValueError) as problem:
        raise ValueError(
            f"{path} holds a model with other networks than these: {str(problem).splitlines()[-1].strip()}"
        ) from None
    state.draws.restore(held["draws"])
    state.step, state.phase = held["step"], held["phase"]
    state.history = History.restored(held["history"])
    state.evaluations.update(held["evaluations"])
    state.threads = held["threads"]
    state.kept = held["kept"]
