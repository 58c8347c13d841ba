"""Without PyTorch or JAX, what needs them says what to install, and all else is there."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize(("module", "library"), [("jax", "jax"), ("torch", "torch"), ("neural", "torch")])
def test_the_text_names_the_extra(module: str, library: str) -> None:
    code = f"""
import sys
sys.modules["{library}"] = None
import monge
try:
    import monge.{module}
except ImportError as error:
    assert error.name == "{library}" and "pip install 'monge[{library}]'" in str(error), error
else:
    raise AssertionError
assert monge.emd([[1.0]]).value == 1.0
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
