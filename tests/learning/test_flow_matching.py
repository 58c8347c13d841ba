"""What coupled batches do for a flow matching model, in the plane and on digits."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("torch", reason="the model is one of torch: pip install 'monge[torch]'")
pytest.importorskip("sklearn", reason="the digits are scikit-learn's: pip install scikit-learn")

PROGRAM = "flow_matching"


def test_paths_are_straighter(program: dict[str, Any]) -> None:
    at_random, coupled = program["bends"]
    assert at_random > 0.2
    assert 0.0 <= coupled < 0.15 * at_random


def test_one_step_is_as_good_as_several(program: dict[str, Any]) -> None:
    at_random, coupled = program["errors"]
    assert coupled[0] < 0.5 * at_random[0]
    assert coupled[1] < 0.7 * at_random[1]
    assert coupled[0] < 1.6 * coupled[-1]
    assert coupled[-1] < 1.3 * at_random[-1]  # and nothing is lost with many
    assert program["floor"] < coupled[-1] < 3.0 * program["floor"]


def test_digits(program: dict[str, Any]) -> None:
    at_random, coupled = program["bends_of_digits"]
    assert coupled < 0.75 * at_random
    at_random, coupled = program["off"]
    assert coupled < 0.8 * at_random
    assert program["some"].cost < 0.9 * program["some"].cost_before
