"""The same bits from Ray, by the backend that it registers with joblib. Run by the scheduled workflow."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from spread import tasks

from monge.spread.blocks import run_blocks, seed_of, workers
from monge.spread.sources import source_of

pytest.importorskip("joblib", reason="joblib comes with the extra cluster")
ray = pytest.importorskip("ray", reason="Ray comes with no extra: pip install ray")
pytestmark = pytest.mark.filterwarnings("default")  # those of Ray are its own


def test_same_bits():
    import joblib
    from ray.util.joblib import register_ray

    register_ray()
    where = {"env_vars": {"PYTHONPATH": str(Path(tasks.__file__).parents[1])}}  # of the tasks, for the workers
    ray.init(num_cpus=2, include_dashboard=False, runtime_env=where)
    try:
        sources = [source_of(np.random.default_rng(0).normal(size=(2000, 3)), "x"), source_of(tasks.normal, "y")]
        here = list(run_blocks(tasks.rows, 20, seed=seed_of(1), sources=sources, n_jobs=1))
        with joblib.parallel_config("ray"):
            assert workers(None)[0]
            assert list(run_blocks(tasks.rows, 20, seed=seed_of(1), sources=sources)) == here
    finally:
        ray.shutdown()
