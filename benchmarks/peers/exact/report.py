"""The tables of the exact solvers: on the terminal and in benchmarks/RESULTS.md."""

from __future__ import annotations

import math
from importlib.metadata import version
from typing import Any

from benchmarks.peers.exact.contestants import TITLES

PEERS = [name for name in TITLES if name != "monge"]
Row = dict[str, Any]


def header(with_memory: bool) -> str:
    columns = [f"{'instance':31}{'monge':>9}{'gap':>9}{'pivots':>9}{'sweeps':>7}"]
    columns += [f"{TITLES[name]:>9}{'ratio':>7}{'off by':>9}" for name in PEERS]
    if with_memory:
        columns.append("  MB beyond the cost")
    return "seconds: medians; gap, off by: relative to the value\n" + "".join(columns)


def line(row: Row, with_memory: bool) -> str:
    stats = row["stats"]
    text = f"{row['name']:31}{row['seconds']['monge']:9.4f}{row['gap']:9.0e}{stats['pivots']:9d}{stats['sweeps']:7d}"
    for name in PEERS:
        if name in row["ratios"]:
            text += f"{row['seconds'][name]:9.3f}{row['ratios'][name]:6.1f}x{row['differences'][name]:9.0e}"
        else:
            text += f"{'-':>9}{'':7}{'':9}"
    if with_memory:
        text += "  " + ", ".join(f"{TITLES[name]} {bytes_ / 1e6:.1f}" for name, bytes_ in row["memory"].items())
    return text


def geometric_mean(values: list[float]) -> float:
    return math.exp(sum(map(math.log, values)) / len(values))


def summary(rows: list[Row]) -> str:
    """The geometric mean and the least of the ratios to each peer, and the worst accuracy."""
    lines = [""]
    for name in PEERS:
        against = [(row["ratios"][name], row["name"]) for row in rows if name in row["ratios"]]
        if against:
            mean, (least, where) = geometric_mean([ratio for ratio, _ in against]), min(against)
            lines.append(
                f"{TITLES[name]:6} takes {mean:.1f} times as long in the geometric mean of {len(against)}, "
                f"at least {least:.1f} times ({where})"
            )
    differences = [difference for row in rows for difference in row["differences"].values()]
    lines.append(f"largest relative gap of monge {max(row['gap'] for row in rows):.0e}")
    if differences:
        lines[-1] += f", largest difference of values {max(differences):.0e}"
    return "\n".join(lines)


def _cell(row: Row | None) -> str:
    if row is None:
        return ""
    ratios = [f"{TITLES[name]} {_times(row['ratios'][name])}" for name in PEERS if name in row["ratios"]]
    return f"{_seconds(row['seconds']['monge'])} ({', '.join(ratios)})" if ratios else _seconds(row["seconds"]["monge"])


def _times(ratio: float) -> str:
    return f"{ratio:.0f}×" if ratio >= 9.95 else f"{ratio:.1f}×"


def _seconds(seconds: float) -> str:
    return f"{seconds:.2g} s" if seconds >= 1 else f"{1e3 * seconds:.3g} ms"


def _columns(row: Row) -> str:
    n, m = row["shape"]
    # Images round n to a square: 1024 stands under 1000.
    return f"n = {row['asked'][0]}" if row["asked"][0] == row["asked"][1] else f"{n} × {m}"


def markdown(results: dict[str, Any]) -> str:
    """The table of benchmarks/RESULTS.md: a family a row, a size a column."""
    rows = results["rows"]
    columns = list(dict.fromkeys(_columns(row) for row in rows))
    families = list(dict.fromkeys(row["family"] for row in rows))
    at = {(row["family"], _columns(row)): row for row in rows}
    table = [
        f"| instance | {' | '.join(columns)} |",
        f"|---|{'---|' * len(columns)}",
        *(f"| {family} | {' | '.join(_cell(at.get((family, column))) for column in columns)} |" for family in families),
    ]
    peers = {"pot": f"POT {version('pot')}", "scipy": f"SciPy {version('scipy')}", "lapx": f"lapx {version('lapx')}"}
    used = [text for name, text in peers.items() if any(name in row["ratios"] for row in rows)]
    threads = "one thread" if results["threads"] == 1 else f"{results['threads']} threads"
    gap = max(row["gap"] for row in rows)
    note = (
        f"Seconds of `monge.emd` on {threads} ({results['machine']}), and in brackets how many times as long "
        f"{', '.join(used)} took in the same run. Every answer is certified: the largest relative gap is {gap:.0e}"
    )
    differences = [difference for row in rows for difference in row["differences"].values()]
    note += f", and no peer's value differs by more than {max(differences):.0e}." if differences else "."
    return "\n".join([*table, "", note, "", "```sh", results["command"], "```"])


def small_table(rows: list[Row]) -> str:
    lines = [f"{'n':>4}{'monge':>12}{'POT emd2':>12}{'ratio':>8}{'gap':>9}{'off by':>9}"]
    for row in rows:
        ours, theirs = row["microseconds"]["monge"], row["microseconds"]["POT"]
        lines.append(
            f"{row['n']:4d}{ours:9.1f} us{theirs:9.1f} us{theirs / ours:7.1f}x{row['gap']:9.0e}{row['difference']:9.0e}"
        )
    ratios = [row["microseconds"]["POT"] / row["microseconds"]["monge"] for row in rows]
    lines.append(f"geometric mean {geometric_mean(ratios):.1f}x, least {min(ratios):.1f}x")
    return "\n".join(lines)
