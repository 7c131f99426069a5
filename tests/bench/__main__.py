"""`python -m tests.bench [rows…] [--rounds N]`: measure, print the table; status 1 if a bar is not met."""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import sys

from tests.bench.measure import table
from tests.bench.rows import ROWS
from tests.bench.sides import Sides, hooks, installed
from tests.bench.transfers import ROUNDS, transfers

TRANSFERS = "transfers"


def main() -> int:
    known = ", ".join([*ROWS, TRANSFERS])
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="Strata against its peers.")
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"which rows: {known} (default: all)")
    parser.add_argument("--rounds", type=int, default=30, help="samples of each side (default %(default)s)")
    chosen = parser.parse_args()
    unknown = [name for name in chosen.rows if name not in (*ROWS, TRANSFERS)]
    missing = [tool for tool in ("podman", "runc", "dockerd", "mkfs.ext4") if shutil.which(tool) is None]
    if unknown or missing or os.geteuid() != 0:
        parser.error(
            f"no such row: {', '.join(unknown)}"
            if unknown
            else f"not installed: {missing}"
            if missing
            else "needs root"
        )
    with Sides() as sides:
        rows = [ROWS[name](sides, chosen.rounds) for name in chosen.rows or ROWS if name != TRANSFERS]
        if TRANSFERS in (chosen.rows or [TRANSFERS]):
            rows += transfers(sides, min(chosen.rounds, ROUNDS))
    print(f"Linux {platform.release()}, Python {platform.python_version()}, {os.cpu_count()} processors")
    print(f"command: {' '.join(installed())}; {chosen.rounds} rounds, medians (least … 90th percentile)")
    print(f"its interpreter runs at every start: {', '.join(hooks()) or 'nothing'}\n")
    print(table(rows))
    return 0 if all(row.met for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
