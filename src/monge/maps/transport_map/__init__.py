"""A transformer of scikit-learn that moves one sample onto another by transport. Needs the extra ``sklearn``."""

try:
    import sklearn  # noqa: F401
except ImportError as error:
    raise ImportError("monge.TransportMap needs scikit-learn: pip install 'monge[sklearn]'", name="sklearn") from error

from monge.maps.transport_map.estimator import TransportMap

__all__ = ["TransportMap"]
