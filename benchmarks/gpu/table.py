"""The table of what a GPU does, from the results of a run.

python -m benchmarks.gpu.table benchmarks/results/gpu-h200.json benchmarks/RESULTS.md
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from benchmarks.peers.__main__ import put_between

__all__ = ["table"]

# Peers as people call them; of each kind the best one counts.
TITLES = {"flash": "FlashSinkhorn", "ott": "OTT", "geomloss": "GeomLoss"}


def time_of(seconds: float) -> str:
    """Three digits and a unit."""
    return f"{seconds:.3g} s" if seconds >= 1.0 else f"{1e3 * seconds:.3g} ms"


def _peers(case: dict[str, Any]) -> str:
    found, missed = [], []
    for kind, title in TITLES.items():
        runs = [peer for name, peer in case.get("peers", {}).items() if name.split("_")[0] == kind]
        ratios = [peer["ratio"] for peer in runs if "ratio" in peer]
        if ratios:
            found.append((min(ratios), title))
        elif any("error" in peer and peer.get("gave_up") != "time" for peer in runs):
            missed.append(title)
    parts = [f"{title} {ratio:.2g}×" for ratio, title in sorted(found)]
    return ", ".join(parts + ([f"not reached by {', '.join(missed)}"] if missed else []))


def table(results: dict[str, Any], path: str) -> str:
    """Markdown."""
    machine, ceilings, many = results["machine"], results["ceilings"], results["batch"]
    cases = {case["name"]: case for case in results["peers"]["cases"]}
    lines = ["| case | `monge.sinkhorn` | passes | error | peers |", "|---|---|---|---|---|"]
    for row in results["time_to_tolerance"]["rows"]:
        if row["input"] != "numpy" or "seconds" not in row:
            continue
        peers = _peers(cases.get(row["name"], {}))
        seconds = row["seconds"] if row["calls"] else row["first_seconds"]
        lines.append(f"| {row['name']} | {time_of(seconds)} | {row['iterations']} | {row['error']:.0e} | {peers} |")
    kernels = many["stats"]["seconds_passes"] * many["problems"]
    lines.append(
        f"| batch of {many['problems']}, d=3 n={many['points']} eps 1.0% | {time_of(many['seconds'])}, of which "
        f"kernels {time_of(kernels)} | {many['iterations'][0]} to {many['iterations'][1]} | {many['error']:.0e} | |"
    )
    steps = ", ".join(
        f"{case['cost'].strip('()')} in {case['d']}-D {case['float32']['of_exponentials']:.0%}"
        for case in results["half_steps"]["cases"]
        if "float32" in case and case["n"] >= 100_000
    )
    text = (
        f'Times of `monge.sinkhorn(..., device="cuda")` on one {machine["device"]} to a marginal error of 1e-3, NumPy '
        "arrays in and out, the second call of its kind or a later one; in the last column how many times as long "
        "peers took to the same error as measured, at their best setting, in the same run (not reached: with no "
        "setting that could be tried in 8 s): FlashSinkhorn "
        f"{machine['flash_sinkhorn']} without TF32, OTT {machine['ott']}, GeomLoss {machine['geomloss']} with KeOps "
        f"{machine['pykeops']}. eps is relative to the mean cost. One half of an iteration between 100,000 points "
        f"makes so much of the {ceilings['exponentials']['per_second']:.2g} exponentials a second that the card makes "
        f"at most: {steps}."
    )
    return "\n".join([*lines, "", text, "", "```sh", f"python -m benchmarks.gpu {path}", "```"])


def main() -> None:
    """Put the table between its marks."""
    path, readme = sys.argv[1], Path(sys.argv[2])
    put_between(readme, "gpu", table(json.loads(Path(path).read_text()), path))


if __name__ == "__main__":
    main()
