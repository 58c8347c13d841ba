"""Arrays of other libraries than NumPy: what they hold, and how results get back to where they came from.

Any library will do that follows the array API standard (https://data-apis.org/array-api), among them torch, JAX and
CuPy. None is imported to find out: an array says itself where it belongs. Lists, numbers, data frames and whatever else
NumPy reads are at home in NumPy.

Points, weights and potentials are few numbers beside the pairs of points, so they make the way over the host.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Home", "home_of", "home_of_any", "is_bfloat16", "on_host"]

# The devices of DLPack that are GPUs on which problems are solved: CUDA's memory, and CUDA's managed memory.
_GPUS = (2, 13)

# Floating types that NumPy has, too; what goes into others goes through float32.
_SHARED = {"float16": np.float16, "float32": np.float32, "float64": np.float64}


class Home:
    """Where the arrays of a caller are: puts an array of NumPy there, as an array of the caller's library.

    Floating numbers get the floating type of the caller's arrays, the widest where there are several; of arrays of
    integers, the library's default. Other numbers, such as the rows of a sparse plan, keep theirs. The array is a copy:
    what becomes of it does not reach what a result keeps.

    Attributes
    ----------
    library : module
        The library's functions, by the names of the array API standard.
    device : object
        As the library writes it; None where it decides.
    on_gpu : bool
        Whether that is a GPU on which problems are solved.
    """

    def __init__(self, library: Any, device: Any, dtype: Any, on_gpu: bool) -> None:
        self.library, self.device, self._dtype = library, device, dtype
        self.on_gpu = on_gpu

    @property
    def dtype(self) -> Any:
        """The floating type of what comes back, as the library writes it; None where it does not say."""
        return _default(self.library, self.device) if self._dtype is None else self._dtype

    def __call__(self, array: NDArray[Any]) -> Any:
        dtype = self.dtype
        if array.dtype.kind != "f" or dtype is None:
            return self.library.asarray(np.array(array, order="C"), device=self.device)
        stored = _SHARED.get(_name(dtype), np.float32)
        with np.errstate(over="ignore", under="ignore"):  # inf is what half precision has for a large number
            values = np.array(array, dtype=stored, order="C")
        return self.library.asarray(values, dtype=dtype, device=self.device)

    def with_(self, other: Home) -> Home:
        """Where the results of arrays here and of arrays there belong. An error where these are not one place."""
        if self.library is not other.library:
            names = sorted((self.library.__name__, other.library.__name__))
            raise TypeError(
                f"the arrays of a call should be of one library, or of it and of NumPy; got some of {names[0]} and of "
                f"{names[1]}. Convert those of one, for example with numpy.asarray."
            )
        if self.device != other.device:
            raise ValueError(
                f"the arrays of a call should be on one device; got {self.device} and {other.device}. Move those of "
                "one to the other."
            )
        if other._dtype is None or other._dtype == self._dtype:
            return self
        if self._dtype is None:
            return other
        wider = getattr(self.library, "promote_types", None) or self.library.result_type
        return Home(self.library, self.device, wider(self._dtype, other._dtype), self.on_gpu)

    def __reduce__(self) -> Any:
        """Where it is loaded there may be no such library and no such device: results are then NumPy's."""
        return _nowhere, ()

    def __deepcopy__(self, _: Any) -> Home:
        return self  # which copies of objects in the same process share

    def __copy__(self) -> Home:
        return self

    def __repr__(self) -> str:
        dtype = "its default type" if self._dtype is None else _name(self._dtype)
        return f"Home({self.library.__name__}, {self.device}, {dtype})"


def home_of(values: Any) -> Home | None:
    """Of an array of another library, or of a cost made of such arrays; None for all that is at home in NumPy."""
    if values is None or type(values) is np.ndarray:
        return None
    if isinstance(values, Home):
        return values
    found = getattr(values, "home", None)
    if isinstance(found, Home):
        return found
    if not _is_foreign(values):
        return None
    library, device = _namespace_and_device(values)
    return Home(library, device, _floating(library, values), _on_gpu(values))


def home_of_any(*values: Any) -> Home | None:
    """The one home of all arrays that are not NumPy's, such as the points and weights of a call; None without any.

    Costs, and lists of arrays, of costs or of tuples of arrays, count as their arrays do; so does a `Home`, and None is
    nothing. TypeError for arrays of two libraries beside NumPy, ValueError for two devices.
    """
    home = None
    for value in values:
        if value is None or type(value) is np.ndarray:
            continue
        found = _home_of_list(value) if isinstance(value, list | tuple) else home_of(value)
        if found is not None:
            home = found if home is None else home.with_(found)
    return home


def _home_of_list(values: list[Any] | tuple[Any, ...]) -> Home | None:
    """A list that begins with a number holds numbers."""
    if len(values) == 0 or isinstance(values[0], int | float | np.generic):
        return None
    return home_of_any(*values)


def on_host(values: Any) -> Any:
    """The numbers of an array of another library, as NumPy has them; anything else as it is."""
    if type(values) is np.ndarray or not _is_foreign(values):
        return values
    for leave in ("detach", "cpu", "get"):  # torch's two, of which the first forgets how a tensor came about; CuPy's
        values = getattr(values, leave)() if hasattr(values, leave) else values
    if is_bfloat16(values) and hasattr(values, "float"):  # torch's, of which NumPy knows nothing
        values = values.float()
    try:
        array = np.asarray(values)
    except (RuntimeError, TypeError):
        if _is_tensor(values) or not hasattr(values, "__dlpack__"):
            raise
        array = np.from_dlpack(values)
    return array.astype(np.float32) if is_bfloat16(array) else array


def is_bfloat16(values: Any) -> bool:
    """Whether an array is of the floating type of two bytes that NumPy lacks."""
    return _name(getattr(values, "dtype", "")) == "bfloat16"


def _is_foreign(values: Any) -> bool:
    kind = type(values)
    if isinstance(values, np.ndarray | np.generic):
        return False
    return hasattr(kind, "__array_namespace__") or _is_tensor(values) or _on_gpu(values)


def _is_tensor(values: Any) -> bool:
    return isinstance(values, getattr(sys.modules.get("torch"), "Tensor", ()))  # whose type names no namespace


def _on_gpu(values: Any) -> bool:
    if not hasattr(values, "__dlpack_device__"):
        return False
    try:
        return int(values.__dlpack_device__()[0]) in _GPUS
    except (BufferError, RuntimeError, TypeError, ValueError):  # on several devices, or on one that DLPack has not
        return False


def _namespace_and_device(values: Any) -> tuple[Any, Any]:
    if _is_tensor(values):
        return sys.modules["torch"], values.device
    # CuPy's own functions do not take a device.
    if hasattr(type(values), "__array_namespace__") and not type(values).__module__.startswith("cupy"):
        device = getattr(values, "device", None)
        if len(getattr(device, "device_set", ())) > 1:
            device = None  # spread over several: how a result might be spread, they do not say
        return values.__array_namespace__(), device
    try:
        import array_api_compat
    except ImportError as error:
        raise ImportError(
            f"arrays such as {type(values).__name__} need the package array-api-compat: pip install 'monge[cuda]', or "
            "pass NumPy arrays."
        ) from error
    return array_api_compat.array_namespace(values), array_api_compat.device(values)


def _floating(library: Any, values: Any) -> Any:
    """The floating type of an array; None for one of other numbers."""
    dtype = getattr(values, "dtype", None)
    if dtype is None:
        return None
    floating = getattr(dtype, "is_floating_point", None)
    if floating is None:
        floating = library.isdtype(dtype, "real floating")
    return dtype if floating else None


def _default(library: Any, device: Any) -> Any:
    """The library's floating type where none is asked for; None if it does not say, and then it is that of NumPy."""
    if hasattr(library, "get_default_dtype"):
        return library.get_default_dtype()
    if not hasattr(library, "__array_namespace_info__"):
        return None
    return library.__array_namespace_info__().default_dtypes(device=device)["real floating"]


def _name(dtype: Any) -> str:
    """Of a type, without its library: torch.float32 is float32."""
    return str(dtype).rpartition(".")[2]


def _nowhere() -> None:
    return None
