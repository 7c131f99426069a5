"""strata events: the life of a container and its image, told as docker tells it."""

from __future__ import annotations

import io
import os
import subprocess
import threading

from engine import Engine
from engine.commands.options import CreateOptions, ExecOptions
from tests.support.command import Strata
from tests.support.needs import needs_root
from tests.support.rootfs import tiny_image

LONG_AGO = "2001-01-01T00:00:00Z"


def test_a_life_as_docker_tells_it() -> None:
    needs_root()
    with Strata() as strata, Engine(strata.root) as engine:
        tiny_image(engine.store)
        live = subprocess.Popen(
            strata.argv("events", "--since", "0", "--format", "{{.Action}} {{.Actor.Attributes.name}}"),
            env=strata.env,
            stdout=subprocess.PIPE,
            text=True,
        )
        late = threading.Timer(120, live.kill)
        late.start()
        try:
            options = CreateOptions(name="web", command=("sleep", "1000"), labels={"tier": "front"}, open_stdin=True)
            container, session = engine.run("tiny", options, attach=True)
            assert session is not None
            session.close()
            assert engine.exec(container, ExecOptions(command=("sh", "-c", "exit 3"))).wait() == 3
            engine.copy_from(container, "/etc", os.open(os.devnull, os.O_WRONLY))
            engine.top(container)
            engine.pause(container)
            engine.unpause(container)
            engine.stop(container, timeout=0)
            image = engine.commit(container, "made:new", message="why")
            engine.export(container, io.BytesIO())
            engine.remove(container)
            engine.tag("made:new", "other:name")
            engine.save(["made:new"], io.BytesIO())
            engine.remove_image("other:name")
            engine.remove_image("made:new")
            ids, attributes = [], {}
            for event in engine.events(LONG_AGO, follow=False):
                ids.append((event["Type"], event["Action"]))
                attributes[event["Action"].partition(":")[0]] = event["Actor"]["Attributes"]
            assert ids == [
                *(("container", action) for action in ("create", "attach", "start", "exec_create: sh -c exit 3")),
                *(("container", action) for action in ("exec_start: sh -c exit 3", "exec_die")),
                *(("container", action) for action in ("archive-path", "top", "pause", "unpause")),
                *(("container", action) for action in ("kill", "kill", "die", "stop")),
                *(("container", "commit"), ("image", "tag"), ("container", "export"), ("container", "destroy")),
                *(("image", action) for action in ("tag", "save", "untag", "untag", "delete")),
            ]
            own = {"image": "tiny", "name": "web", "tier": "front"}
            for action in ("create", "attach", "start", "pause", "unpause", "stop", "destroy", "export"):
                assert attributes[action] == own
            assert attributes["kill"] == {**own, "signal": "9"}
            assert attributes["die"] == {**own, "exitCode": "137", "execDuration": attributes["die"]["execDuration"]}
            assert attributes["exec_die"] == {**own, "exitCode": "3", "execID": attributes["exec_start"]["execID"]}
            assert attributes["commit"] == {**own, "comment": "why", "imageID": image, "imageRef": "made:new"}
            assert live.stdout is not None
            seen = [live.stdout.readline().split(" ")[0].rstrip(":\n") for _ in ids]
            assert seen == [action.partition(":")[0] for _, action in ids]
        finally:
            late.cancel()
            live.kill()
            live.communicate()
        shown = strata("events", "--since", "0", "--until", "0s", "--filter", "event=die")
        assert f" container die {container} (execDuration=" in shown
        assert strata("system", "check") == "The store is whole."
        done = strata.run("events", "--filter", "foo=bar")
        assert (done.returncode, done.stderr) == (1, "Error: invalid filter 'foo'\n")
