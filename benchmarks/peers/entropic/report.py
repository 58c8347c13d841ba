"""The tables of entropic.py: on the terminal and in benchmarks/RESULTS.md."""

from __future__ import annotations

import math
from importlib.metadata import PackageNotFoundError, version
from typing import Any

Row = dict[str, Any]

# Packages of the peers, by the first word of their titles.
PACKAGES = {"POT": "pot", "OTT": "ott-jax", "GeomLoss": "geomloss"}


def header(ceiling: float | None) -> str:
    known = "not known, for want of a compiler" if ceiling is None else f"{ceiling / 1e9:.3g} billion"
    return (
        "seconds: medians, least of many for one call; error: L1 marginal error as measured, at most the goal;\n"
        f"pairs: billions per second and core; of exp: of the exponentials that a core can take, {known}\n"
        "ratio: to monge\n"
        f"{'case':40}{'goal':>7}{'monge':>11}{'error':>9}{'passes':>7}{'pairs':>7}{'of exp':>7}  "
        "peers: seconds, error, ratio"
    )


def line(row: Row, titles: dict[str, str]) -> str:
    def entry(name: str) -> str:
        if name in row["seconds"]:
            text = f"{time_of(row['seconds'][name])} {row['errors'][name]:.0e}"
            return text + (f" {row['ratios'][name]:.1f}x" if name in row["ratios"] else "")
        return str(row["skipped"].get(name, "-"))

    ours = time_of(row["seconds"]["monge"]) if "monge" in row["seconds"] else "missed"
    text = f"{row['name']:40}{row['goal']:7.0e}{ours:>11}{row['errors'].get('monge', math.nan):9.0e}"
    text += f"{row.get('passes', 0):7d}"
    rate, share = speed(row)
    text += f"{rate:>7}{share:>7}  "
    text += "; ".join(
        f"{titles[name]} {entry(name)}" for name in titles if name in row["errors"] or name in row["skipped"]
    )
    if row["ratios"]:
        best = min(row["ratios"], key=row["ratios"].__getitem__)
        text += f"  | best peer {titles[best]}: {row['ratios'][best]:.1f}x"
    return text


def speed(row: Row) -> tuple[str, str]:
    """Billions of pairs per second and core, and their share of the exponentials that it could take."""
    rate = row.get("pairs_per_second_per_core")
    if rate is None:
        return "-", "-"
    return f"{rate / 1e9:.2g}", "-" if row["ceiling"] is None else f"{rate / row['ceiling']:.0%}"


def time_of(seconds: float) -> str:
    if seconds >= 1.0:
        return f"{seconds:.3g} s"
    return f"{1e3 * seconds:.3g} ms" if seconds >= 1e-3 else f"{1e6 * seconds:.3g} us"


def markdown(results: dict[str, Any]) -> str:
    """The table of benchmarks/RESULTS.md: a case a row."""
    rows, ceiling = results["rows"], results["rows"][0]["ceiling"]
    table = ["| case | error | `monge.sinkhorn` | pairs | peers |", "|---|---|---|---|---|"]
    for row in rows:
        ours = time_of(row["seconds"]["monge"]) if "monge" in row["seconds"] else "missed"
        rate, share = speed(row)
        pairs = rate if share == "-" else f"{rate} ({share})"
        table.append(f"| {row['name']} | {row['goal']:.0e} | {ours} | {pairs} | {_peers(row)} |")
    threads = "one thread" if results["threads"] == 1 else f"{results['threads']} threads"
    note = (
        f"Times of `monge.sinkhorn` to a marginal error of at most the one that is stated, as measured, and how many "
        "times as long each peer took to it in the same run, costs of points included, the fastest first: "
        f"{', '.join(_versions(rows))}. Everyone had {threads} ({results['machine']}). eps is relative to the mean "
        "cost. Pairs: billions per second and core"
    )
    if ceiling is not None:
        note += f"; in brackets, of the {ceiling / 1e9:.2g} billion exponentials of a core that does nothing else"
    note += (
        ". Problems that are solved whole in the core use an exponential many times and take Newton steps too; "
        "large clouds spend a part on finding the pairs that matter."
    )
    return "\n".join([*table, "", note, "", "```sh", results["command"], "```"])


def _peers(row: Row) -> str:
    """The ratios, and who missed the goal."""
    order = sorted(row["ratios"], key=row["ratios"].__getitem__)
    found = [f"{row['titles'][name]} {_times(row['ratios'][name])}" for name in order]
    for why, names in (("not reached by", _skipped(row, False)), ("no memory for", _skipped(row, True))):
        if names:
            found.append(f"{why} {', '.join(names)}")
    return ", ".join(found) or "-"


def _skipped(row: Row, for_memory: bool) -> list[str]:
    return [
        title
        for name, title in row["titles"].items()
        if name in row["skipped"] and (row["skipped"][name] == "memory") is for_memory
    ]


def _times(ratio: float) -> str:
    return f"{ratio:.0f}×" if ratio >= 9.95 else f"{ratio:.1f}×"


def _versions(rows: list[Row]) -> list[str]:
    named = {title.split()[0] for row in rows for title in row["titles"].values()}
    found = []
    for title, package in PACKAGES.items():
        if title in named:
            try:
                found.append(f"{title} {version(package)}")
            except PackageNotFoundError:
                found.append(title)
    return found
