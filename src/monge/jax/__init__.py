"""Transport as losses for JAX: arrays in, a differentiable scalar out, or one for each leading batch index.

They work under jax.jit, grad and vmap, where a whole batch is solved in one call on the host.

>>> import jax, jax.numpy as jnp, monge.jax
>>> x, y = jnp.array([[0.0, 0.0], [1.0, 1.0]]), jnp.array([[1.0, 2.0], [0.0, 1.0]])
>>> loss, slope = jax.jit(jax.value_and_grad(monge.jax.emd))(x, y)
>>> loss
Array(1., dtype=float32)
>>> slope
Array([[ 0., -1.],
       [ 0., -1.]], dtype=float32)
"""

try:
    import jax as _jax  # noqa: F401
except ImportError as error:
    raise ImportError("monge.jax needs JAX: pip install 'monge[jax]'.", name="jax") from error

from monge.jax.losses import (
    energy_distance,
    max_sliced_wasserstein,
    mmd,
    sinkhorn_divergence,
    sliced_wasserstein,
)
from monge.jax.transport import emd, sinkhorn
from monge.jax.wasserstein_loss import wasserstein_loss

__all__ = [
    "emd",
    "energy_distance",
    "max_sliced_wasserstein",
    "mmd",
    "sinkhorn",
    "sinkhorn_divergence",
    "sliced_wasserstein",
    "wasserstein_loss",
]
