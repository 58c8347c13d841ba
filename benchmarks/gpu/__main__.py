"""`monge.sinkhorn` on a GPU, in one run: what the card can do, whether the answers are right, how long they take, and
how long its peers take to the same error.

    python -m benchmarks.gpu OUT.json
    python -m benchmarks.gpu OUT.json --seconds 120 --sections machine,correctness
    python -m benchmarks.gpu OUT.json --smoke            # tiny, on the CPU

A section that fails is recorded, and the others go on; one that would begin when the time is up is left out, and says
so. The file is written again after each of them. The exit status says whether anything failed or came out wrong.
"""

from __future__ import annotations

import argparse
import importlib
import secrets
import sys
import time
import traceback
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.gpu import report
from benchmarks.gpu.run import SIMULATED, Run


class Section(NamedTuple):
    module: str  # of this package, with a function of the section's name; imported then, so that it fails alone
    share: float  # of all seconds, at most


# In this order.
SECTIONS = {
    "machine": Section("machine", 0.1),
    "ceilings": Section("ceilings", 0.15),
    "half_steps": Section("half_steps", 0.15),
    "correctness": Section("correctness", 0.25),
    "time_to_tolerance": Section("timing", 0.4),
    "batch": Section("timing", 0.15),
    "losses": Section("losses", 0.3),
    "peers": Section("peers", 0.4),
}


def main() -> int:
    """Run the sections that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", type=Path, metavar="OUT.json")
    parser.add_argument("--seconds", type=float, default=330.0, help="for all sections together (330)")
    parser.add_argument("--sections", default=",".join(SECTIONS), help=f"of {', '.join(SECTIONS)}")
    parser.add_argument("--smoke", action="store_true", help="tiny sizes, on the CPU unless --device says otherwise")
    parser.add_argument("--device", choices=["cpu", "cuda"], help="what monge is asked for; cuda, with --smoke cpu")
    parser.add_argument("--seed", type=int, help="of the random problems; fresh ones without it")
    options = parser.parse_args()
    asked = [name for name in options.sections.split(",") if name]
    if unknown := sorted(set(asked) - set(SECTIONS)):
        parser.error(f"no sections {', '.join(unknown)}; there are {', '.join(SECTIONS)}")
    seed = secrets.randbelow(2**31) if options.seed is None else options.seed
    device = options.device or ("cpu" if options.smoke else "cuda")
    run = Run(options.path, options.seconds, device, options.smoke, seed)
    run.results |= {"seed": seed, "device": device, "smoke": options.smoke, "simulated": SIMULATED, "errors": {}}
    for name in [name for name in SECTIONS if name in asked]:
        begin = time.perf_counter()
        run.until = float("inf")
        out: dict[str, Any] = {}
        run.results[name] = out
        if run.left() <= 0.0:
            out["skipped"] = "the time was up"
            continue
        run.allot(SECTIONS[name].share)
        print(f"{name} ...", file=sys.stderr, flush=True)
        try:
            getattr(importlib.import_module(f"benchmarks.gpu.{SECTIONS[name].module}"), name)(run, out)
        except (Exception, KeyboardInterrupt) as error:  # recorded: the other sections do not need it
            run.results["errors"][name] = f"{type(error).__name__}: {error}"[:2000]
            out["traceback"] = traceback.format_exc()[-4000:]
            if isinstance(error, KeyboardInterrupt):
                break
        finally:
            out["section_seconds"] = time.perf_counter() - begin
            run.save()
    run.save()
    print("\n".join(report.lines(run.results)))
    return int(report.wrong(run.results))


if __name__ == "__main__":
    sys.exit(main())
