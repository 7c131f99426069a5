"""strata logs through rotations, and without a log, of containers that run."""

from __future__ import annotations

import subprocess
import threading

from engine.store.root import Store
from tests.support.command import Strata
from tests.support.needs import needs_root
from tests.support.rootfs import tiny_image


def test_a_follower_sees_a_log_through_its_rotations() -> None:
    needs_root()
    with Strata() as strata:
        tiny_image(Store(strata.root))
        script = (
            "n=0; while [ $n -lt 2000 ]; do echo line $n; n=$((n+1)); done; while [ ! -e /stop ]; do sleep 0.05; done"
        )
        options = ("--log-opt", "max-size=40k", "--log-opt", "max-file=10", "--name", "chatty")
        container = strata("run", "-d", *options, "tiny", "sh", "-c", script)
        follower = subprocess.Popen(
            strata.argv("logs", "--follow", "chatty"), env=strata.env, stdout=subprocess.PIPE, text=True
        )
        late = threading.Timer(120, follower.kill)
        late.start()
        try:
            assert follower.stdout is not None
            assert [follower.stdout.readline() for _ in range(2000)] == [f"line {n}\n" for n in range(2000)]
            strata("exec", "chatty", "touch", "/stop")
            assert follower.communicate(timeout=60)[0] == ""
        finally:
            late.cancel()
            follower.kill()
            follower.communicate()
        assert strata("logs", "--tail", "700", "chatty").splitlines() == [f"line {n}" for n in range(1300, 2000)]
        assert container in strata("inspect", "--format", "{{.LogPath}}", "chatty")
        config = strata("inspect", "--format", "{{json .HostConfig.LogConfig}}", "chatty")
        assert config == '{"Type":"json-file","Config":{"max-size":"40k","max-file":"10"}}'

        assert strata("run", "--log-driver", "none", "--name", "silent", "tiny", "echo", "heard") == "heard"
        done = strata.run("logs", "silent")
        assert (done.returncode, done.stderr) == (1, "Error: configured logging driver does not support reading\n")
        assert "log.json" not in strata("inspect", "silent")
