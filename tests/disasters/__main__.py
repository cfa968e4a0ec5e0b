"""`python -m tests.disasters`: every campaign and its control, with what was measured."""

import argparse
import sys
import time
from dataclasses import fields
from typing import Any

from . import CONTROLS, WHOLE, __doc__, run
from .tracing import TRACERS


def said(outcome: Any) -> str:
    """What an outcome counted."""
    counts = [(each.name, getattr(outcome, each.name)) for each in fields(outcome) if each.name != "violations"]
    counts = [(name, value) for name, value in counts if value != ""]
    words = [f"{value:,.3g} {name}" if isinstance(value, float) else f"{value} {name}" for name, value in counts]
    return ", ".join([*words, f"{len(outcome.violations)} violations"])


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("campaigns", nargs="*", default=list(WHOLE), help=f"of {', '.join(WHOLE)}; all, if none is named")
    parser.add_argument("--scale", type=float, default=1.0, help="share of the whole numbers of trials")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--by", choices=[*TRACERS], default="", help="what fails or writes down calls: strace where it is, else the shim"
    )
    args, failed = parser.parse_args(), False
    for name in args.campaigns:
        begun = time.perf_counter()
        outcome = run(name, args.scale, args.seed, by=args.by)
        print(f"{name:12} {time.perf_counter() - begun:7.1f} s  {said(outcome)}", flush=True)
        for violation in outcome.violations[:20]:
            print("   ", violation, file=sys.stderr)
        failed |= bool(outcome.violations)
        if name in CONTROLS:
            what, control = CONTROLS[name]
            outcome = run(name, args.scale, args.seed, control, args.by)
            blind = not outcome.violations and not getattr(outcome, "skipped", "")
            print(f"{'':12} control, {what}: {said(outcome)}{' - AND MUST HAVE SOME' * blind}", flush=True)
            failed |= blind
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
