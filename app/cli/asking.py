"""Asking before something goes: yes or no, and no is what anything else means."""

from __future__ import annotations

import sys


def agreed(warning: str) -> bool:
    """Show docker's warning and wait for a line; whether it says yes."""
    sys.stdout.write(f"WARNING! {warning}\nAre you sure you want to continue? [y/N] ")
    sys.stdout.flush()
    answer = sys.stdin.readline().strip().lower()
    if not sys.stdin.isatty():
        sys.stdout.write("\n")
    return answer in ("y", "yes")
