"""The most important figures of a run, as text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

__all__ = ["lines", "wrong"]

MOST_LINES = 40


def lines(results: dict[str, Any]) -> list[str]:
    """At most 40 of them."""
    found = [line[:150] for line in _all(results)]
    return found if len(found) <= MOST_LINES else [*found[: MOST_LINES - 1], f"... and {len(found) - MOST_LINES + 1}"]


def wrong(results: dict[str, Any]) -> bool:
    """Whether anything failed, or came out wrong."""
    rows = results.get("time_to_tolerance", {}).get("rows", [])
    return bool(
        results["errors"]
        or results.get("correctness", {}).get("failures")
        or not results.get("batch", {}).get("right", True)
        or any("failed" in row or not row.get("right", True) for row in rows)
    )


def _all(results: dict[str, Any]) -> Iterator[str]:
    yield from _card(results.get("machine", {}), results.get("ceilings", {}))
    for name, error in results["errors"].items():
        yield f"FAILED {name}: {error}"
    for case in results.get("half_steps", {}).get("cases", []):
        yield _half_step(case)
    checks = results.get("correctness", {})
    if "cases" in checks:
        yield f"{checks['cases']} random problems, {len(checks['failures'])} failures; the largest of"
        largest = [f"{name} {value:.2g}" for name, value in sorted(checks["largest"].items())]
        yield from ("  " + ", ".join(largest[i : i + 5]) for i in range(0, len(largest), 5))
        yield from (f"  WRONG {failure}" for failure in checks["failures"][:4])
    for row in results.get("time_to_tolerance", {}).get("rows", []):
        yield _row(row)
    many = results.get("batch", {})
    if "seconds" in many:
        size = f"{many['problems']} problems of {many['points']}"
        yield f"{size}: {1e3 * many['seconds']:.4g} ms, error {many['error']:.2g}"
    for row in results.get("losses", {}).get("rows", []):
        yield _loss(row)
    for case in results.get("peers", {}).get("cases", []):
        yield _case(case)
    for name in results:
        part = results[name]
        if isinstance(part, dict) and ("left_out" in part or "skipped" in part):
            yield f"{name}: " + part.get("skipped", "left out " + "; ".join(part.get("left_out", [])))


def _loss(row: dict[str, Any]) -> str:
    times = ", ".join(f"{name} {1e3 * seconds:.4g}" for name, seconds in row.get("seconds", {}).items())
    peer = row.get("geomloss", "-")
    beside = f"{1e3 * peer['seconds']:.4g}" if isinstance(peer, dict) and "seconds" in peer else peer
    return f"divergence of {row['n']}: ms: {times}; gradient off by {row.get('error', 0.0):.1e}; GeomLoss {beside}"


def _card(machine: dict[str, Any], ceilings: dict[str, Any]) -> Iterator[str]:
    versions = ", ".join(f"{n} {machine[n]}" for n in ("numpy", "numba", "numba_cuda", "cuda.core") if n in machine)
    smi = machine.get("smi", {})
    yield f"{machine.get('device', 'no GPU')}, driver {smi.get('driver_version', '-')}; {versions}"
    speed = []
    for name, key, unit in (("exponentials", "per_second", "exp2/s"), ("copy", "bytes_per_second", "B/s")):
        if key in ceilings.get(name, {}):
            speed.append(f"{ceilings[name][key]:.3g} {unit}")
    if speed:
        yield "ceilings: " + ", ".join(speed)
    costs = [f"{name} {c['host_us']:.2f}/{c['device_us']:.2f}" for name, c in ceilings.get("launch", {}).items()]
    if costs:
        yield "launch, us on the host/until done: " + ", ".join(costs)


def _half_step(case: dict[str, Any]) -> str:
    head = f"half step, {case['cost']}, {case['n']} points in {case['d']}: "
    if "error" in case:
        return head + case["error"][:120]
    one = case["float32"]
    verdict = "" if one["right"] else f"  WRONG, by {one['log2_off']:.1e}"
    double = f", float64 {case['float64']['ms']:.4g} ms" if "float64" in case else ""
    return head + (
        f"{one['ms']:.4g} ms (columns {one['columns_ms']:.4g}), {one['pairs_per_second']:.3g} pairs/s, "
        f"{one['of_exponentials']:.0%} of exponentials{double}, step {case['step_ms']:.3g} ms{verdict}"
    )


def _row(row: dict[str, Any]) -> str:
    head = f"{row['name']:>26} {row['input']:>7}: "
    if "failed" in row:
        return head + row["failed"]
    verdict = "" if row["right"] else "  WRONG"
    return head + (
        f"{1e3 * row['seconds']:9.4g} ms of {row['calls']} calls (first {row['first_seconds']:.2g} s), "
        f"{row['iterations']} passes, error {row['error']:.2g}{verdict}"
    )


def _case(case: dict[str, Any]) -> str:
    ours = case.get("monge", {})
    parts = [f"monge {1e3 * ours['seconds']:.4g} ms" if "seconds" in ours else "monge failed"]
    for name, peer in case.get("peers", {}).items():
        if "ratio" in peer:
            parts.append(f"{name} {peer['ratio']:.3g}x")
        elif "failed" in peer:
            parts.append(f"{name} failed")
        elif "error" in peer:
            parts.append(f"{name} only {peer['error']:.0e}")
    return f"{case['name']}: " + ", ".join(parts)
