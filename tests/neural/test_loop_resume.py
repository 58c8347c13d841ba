"""Training that is cut off goes on with the same bits, and what cannot go on says so."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="monge.neural needs the extra torch")

import torch
from tiny import Dual, Noisy, Primal, fingerprint, noisy, sampler

import monge.neural
from monge.neural import MLP, TrainingStatus, Watch

X = np.random.default_rng(0).normal(size=(40, 2))

# Outer steps of 6 iterations: the anchor moves on between two checkpoints, and at one.
SETTINGS = {"n_steps": 6, "n_outer": 3, "anchor": "rebased", "rng": 1}

CHILD = """
import os, signal, sys
import torch
torch.set_num_threads(int(sys.argv[2]))
from tiny import Dual, noisy, sampler
from monge.neural import Watch

def kill(*_):
    os.kill(os.getpid(), signal.SIGKILL)

def at_nine(model):
    if model.step == 9:
        kill()

def run(moment):
    if moment == "writing":
        replace = os.replace
        def once(*paths):  # the first file is whole, the second one written but not in its place
            os.replace = kill
            replace(*paths)
        os.replace = once
    model = Dual(map=noisy(), **SETTINGS)
    watch = Watch(lambda model: -model.step, every=2, patience=50)
    calls = [watch, at_nine] if moment == "between" else [watch]
    model.fit(sampler, checkpoint=os.path.join(sys.argv[1], moment), checkpoint_every=4, callbacks=calls)

for moment in ("between", "writing"):  # each in a process of its own, and torch is imported once
    child = os.fork()
    if child == 0:
        run(moment)
        os._exit(0)
    print(os.WTERMSIG(os.waitpid(child, 0)[1]))
"""


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """Files of two trainings that were killed, by the moment when."""
    folder = tmp_path_factory.mktemp("killed")
    paths = os.pathsep.join([str(Path(__file__).parents[1]), *sys.path])
    done = subprocess.run(
        [sys.executable, "-c", CHILD.replace("SETTINGS", repr(SETTINGS)), folder, str(torch.get_num_threads())],
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.stdout.split() == [str(int(signal.SIGKILL))] * 2, done.stderr
    return folder


@pytest.mark.parametrize(("moment", "step"), [("between", 8), ("writing", 4)])
def test_killed_and_resumed_is_as_if_never_killed(moment, step, killed):
    watch = Watch(lambda model: -model.step, every=2, patience=50)
    whole = Dual(map=noisy(), **SETTINGS).fit(sampler, callbacks=watch)
    model = monge.neural.load(killed / moment, map=Noisy())
    assert model.step == step
    assert model.status is TrainingStatus.UNFINISHED
    assert fingerprint(model) != fingerprint(whole)
    model.resume(sampler, callbacks=watch)
    assert model.status is TrainingStatus.DONE
    assert fingerprint(model) == fingerprint(whole)
    np.testing.assert_array_equal(model.sample(5, rng=0), whole.sample(5, rng=0))


@pytest.mark.parametrize("anchor", ["free", "rebased", "composed"])
def test_whatever_is_raised_on_the_way_undoes_its_iteration(anchor):
    """Ctrl-C in the middle of one, a callback that fails between two, a sampler that runs dry."""
    settings = {**SETTINGS, "anchor": anchor, "map": noisy(), "potential_steps": 3}
    calls = 0

    def interrupted(rng: np.random.Generator, n: int) -> np.ndarray:
        nonlocal calls
        calls += 1
        if calls in (3, 30):  # in the first iteration, and in a step of the potential of the first of an outer step
            raise KeyboardInterrupt
        if calls == 44:
            raise StopIteration
        return sampler(rng, n)

    def fails(model: Dual) -> None:
        if model.step == 8:
            raise RuntimeError("a picture could not be drawn")

    whole = Dual(**settings).fit(sampler)
    model = Dual(**settings)
    with pytest.raises(KeyboardInterrupt):
        model.fit(interrupted)
    assert model.step == len(model.history) == 0
    with pytest.raises(KeyboardInterrupt):
        model.resume(interrupted)
    assert model.step == len(model.history) == 6
    assert model.status is TrainingStatus.UNFINISHED
    model.sample(3)
    with pytest.raises(RuntimeError, match="picture"):
        model.resume(sampler, callbacks=fails)
    calls = 42
    with pytest.raises(ValueError, match=r"target: the sampler ran dry: 8 samples were asked for, 0 came"):
        model.resume(interrupted)
    assert model.step == 8
    model.resume(sampler)
    assert fingerprint(model) == fingerprint(whole)


def test_saved_and_loaded_in_the_middle(tmp_path):
    """Each file, of each iteration, leads to the same end; also by networks that files know themselves."""
    settings = {
        "n_steps": 3,
        "n_outer": 2,
        "anchor": "composed",
        "rng": 3,
        "map": MLP(2, 2, hidden=(4,), batch_norm=True),
    }
    whole = Dual(**settings).fit(X, callbacks=lambda model: model.save(tmp_path / f"{model.step}.pt"))
    for step in range(1, 7):
        model = monge.neural.load(tmp_path / f"{step}.pt")
        assert fingerprint(model.resume(X)) == fingerprint(whole)


def test_one_seed_one_model_and_the_callers_generators_stay(tmp_path):
    torch.manual_seed(5)
    np.random.seed(5)  # noqa: NPY002
    before = torch.get_rng_state(), np.random.get_state()[1].tolist()  # noqa: NPY002
    seen = []
    first = Dual(map=noisy(), rng=2).fit(X, callbacks=lambda model: seen.append(torch.get_rng_state()))
    first.sample(3, rng=0)
    first.transport(X)
    first.save(tmp_path / "model.pt")
    monge.neural.load(tmp_path / "model.pt", map=noisy()).resume(X)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert all(torch.equal(each, before[0]) for each in seen)
    assert np.random.get_state()[1].tolist() == before[1]  # noqa: NPY002
    torch.manual_seed(6)
    again = Dual(map=noisy(), rng=2).fit(X)
    assert fingerprint(again) == fingerprint(first)
    assert fingerprint(again.fit(X)) == fingerprint(first)  # anew
    assert fingerprint(Dual(map=noisy(), rng=3).fit(X)) != fingerprint(first)
    made = [Dual(map=noisy(), rng=np.random.default_rng(4)).fit(X) for _ in range(2)]
    assert fingerprint(made[0]) == fingerprint(made[1])
    generator = np.random.default_rng(4)
    model = Dual(map=noisy(), rng=generator).fit(X)
    assert fingerprint(model) == fingerprint(made[0])
    assert fingerprint(model.fit(X)) != fingerprint(made[0])  # the generator has gone on


def test_looking_changes_nothing():
    """Samples and metrics on the way, of a network that draws even when it is used, leave training as it was."""

    class Random(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Linear(2, 2)

        def forward(self, x):
            return self.layer(x) + 0.1 * torch.randn_like(x)

    def look(model):
        torch.randn(3)
        return model.sample(4, rng=0)

    plain, watched = (Primal(map=Random(), rng=0) for _ in range(2))
    watched.map = plain.map
    assert fingerprint(plain.fit(X)) == fingerprint(watched.fit(X, callbacks=look))
    np.testing.assert_array_equal(plain.sample(4, rng=0), plain.sample(4, rng=0))
    assert (plain.sample(4, rng=0) != plain.sample(4, rng=1)).all()


def test_longer_training_and_a_limit_of_time():
    model = Primal(rng=0)
    with pytest.warns(monge.ConvergenceWarning, match=r"Primal: in iteration 1 of 4: time_limit ran out: go on with"):
        model.fit(X, time_limit=0.0)
    assert model.status is TrainingStatus.TIME_LIMIT
    assert fingerprint(model.resume(X)) == fingerprint(Primal(rng=0).fit(X))
    model.n_steps = 6
    assert model.resume(X).step == 6


def test_threads_are_recorded(tmp_path):
    threads = torch.get_num_threads()
    model = Primal(rng=0, n_steps=2).fit(X)
    model.save(tmp_path / "model.pt")
    model = monge.neural.load(tmp_path / "model.pt", n_steps=3)
    try:
        torch.set_num_threads(threads + 1)
        with pytest.warns(RuntimeWarning, match=rf"with {threads} threads of torch, now it has {threads + 1}"):
            model.resume(X)
    finally:
        torch.set_num_threads(threads)


class TestFiles:
    def test_nothing_to_save(self, tmp_path):
        with pytest.raises(ValueError, match="save needs a model that was fitted"):
            Primal().save(tmp_path / "model.pt")

    def test_a_path_that_cannot_be_written_is_known_before(self, tmp_path):
        model = Primal(rng=0).fit(X)
        before = fingerprint(model)
        with pytest.raises(FileNotFoundError, match=r"none/model\.pt cannot be written: .* Make the directory"):
            model.fit(X, checkpoint=tmp_path / "none" / "model.pt")
        with pytest.raises(IsADirectoryError, match="name of a file to write; it is a directory"):
            model.resume(X, checkpoint=tmp_path)
        assert fingerprint(model) == before
        assert not list(tmp_path.iterdir())

    def test_nothing_is_left_of_a_file_that_was_not_written(self, tmp_path, monkeypatch):
        model = Primal(rng=0).fit(X)
        model.save(tmp_path / "model.pt")
        before = (tmp_path / "model.pt").read_bytes()

        def full(*_):
            raise OSError("no space left on device")

        monkeypatch.setattr(os, "replace", full)
        with pytest.raises(OSError, match="no space"):
            model.fit(X, checkpoint=tmp_path / "model.pt")
        assert (tmp_path / "model.pt").read_bytes() == before
        assert [path.name for path in tmp_path.iterdir()] == ["model.pt"]

    def test_files_that_are_none(self, tmp_path):
        path = tmp_path / "model.pt"
        with pytest.raises(FileNotFoundError):
            monge.neural.load(path)
        rng = np.random.default_rng(0)
        Primal(rng=0).fit(X).save(path)
        whole = path.read_bytes()
        for damaged in (b"", b"words", rng.bytes(3000), whole[: len(whole) // 2], whole[:-30], whole[300:]):
            path.write_bytes(damaged)
            with pytest.raises(ValueError, match=r"no file of monge\.neural's, or it is damaged"):
                monge.neural.load(path)
        for other in ({"weights": torch.zeros(3)}, [1, 2], {"format": "monge.neural 1"}):
            torch.save(other, path)
            with pytest.raises(ValueError, match=r"no file of monge\.neural's, or of another version"):
                monge.neural.load(path)

    @pytest.mark.parametrize("archive", [False, True])
    def test_code_is_not_executed(self, archive, tmp_path):
        class Code:
            def __reduce__(self):
                return os.mkdir, (str(tmp_path / "executed"),)

        path = tmp_path / "model.pt"
        if archive:
            Primal(rng=0).fit(X).save(path)
            with zipfile.ZipFile(path) as file:
                held = {name: file.read(name) for name in file.namelist()}
            with zipfile.ZipFile(path, "w") as file:
                for name, content in held.items():
                    file.writestr(name, pickle.dumps(Code()) if name.endswith("data.pkl") else content)
        else:
            path.write_bytes(pickle.dumps(Code()))
        with pytest.raises(ValueError, match=r"no file of monge\.neural's"):
            monge.neural.load(path)
        assert not (tmp_path / "executed").exists()
        if not archive:
            pickle.loads(path.read_bytes())  # it would have been
            assert (tmp_path / "executed").exists()

    def test_another_models(self, tmp_path):
        path = tmp_path / "model.pt"
        Dual(rng=0, map=noisy()).fit(X).save(path)
        with pytest.raises(
            ValueError, match=r"the map is a network of the class Noisy, which files do not hold.*map=\.\.\."
        ):
            monge.neural.load(path)
        with pytest.raises(ValueError, match="holds a model with other networks than these"):
            monge.neural.load(path, map=MLP(2, 2))
        with pytest.raises(ValueError, match=r"map: the network does not take float32 samples of shape \(2,\)"):
            monge.neural.load(path, map=MLP(3, 2))
        given = noisy(7)
        before = given.fixed.weight.clone()
        model = monge.neural.load(path, map=given)
        assert torch.equal(given.fixed.weight, before)  # a copy was loaded
        for samples in (X[:, :1], X[:, 0], np.zeros((4, 3, 3))):
            with pytest.raises(ValueError, match="source: the model was trained on samples of shape"):
                model.resume(X, samples)
            with pytest.raises(ValueError, match="target: the model was trained on samples of shape"):
                model.resume(samples)
        held = torch.load(path, weights_only=True)
        torch.save({**held, "kind": "Unheard"}, path)
        with pytest.raises(ValueError, match="of the class Unheard, which is not known"):
            monge.neural.load(path)

    def test_what_could_not_be_read_again_is_not_written(self, tmp_path):
        class Extra(torch.nn.Linear):
            def get_extra_state(self):
                return Path("somewhere")

            def set_extra_state(self, state):
                pass

        model = Primal(map=Extra(2, 2), rng=0).fit(X)
        with pytest.raises(TypeError, match="the state of a Extra has something else"):
            model.save(tmp_path / "model.pt")
        assert not list(tmp_path.iterdir())

    def test_samples_are_not_in_files(self, tmp_path):
        model = Primal(rng=0).fit(X, X)
        model.save(tmp_path / "model.pt")
        model = monge.neural.load(tmp_path / "model.pt")
        for name in ("sample", "resume"):
            with pytest.raises(ValueError, match=rf"{name}\(\) needs the source that fit\(\) had"):
                getattr(model, name)(3 if name == "sample" else X)
        assert model.transport(X).shape == (40, 2)
        assert model.resume(X, X).sample(3).shape == (3, 2)

    def test_what_callbacks_keep(self, tmp_path):
        def count(model):
            model.kept["count"] = model.kept.get("count", 0) + 1

        model = Primal(rng=0).fit(X, callbacks=count)
        model.save(tmp_path / "model.pt")
        assert monge.neural.load(tmp_path / "model.pt").kept == {"count": 4}
        assert model.fit(X).kept == {}
        model.kept["array"] = np.zeros(3)
        with pytest.raises(TypeError, match=r"model\.kept should hold tensors, numbers and words"):
            model.save(tmp_path / "model.pt")
