"""Without JAX, `monge.jax` says what to install."""

from __future__ import annotations

import subprocess
import sys


def test_the_text_names_the_extra() -> None:
    code = """
import sys
sys.modules["jax"] = None
try:
    import monge.jax
except ImportError as error:
    assert error.name == "jax" and "pip install 'monge[jax]'" in str(error), error
else:
    raise AssertionError
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
