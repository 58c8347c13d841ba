"""In docstrings bars are absolute values, as in ``|x - y|``; to reStructuredText they are the name of a substitution.

So they are escaped before the text is read, but not in literals and in examples.
"""

from __future__ import annotations

import re
from typing import Any

_LITERAL_OR_BAR = re.compile(r"(``.*?``)|\|")


def setup(app: Any) -> dict[str, Any]:
    app.connect("autodoc-process-docstring", escape_bars, priority=900)  # after numpydoc, which makes the lines
    return {"parallel_read_safe": True}


def escape_bars(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    in_example = False
    for k, line in enumerate(lines):
        in_example = bool(line.strip()) and (in_example or line.lstrip().startswith(">>>"))
        if not in_example:
            lines[k] = escaped(line)


def escaped(text: str) -> str:
    """With a backslash before each bar that is not in a literal."""
    return _LITERAL_OR_BAR.sub(lambda found: found[1] or r"\|", text)
