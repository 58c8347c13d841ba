"""The methods of colour transfer by name, with their options."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from monge.maps.color.by_entropic import ByEntropic
from monge.maps.color.by_exact import ByExact
from monge.maps.color.by_minibatch import ByMinibatch
from monge.maps.color.by_palette import ByPalette
from monge.maps.color.method import Method

__all__ = ["METHODS", "method_of"]

METHODS: dict[str, type[Method]] = {
    "palette": ByPalette,
    "minibatch": ByMinibatch,
    "exact": ByExact,
    "entropic": ByEntropic,
}


def method_of(name: Any, options: Mapping[str, Any]) -> Method:
    """The method of that name with those of the options that are not None. ValueError for one that is not its own."""
    if not isinstance(name, str) or name not in METHODS:
        raise ValueError(f"method should be one of {', '.join(map(repr, METHODS))}; got {name!r}.")
    given = {option: value for option, value in options.items() if value is not None}
    for option in given:
        if option not in _options(METHODS[name]):
            owners = [repr(other) for other, kind in METHODS.items() if option in _options(kind)]
            raise ValueError(
                f"{option} is no option of method={name!r}, but of {', '.join(owners)}. Leave it out, or choose "
                "another method."
            )
    return METHODS[name](**given)


def _options(kind: Any) -> list[str]:
    return [field.name for field in fields(kind)]
