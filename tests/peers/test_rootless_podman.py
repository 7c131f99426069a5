"""podman as an ordinary user's place for images: his own, not root's, though strata is root in a user namespace."""

from __future__ import annotations

import os

from tests.support.archives import docker_archive
from tests.support.needs import needs
from tests.support.ordinary import OrdinaryUser
from tests.support.rootfs import tiny_spec


def test_images_come_from_his_podman_and_go_to_it() -> None:
    needs("podman")
    with OrdinaryUser() as user:
        (user.home / "tiny.tar").write_bytes(docker_archive(tiny_spec("localhost/tiny:latest")))
        (user.home / "tiny.tar").chmod(0o644)
        runtime = user.home / "run"
        runtime.mkdir(0o700)
        os.chown(runtime, user.uid, user.gid)
        user.env["XDG_RUNTIME_DIR"] = str(runtime)
        done = user.run("podman", "--storage-driver=vfs", "load", "-i", "tiny.tar")
        assert done.returncode == 0, done
        user.env["STORAGE_DRIVER"] = "vfs"
        user.strata("pull", "podman:localhost/tiny:latest")
        assert user.strata("run", "--rm", "localhost/tiny", "echo", "hello") == "hello"
        user.strata("push", "localhost/tiny", "podman:localhost/back:1")
        listed = user.run("podman", "images", "--format", "{{.Repository}}:{{.Tag}} {{.Id}}")
        ids = dict(line.split() for line in listed.stdout.splitlines())
        assert ids["localhost/back:1"] == ids["localhost/tiny:latest"], listed
