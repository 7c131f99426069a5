"""What plain layer archives become when they are compressed for a registry: remembered, so that a second push need not
compress to learn that the registry has it all.

    compressed.json   {"sha256:<plain archive>": {"gzip": ["sha256:<compressed>", bytes]}}

Nothing but a shortcut: without the file, or with a damaged one, the layer is compressed again.
"""

from __future__ import annotations

import json
import os

from engine.oci.digests import is_digest
from engine.store import files
from engine.store.locks import lock_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from engine.store.root import Store

    Known = dict[str, dict[str, tuple[str, int]]]

FILE = "compressed.json"


def recall(store: Store, digest: str, how: str) -> tuple[str, int] | None:
    """(digest, bytes) of a plain archive compressed in this way, when it was done before."""
    return _read(store).get(digest, {}).get(how)


def remember(store: Store, digest: str, how: str, result: str, size: int) -> None:
    """Note what `recall` is to say; what is known of blobs that are gone is forgotten."""
    with lock_file(store.path("locks", "compressed")):
        known = {one: found for one, found in _read(store).items() if store.blobs.exists(one)}
        known.setdefault(digest, {})[how] = (result, size)
        with store.tmp_dir() as staging:
            files.write_new(staging.join("known"), json.dumps(known).encode(), sync=False)
            os.rename(staging.join("known"), store.path(FILE))


def _read(store: Store) -> Known:
    try:
        found = json.loads(files.read(store.path(FILE)))
        return {
            digest: {how: (str(result), int(size)) for how, (result, size) in ways.items() if is_digest(result)}
            for digest, ways in found.items()
            if is_digest(digest)
        }
    except (FileNotFoundError, ValueError, TypeError, AttributeError):
        return {}
