"""Settings shared by all tests."""

from __future__ import annotations

import faulthandler

from hypothesis import settings

# The same examples in every run: a suite that fails one time in a hundred tells nobody anything.
settings.register_profile("fixed", derandomize=True, deadline=None, database=None)
settings.load_profile("fixed")

# A hang is reported with its stack instead of silence.
faulthandler.enable()
