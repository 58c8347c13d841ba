"""Optimal transport between minibatches (Fatras et al. 2020, 2021)."""
