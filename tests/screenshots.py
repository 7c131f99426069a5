"""`python -m tests.screenshots`: the document's figures and the main screen, from the real explorer on a real engine.

A mount and a pid namespace of its own give the pictures a neutral root, /var/lib/strata on a tmpfs, and small pids; the
machine's own store, if there is one, is not touched. What is in the pictures is real: ids and times differ each time.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

from textual.pilot import Pilot

from app.demo import container, image
from app.tui.app import Explorer
from app.tui.widgets.files import FilesPane
from engine import Engine
from engine.commands.options import CreateOptions, ExecOptions
from engine.kernel import mounts

HOUSE = Path(__file__).resolve().parents[1]
PICTURES = HOUSE / "screenshots"
ROOT = "/var/lib/strata"
INSIDE = "STRATA_SCREENSHOTS_INSIDE"
WIDE, NARROW = (120, 40), (80, 24)

# Textual's pictures load their font from the web. A reader's own fonts do; their characters are a little narrower than
# the cells, which programs that pass over `textLength` must make up for, or frames fall apart.
WEB_FONT = re.compile(r"\s*@font-face \{.*?\}", re.DOTALL)
FONT, OWN_FONT = "font-family: Fira Code, monospace;", "font-family: Fira Code, DejaVu Sans Mono, monospace;"
SPACING = " letter-spacing: 0.16px;"
# Some programs (librsvg) drop the hard spaces that a text begins with: it is put where it really begins.
INDENTED = re.compile(r'x="([\d.]+)" (y="[\d.]+") textLength="([\d.]+)"([^>]*)>((?:&#160;)+)([^<]*)</text>')
CELL = 12.2  # Textual's width of a character


def main() -> int:
    if os.geteuid() != 0:
        sys.exit("python -m tests.screenshots runs real containers: it needs root")
    if INSIDE not in os.environ:
        own = ["unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "--mount-proc"]
        argv = [*own, sys.executable, "-m", "tests.screenshots"]
        return subprocess.run(argv, cwd=HOUSE, env={**os.environ, INSIDE: "1"}).returncode
    mounts.mount("tmpfs", "/var/lib", "tmpfs")
    os.environ.pop("STRATA_ROOT", None)
    with Engine(ROOT) as engine:
        try:
            asyncio.run(take_all(engine))
        finally:
            for row in engine.containers(all=True):
                engine.remove(row.id, force=True)
    return 0


async def take_all(engine: Engine) -> None:
    """Every picture, in the order in which the demo comes to life."""
    image.ensure(engine)
    demo, box = image.NAME, container.NAME
    etc, site = ("etc", "srv", "srv/cache", "srv/site"), ("srv", "srv/site", "tmp")
    await take(engine, demo, "figure-1-image", "An image", opened=etc, at="etc/site.conf")
    lower = ["left_square_bracket"] * 4
    await take(engine, demo, "figure-5-layer", "A layer", *lower, "o", opened=site[:2], at="srv/site", then=("i",))
    labels = {image.LABEL: container.CONTAINER_LABEL}
    engine.create("demo", CreateOptions(name=box, hostname=box, labels=labels))
    await take(engine, box, "figure-2-container", "A container", opened=etc, at="etc/site.conf")
    engine.start(box)
    wait_for_pages(engine, 3)
    await take(engine, box, "figure-3-running", "A running container", opened=site, at="srv/site/index.html")
    engine.exec(box, ExecOptions(command=("touch", "progress.log"), detach=True))
    wait_for_pages(engine, 5)
    await take(engine, box, "figure-4-write", "A process writes a file", opened=site[:2], at="srv/site/progress.log")
    await take(engine, box, "main-120x40", "strata", opened=site, at="srv/site/hits")
    await take(engine, box, "main-120x40-light", "strata", "T", opened=site, at="srv/site/hits")
    await take(engine, box, "main-80x24", "strata", opened=site, at="srv/site/hits", size=NARROW)


async def take(
    engine: Engine,
    select: str,
    name: str,
    title: str,
    *keys: str,
    opened: tuple[str, ...],
    at: str,
    then: tuple[str, ...] = (),
    size: tuple[int, int] = WIDE,
) -> None:
    """One picture: the explorer on the object `select`, after these keys, with directories opened and the cursor on
    the path `at`, then after the keys `then`."""
    app = Explorer(engine, select)
    async with app.run_test(size=size) as pilot:
        await app.settled()
        await press(app, pilot, *keys, "2")
        for path in opened:
            await go_to(app, pilot, path)
            await press(app, pilot, "right")
        await go_to(app, pilot, at)
        await press(app, pilot, *then)
        picture = app.export_screenshot(title=title)
    (PICTURES / f"{name}.svg").write_text(self_contained(picture), encoding="utf-8")
    print(f"{name}.svg", flush=True)


async def press(app: Explorer, pilot: Pilot[int], *keys: str) -> None:
    for key in keys:
        await pilot.press(key)
        await app.settled()


async def go_to(app: Explorer, pilot: Pilot[int], path: str) -> None:
    """Put the cursor of the files on a path, as a person does. Raises LookupError if it is not on the screen."""
    pane = app.pane("files")
    assert isinstance(pane, FilesPane) and pane.rows is not None
    await pilot.press("g")
    for _ in range(pane.count):
        row = pane.row
        if row is not None and row.entry.path == path:
            return
        await pilot.press("j")
    raise LookupError(f"{path} is not in the files shown: {[row.entry.path for row in pane.rows.rows]}")


def self_contained(picture: str) -> str:
    """The picture without references to the web. Raises ValueError if it names a place on this machine."""
    picture = WEB_FONT.sub("", picture).replace(FONT, OWN_FONT + SPACING)
    picture = INDENTED.sub(_unindented, picture)
    private = {str(HOUSE), sys.prefix, sys.base_prefix, os.path.expanduser("~") + "/", shutil.which("python3") or HOUSE}
    found = [str(place) for place in private if str(place) in picture]
    if found or "url(http" in picture:
        raise ValueError(f"the picture names {found or 'an address on the web'}")
    return "\n".join(line.rstrip() for line in picture.splitlines()) + "\n"


def _unindented(match: re.Match[str]) -> str:
    x, y, length, attributes, spaces, text = match.groups()
    indent = CELL * spaces.count(";")
    x, length = f"{float(x) + indent:.1f}", f"{float(length) - indent:.1f}"
    return f'x="{x}" {y} textLength="{length}"{attributes}>{text}</text>'


def wait_for_pages(engine: Engine, pages: int) -> None:
    """Until the demo has served that many pages. Raises TimeoutError after 30 s."""
    end = time.monotonic() + 30
    while sum(1 for _ in engine.logs(container.NAME)) < pages:
        if time.monotonic() > end:
            raise TimeoutError("the demo serves nothing")
        time.sleep(0.1)


if __name__ == "__main__":
    sys.exit(main())
