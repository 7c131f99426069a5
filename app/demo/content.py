"""What the demo image is made of: a few small layers, each showing one thing that a layer can do.

Bottom to top: a root filesystem, added files, a changed file, deleted files (whiteouts), a replaced directory (opaque)
and the program that the container runs. `demo:base` ends after BASE_LAYERS of them; `demo` stands on the same ones.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

from app.demo.hostfiles import HostFile, collect, directory_entries, in_order

WHITEOUT = ".wh."
OPAQUE = ".wh..wh..opq"
BASE_LAYERS = 2

PASSWD = "root:x:0:0:root:/root:/bin/sh\nwww:x:1000:1000:demo web site:/srv/site:/bin/sh\n"
GROUP = "root:x:0:\nwww:x:1000:\n"
OS_RELEASE = 'NAME="Strata demo"\nID=strata-demo\nPRETTY_NAME="Strata demo, made from this host\'s own files"\n'
SITE_CONF = "# how the demo site is served\ntitle = A site in layers\ninterval = 1\nkeep = {keep}\n"
BODY = "<p>The files of this page come from different layers. Which one gives each of them?</p>\n"

# Runs as pid 1: one process asks for a page once a second, another serves it. Whatever grows is cut off again.
SERVE = r"""#!/bin/sh
# Asks for a page once a second and serves it. Every change made here lands in the read-write layer.
site=/srv/site
log=/var/log/site.log

ask() {
    read -r n <$site/hits
    while :; do
        n=$((n + 1))
        echo $n
        sleep 1
    done
}

serve() {
    read -r first <$site/hits
    while read -r n; do
        now=$(date +%H:%M:%S)
        { echo "<h1>Page $n, served at $now</h1>"; cat $site/body.html; } >$site/index.html
        echo $n >$site/hits
        echo "$now GET /index.html 200 page $n" >>$log
        : >/tmp/request-$n
        rm -f /tmp/request-$((n - 5))

        # Files of the image go and come back, a directory of the image is replaced.
        case $((n % 10)) in
            1) rm -f /etc/motd ;;
            6) echo "The container wrote me at $now." >/etc/motd ;;
        esac
        if [ $((n % 15)) = 1 ]; then
            rm -rf /srv/cache
            mkdir /srv/cache
            echo "page $n" >/srv/cache/page-$n
        fi
        [ $((n % 120)) = 0 ] && mv $log $log.1

        # One line a second for ten minutes, then one a minute: the container's log must not fill the disk.
        if [ $((n - first)) -le 600 ] || [ $((n % 60)) = 0 ]; then
            echo "$now GET /index.html 200 page $n"
        fi
    done
}

trap 'exit 0' TERM INT
rm -f /srv/site/obsolete.html /tmp/request-*
ask | serve &
wait
"""


@dataclass(frozen=True, slots=True)
class DemoLayer:
    """One layer: the command that its history shows, a remark, and what makes its entries."""

    created_by: str
    comment: str
    entries: Callable[[], list[HostFile]]


def _file(path: str, text: str, mode: int = 0o644) -> HostFile:
    return HostFile(path, "f", mode, content=text.encode())


def _layer(*files: HostFile, directories: tuple[str, ...] = ()) -> list[HostFile]:
    """The files, the directories and all directories above them, in order."""
    entries: dict[str, HostFile] = {}
    for path in (*directories, *(file.path.rpartition("/")[0] for file in files)):
        if path:
            entries |= {entry.path: entry for entry in directory_entries(path) if entry.path not in entries}
    entries |= {file.path: file for file in files}
    return in_order(entries.values())


def _settings() -> list[HostFile]:
    return _layer(
        _file("etc/passwd", PASSWD),
        _file("etc/group", GROUP),
        _file("etc/os-release", OS_RELEASE),
        _file("etc/hosts", ""),
        _file("etc/hostname", ""),
        _file("etc/resolv.conf", ""),
        _file("etc/motd", "Welcome. You are looking at layers.\n"),
        _file("etc/site.conf", SITE_CONF.format(keep=3)),
        directories=("run", "var/log"),
    )


def _site() -> list[HostFile]:
    pages = [_file(f"srv/cache/page-{name}", f"a page rendered long ago: {name}\n") for name in ("a", "b", "c")]
    return _layer(
        *pages,
        _file("srv/site/body.html", BODY),
        _file("srv/site/hits", "0\n"),
        _file("srv/site/index.html", "<h1>Not served yet</h1>\n"),
        _file("srv/site/obsolete.html", "<p>The container deletes me when it starts.</p>\n"),
        _file("srv/site/draft/notes.txt", "Not for the public.\n"),
        _file("srv/site/draft/todo.txt", "Remove the drafts.\n"),
        _file("var/log/install.log", "".join(f"step {step} of 40 done\n" for step in range(1, 41))),
    )


LAYERS = (
    DemoLayer("ADD rootfs.tar /", "a shell and core tools, from this host's own files", collect),
    DemoLayer("COPY etc /etc", "users, names and settings", _settings),
    DemoLayer("COPY site /srv/site", "a small web site, drafts and a filled cache", _site),
    DemoLayer(
        "RUN sed -i 's/^keep.*/keep = 5/' /etc/site.conf",
        "changes one file: the copy below is shadowed",
        lambda: _layer(_file("etc/site.conf", SITE_CONF.format(keep=5))),
    ),
    DemoLayer(
        "RUN rm -r /srv/site/draft /var/log/install.log",
        "deletes: two whiteouts, the files below still take their room",
        lambda: _layer(_file(f"srv/site/{WHITEOUT}draft", "", 0), _file(f"var/log/{WHITEOUT}install.log", "", 0)),
    ),
    DemoLayer(
        "RUN rm -rf /srv/cache && mkdir /srv/cache && echo fresh > /srv/cache/page-new",
        "replaces a directory: it is opaque, nothing below shows through",
        lambda: _layer(_file(f"srv/cache/{OPAQUE}", "", 0), _file("srv/cache/page-new", "fresh\n")),
    ),
    DemoLayer(
        "COPY serve.sh /srv/serve.sh",
        "the program of the container",
        lambda: _layer(_file("srv/serve.sh", SERVE, 0o755)),
    ),
)
PATH = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
WORKING_DIRECTORY = "/srv/site"
COMMAND = ["/bin/sh", "/srv/serve.sh"]
# Steps of the history that make no layer: they only write into the image's configuration.
SETTINGS = (f"ENV PATH={PATH}", f"WORKDIR {WORKING_DIRECTORY}", f"CMD {json.dumps(COMMAND)}")
