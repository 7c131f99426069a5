"""The name of the group that holds a store's containers: stores at different roots do not share one."""

from __future__ import annotations

import os

from engine.oci.digests import digest_of, hex_of

DEFAULT_ROOT = "/var/lib/strata"


def parent_name(root: str) -> str:
    """ "strata" for the default root, else "strata-" and 8 hex digits of the SHA-256 of the real path."""
    real = os.path.realpath(root)
    if real == os.path.realpath(DEFAULT_ROOT):
        return "strata"
    return "strata-" + hex_of(digest_of(os.fsencode(real)))[:8]
