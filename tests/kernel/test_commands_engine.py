"""The Engine as a library: what each verb leaves in the store, and what it tells of running containers."""

from __future__ import annotations

import io
import os
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine import Engine
from engine.commands.options import CreateOptions, ExecOptions
from engine.errors import Ambiguous, Conflict, InvalidInput, NoSuchContainer, NoSuchImage, NotRunning, StartFailed
from tests.support.archives import File, ImageSpec, docker_archive
from tests.support.command import Strata
from tests.support.needs import needs_root
from tests.support.rootfs import tiny_image
from tests.support.waiting import until

SLEEP = ("sleep", "100")


@pytest.fixture
def engine() -> Iterator[Engine]:
    needs_root()
    with Strata() as command, Engine(command.root) as engine:
        tiny_image(engine.store)
        yield engine


def make(engine: Engine, name: str = "", *command: str, **more: object) -> str:
    return engine.create("tiny", CreateOptions(name=name, command=command, **more))  # type: ignore[arg-type]


def shell(engine: Engine, script: str, name: str = "") -> str:
    """A container that ran a script and ended well."""
    container = make(engine, name, "sh", "-e", "-c", script)
    engine.start(container)
    assert engine.wait(container) == 0
    return container


# create


def test_create_makes_a_layer_and_the_three_files(engine: Engine) -> None:
    container = make(engine, "web", "true", hostname="box")
    home = Path(engine.root, "containers", container)
    assert (home / "hostname").read_text() == "box\n"
    hosts = (home / "hosts").read_text()
    assert hosts.startswith("127.0.0.1\tlocalhost\n::1\tlocalhost")
    assert hosts.splitlines()[-1] == "127.0.1.1\tbox web"
    host = Path("/etc/resolv.conf")
    assert (home / "resolv.conf").read_bytes() == (host.read_bytes() if host.exists() else b"")
    assert engine.store.layers.get(container).parent == engine.image("tiny").layers[-1]


def test_a_name_is_taken_once(engine: Engine) -> None:
    first = make(engine, "web", "true")
    with pytest.raises(Conflict) as caught:
        make(engine, "web", "true")
    assert str(caught.value).startswith(
        f'Conflict. The container name "/web" is already in use by container "{first}".'
    )
    assert [row.id for row in engine.containers(all=True)] == [first]


def test_many_create_at_once_and_each_gets_a_name_of_its_own(engine: Engine) -> None:
    made: list[str] = []
    threads = [threading.Thread(target=lambda: made.append(make(engine, "", "true"))) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    rows = engine.containers(all=True)
    assert {row.id for row in rows} == set(made)
    assert len({row.name for row in rows}) == 12


def test_references_lead_by_name_then_id_then_prefix(engine: Engine) -> None:
    one, two = make(engine, "one", "true"), make(engine, "two", "true")
    named = make(engine, two[:12], "true")  # a name that looks like the start of another's id
    assert engine.container("one").id == one
    assert engine.container("/one").id == one
    assert engine.container(one[:20]).id == one
    assert engine.container(two[:12]).id == named
    with pytest.raises(NoSuchContainer):
        engine.container("nosuch")
    ids = [row.id for row in engine.containers(all=True)]
    while len({identity[0] for identity in ids}) == len(ids):
        ids.append(make(engine, "", "true"))
    twice = next(first for first in "0123456789abcdef" if sum(identity[0] == first for identity in ids) > 1)
    with pytest.raises(Ambiguous, match=f"multiple IDs found with provided prefix: {twice}$"):
        engine.container(twice)


# start and its failures


@pytest.mark.parametrize(("command", "status"), [("nosuch", 127), ("/etc", 126), ("/etc/passwd", 126)])
def test_a_failed_start_is_told_and_kept(engine: Engine, command: str, status: int) -> None:
    container = make(engine, "bad", command)
    with pytest.raises(StartFailed) as caught:
        engine.start(container)
    assert caught.value.exit_status == status
    (row,) = engine.containers(all=True)
    assert (row.status, row.exit_code) == ("created", status)
    state = engine.inspect(container)["State"]
    assert (state["ExitCode"], state["Error"]) == (status, str(caught.value))
    engine.remove(container)


def test_a_start_that_fails_for_another_reason_is_125_and_kept_as_128(engine: Engine) -> None:
    container = make(engine, "bad", "true", user="nosuch")
    with pytest.raises(StartFailed, match="unable to find user nosuch") as caught:
        engine.start(container)
    assert caught.value.exit_status == 125
    assert engine.container(container).state.exit_code == 128


def test_a_failed_start_of_one_that_removes_itself_leaves_nothing(engine: Engine) -> None:
    with pytest.raises(StartFailed):
        engine.run("tiny", CreateOptions(command=("nosuch",), auto_remove=True))
    assert engine.containers(all=True) == []
    assert len(os.listdir(os.path.join(engine.root, "layers"))) == 1


# commit and diff


def test_diff_says_what_was_added_changed_and_deleted(engine: Engine) -> None:
    container = shell(
        engine, "echo x > /new; echo y >> /etc/passwd; rm /etc/group; mkdir -p /a/b; chmod 700 /root || true"
    )
    found = {change.path: change.kind for change in engine.diff(container)}
    assert {path: found[path] for path in ("new", "etc", "etc/passwd", "etc/group", "a", "a/b")} == {
        "new": "A", "etc": "C", "etc/passwd": "C", "etc/group": "D", "a": "A", "a/b": "A",
    }  # fmt: skip


def test_a_commit_is_the_containers_image_and_config_with_the_changes(engine: Engine) -> None:
    base = engine.image("tiny")
    container = engine.create(
        "tiny", CreateOptions(command=("sh", "-c", "echo x > /new"), env=("A=1",), user="0", labels={"k": "v"})
    )
    engine.start(container)
    engine.wait(container)
    identity = engine.commit(container, "new:v1", message="why", author="who", changes=["CMD cat /new", "ENV B=$A"])
    made = engine.image("new:v1")
    assert (made.id, made.parent, made.layers[:-1]) == (identity, base.id, base.layers)
    assert made.config.cmd == ["/bin/sh", "-c", "cat /new"]
    assert made.config.env == [*base.config.env, "A=1", "B=1"]
    assert made.config.labels["k"] == "v"
    last = made.config.history[-1]
    assert (last.created_by, last.comment, last.author) == ("sh -c echo x > /new", "why", "who")
    assert (made.config.comment, made.config.author, made.config.created) == ("why", "who", last.created)
    assert Path(engine.store.layers.diff_path(made.layers[-1]), "new").read_text() == "x\n"
    again = engine.run("new:v1", CreateOptions(), attach=True)[1]
    assert again
    assert (again.read(), again.read()[0], again.exit_code) == (("stdout", b"x\n"), "exit", 0)
    again.close()


def test_an_unchanged_container_commits_to_an_empty_layer(engine: Engine) -> None:
    first = engine.commit(make(engine, "idle", "true"))
    top = engine.store.layers.get(engine.image(first).layers[-1])
    assert (top.entries, top.size, top.empty) == (0, 0, True)
    assert engine.history(first)[0].size == 0
    assert engine.diff(engine.create(first, CreateOptions(name="on-top", command=("true",)))) == []


def test_a_bad_commit_changes_nothing(engine: Engine) -> None:
    container = make(engine, "web", *SLEEP)
    engine.start(container)
    for name, changes in (("BAD", []), (None, ["RUN x"]), ("a@sha256:" + "0" * 64, [])):
        with pytest.raises(InvalidInput):
            engine.commit(container, name, changes=changes)
    assert len(engine.images(all=True)) == 1
    assert engine.container(container).state.status == "running"


def test_a_paused_container_is_committed_and_stays_paused(engine: Engine) -> None:
    container = make(engine, "web", *SLEEP)
    engine.start(container)
    engine.pause(container)
    engine.commit(container, "frozen")
    assert engine.container(container).state.status == "paused"


# images, layers, history


def chain_of_three(engine: Engine) -> tuple[str, str, str]:
    """tiny → two → three, each with one more layer."""
    ids = [engine.image("tiny").id]
    for at, name in enumerate(("two", "three")):
        container = engine.create(
            ids[-1], CreateOptions(name=f"maker{at}", command=("sh", "-c", f"echo {at} > /{name}"))
        )
        engine.start(container)
        engine.wait(container)
        ids.append(engine.commit(container, name))
        engine.remove(container)
    return ids[0], ids[1], ids[2]


def test_images_hides_what_is_between_unless_all_is_asked_for(engine: Engine) -> None:
    tiny, two, three = chain_of_three(engine)
    assert [row.id for row in engine.images()] == [three, two, tiny]
    engine.store.images.untag("two")
    assert [row.id for row in engine.images()] == [three, tiny]
    assert [row.id for row in engine.images(all=True)] == [three, two, tiny]
    assert [row.id for row in engine.images(filters={"dangling": ["true"]})] == []
    assert [row.id for row in engine.images(filters={"since": ["tiny"]})] == [three]
    assert [row.id for row in engine.images(name="thr*")] == [three]
    assert [row.id for row in engine.images(filters={"before": ["three"], "reference": ["tiny"]})] == [tiny]


def test_all_lists_every_layer_that_is_no_listed_images_top(engine: Engine) -> None:
    _, two, three = chain_of_three(engine)
    container = engine.create("three", CreateOptions(name="user", command=("true",)))
    for image in (three, two):  # by force of the store: the images go, the container keeps their layers
        engine.store.images.remove(image)
    layers = engine.container(container).config.layers
    assert [row.kind for row in engine.images(all=True)] == ["image", "layer", "layer"]
    assert [row.id for row in engine.images(all=True)[1:]] == [layers[2], layers[1]]


def test_the_layers_below_a_loaded_images_top_are_listed_with_what_they_stand_on(engine: Engine) -> None:
    layers = [[File(f"file{at}", b"x" * 10**at)] for at in range(3)]
    (loaded,) = engine.load(io.BytesIO(docker_archive(ImageSpec(layers, ["three"], {"Cmd": ["x"]}))))
    ids = engine.image("three").layers
    rows = {row.id: row for row in engine.images(all=True)}
    assert rows.keys() == {engine.image("tiny").id, loaded.image, *ids[:-1]}
    assert [(rows[layer].size, rows[layer].parent) for layer in ids[:-1]] == [(1, ""), (11, ids[0])]
    assert rows[loaded.image].size == 111


def test_a_layer_is_inspected_by_its_id_and_never_removed_alone(engine: Engine) -> None:
    _, two, three = chain_of_three(engine)
    bottom, middle, _ = engine.image("three").layers
    sheet = engine.inspect(middle[:12])
    assert (sheet["Id"], sheet["Parent"], sheet["Images"]) == (middle, bottom, ["three:latest", "two:latest"])
    assert sheet["CreatedBy"] == "sh -c echo 0 > /two"
    assert engine.inspect(middle, "layer") == sheet
    with pytest.raises(Conflict, match=r"\(cannot be forced\) - layer is needed by image three:latest, two:latest$"):
        engine.remove_image(middle, force=True)
    assert engine.store.layers.exists(middle)
    assert {two, three} <= {row.id for row in engine.images()}


def test_history_names_known_parents_and_calls_others_missing(engine: Engine) -> None:
    tiny, two, three = chain_of_three(engine)
    rows = engine.history("three")
    assert [(row.id, row.names) for row in rows] == [
        (three, ("three:latest",)), (two, ("two:latest",)), (tiny, ("tiny:latest",)),
    ]  # fmt: skip
    assert [row.layer for row in rows] == list(reversed(engine.image("three").layers))
    assert [row.size for row in rows[:2]] == [2, 2]
    engine.store.images.remove(two)
    assert [row.id for row in engine.history("three")] == [three, "<missing>", "<missing>"]


def test_rmi_prunes_nameless_parents_unless_told_not_to(engine: Engine) -> None:
    tiny, two, three = chain_of_three(engine)
    engine.store.images.untag("two")
    done = engine.remove_image("three", prune=False)
    assert done[:2] == ["Untagged: three:latest", f"Deleted: {three}"]
    assert [row.id for row in engine.images(all=True)] == [two, tiny]
    container = engine.create(two, CreateOptions(name="maker", command=("true",)))
    three = engine.commit(container, "three")
    engine.remove(container)
    done = engine.remove_image(three)
    assert [line for line in done if "Deleted: " in line and line[9:] in (two, three)] == [
        f"Deleted: {three}",
        f"Deleted: {two}",
    ]
    assert [row.id for row in engine.images(all=True)] == [tiny]


def test_a_stopped_containers_image_goes_only_by_force_and_the_container_stays_whole(engine: Engine) -> None:
    container = shell(engine, "echo x > /new", "user")
    tiny = engine.image("tiny")
    for ref in ("tiny", tiny.id):
        with pytest.raises(Conflict, match=r"\(must (be )?force"):
            engine.remove_image(ref)
    assert engine.remove_image("tiny", force=True)[:2] == ["Untagged: tiny:latest", f"Deleted: {tiny.id}"]
    assert engine.images() == []
    engine.start(container)
    assert engine.wait(container) == 0
    (row,) = engine.containers(all=True)
    assert row.image == tiny.id
    with pytest.raises(Conflict, match="was removed: nothing to commit onto"):
        engine.commit(container)
    engine.remove(container)
    assert os.listdir(os.path.join(engine.root, "layers")) == []


def test_a_tag_moves_from_image_to_image(engine: Engine) -> None:
    tiny, two, _ = chain_of_three(engine)
    engine.tag("tiny", "user/x:1")
    assert engine.image("user/x:1").id == tiny
    engine.tag("two", "user/x:1")
    assert engine.image("user/x:1").id == two
    with pytest.raises(NoSuchImage):
        engine.tag("nosuch", "x")
    assert engine.remove_image("user/x:1") == ["Untagged: user/x:1"]


# ps


def test_ps_filters(engine: Engine) -> None:
    one = make(engine, "one", *SLEEP, labels={"a": "1"})
    two = make(engine, "two", "sh", "-c", "exit 4", labels={"a": "2", "b": ""})
    three = make(engine, "three", "true")
    engine.start(one)
    engine.start(two)
    engine.wait(two)
    expected = {
        ("name", "^t"): [three, two],
        ("name", "/one"): [one],
        ("id", one[:10]): [one],
        ("label", "a"): [two, one],
        ("label", "a=2"): [two],
        ("status", "exited"): [two],
        ("status", "created"): [three],
        ("status", "running"): [one],
        ("exited", "4"): [two],
        ("exited", "0"): [],
        ("before", "three"): [two, one],
        ("since", "one"): [three, two],
        ("ancestor", "tiny"): [three, two, one],
        ("ancestor", "nosuch"): [],
    }
    for (key, value), ids in expected.items():
        assert [row.id for row in engine.containers(all=True, filters={key: [value]})] == ids, (key, value)
    assert [row.id for row in engine.containers(filters={"exited": ["4"]})] == [two]
    assert [row.id for row in engine.containers()] == [one]
    assert [row.id for row in engine.containers(last=2)] == [three, two]
    with pytest.raises(InvalidInput):
        engine.containers(filters={"volume": ["x"]})


def test_a_container_shows_its_images_id_once_the_name_means_another(engine: Engine) -> None:
    tiny, two, _ = chain_of_three(engine)
    container = make(engine, "web", "true")
    assert engine.containers(all=True)[0].image == "tiny"
    engine.tag("two", "tiny")
    assert engine.containers(all=True)[0].image == tiny
    assert engine.container(container).config.image == tiny
    assert engine.image("tiny").id == two


def test_sizes_are_measured_when_they_are_asked_for(engine: Engine) -> None:
    container = shell(engine, "head -c 1000 /dev/zero > /new; ln /new /same", "web")
    assert engine.containers(all=True)[0].size_rw is None
    (row,) = engine.containers(all=True, size=True)
    assert row.size_rw == 1000
    assert row.size_root == 1000 + engine.image("tiny").size
    assert engine.inspect(container, size=True)["SizeRw"] == 1000


# looking into a running container


def test_processes_stats_namespaces_and_links(engine: Engine) -> None:
    container = make(engine, "web", "sh", "-c", "sleep 100 & wait")
    with pytest.raises(NotRunning):
        engine.stats(container)
    assert engine.processes(container) == []
    engine.start(container)
    until(lambda: [process.command for process in engine.processes(container)][1:] == ["sleep 100"])
    # The shell may still be on its way from the fork into its `wait`.
    until(lambda: engine.processes(container)[0].state == "S")
    first, second = engine.processes(container)
    assert (first.pid, first.name) == (1, "sh")
    assert first.host_pid == engine.container(container).state.pid
    assert (second.command, second.memory > 0) == ("sleep 100", True)
    before = engine.stats(container)
    assert before.pids == 2
    assert before.memory is None or before.memory > 0
    assert before.cpu is None or before.cpu > 0
    own = {name: os.stat(f"/proc/self/ns/{name}").st_ino for name in ("pid", "mnt", "net", "ipc", "uts", "user")}
    found = engine.namespaces(container)
    assert {name for name in own if found[name] != own[name]} == {"pid", "mnt", "net", "ipc", "uts"}
    (loopback,) = [link for link in engine.links(container) if link.name == "lo"]
    assert loopback.up
    assert "127.0.0.1/8" in loopback.addresses
    assert os.stat("/proc/self/ns/net").st_ino == own["net"]


def test_the_stack_of_a_running_container_is_looked_at_again(engine: Engine) -> None:
    container = make(engine, "web", *SLEEP)
    engine.start(container)
    stack = engine.stack("web")
    assert (stack.container, stack.name, stack.id) == (True, "web", container)
    assert [(layer.kind, layer.parent) for layer in stack.layers] == [("ro", ""), ("rw", stack.layers[0].id)]
    assert stack.layers[0].shared_by == ("tiny:latest",)
    assert stack.view().get("new") is None
    engine.exec(container, ExecOptions(("sh", "-c", "echo hello > /new"))).wait()
    stack.refresh()
    found = stack.view().get("new")
    assert found
    assert (found.layer, found.state, found.entry.size) == (1, "+", 6)
    assert stack.view(upto=0).get("new") is None
    assert stack.layers[1].size == 6
    image = engine.stack("tiny")
    assert (image.container, image.name, len(image.layers)) == (False, "tiny:latest", 1)


def test_inspect_has_dockers_fields(engine: Engine) -> None:
    container = make(engine, "web", *SLEEP, stop_timeout=0)
    sheet = engine.inspect("web")
    assert (sheet["Id"], sheet["Name"], sheet["Path"], sheet["Args"]) == (container, "/web", "sleep", ["100"])
    assert sheet["State"]["Status"] == "created"
    assert sheet["State"]["StartedAt"] == sheet["State"]["FinishedAt"] == "0001-01-01T00:00:00Z"
    engine.start(container)
    sheet = engine.inspect("web")
    state = sheet["State"]
    assert (state["Status"], state["Running"], state["Paused"], state["Pid"]) == (
        "running", True, False, engine.container("web").state.pid,
    )  # fmt: skip
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z", state["StartedAt"])
    data = sheet["GraphDriver"]["Data"]
    assert Path(data["UpperDir"]).is_dir()
    assert Path(data["LowerDir"], "etc/passwd").is_file()
    for path in ("ResolvConfPath", "HostnamePath", "HostsPath", "LogPath"):
        assert Path(sheet[path]).is_file()
    assert sheet["ExecIDs"] is None
    session = engine.exec("web", ExecOptions(("sleep", "50")))
    assert len(engine.inspect("web")["ExecIDs"]) == 1
    session.close()
    image = engine.inspect("tiny")
    fields = "Id RepoTags RepoDigests Parent Comment Created Author Config Architecture Os Size GraphDriver RootFS"
    assert set(image) >= set(fields.split())
    assert image["RootFS"] == {"Type": "layers", "Layers": list(engine.image("tiny").config.diff_ids)}
    assert engine.inspect(image["Id"]) == image
    with pytest.raises(NoSuchContainer):
        engine.inspect("tiny", "container")
    with pytest.raises(NoSuchImage):
        engine.inspect("web", "image")


def test_the_trace_tells_how_it_was_started(engine: Engine) -> None:
    container = make(engine, "web", "true")
    assert engine.trace("web") == []
    engine.start(container)
    engine.wait(container)
    calls = [step["call"] for step in engine.trace("web")]
    assert {"clone3", "pivot_root", "move_mount"} <= set(calls)


# stop, kill, rm, wait


def test_what_ignores_the_stop_signal_is_killed_after_the_grace(engine: Engine) -> None:
    container = make(engine, "deaf", "sh", "-c", "trap '' TERM; echo > /ready; while :; do sleep 0.1; done")
    engine.start(container)
    until(lambda: any(change.path == "ready" for change in engine.diff(container)))
    engine.stop(container, timeout=0)
    assert engine.container(container).state.exit_code == 137


def test_stop_takes_the_signal_and_grace_of_the_container_or_of_the_caller(engine: Engine) -> None:
    script = "trap 'exit 3' USR1; trap 'exit 4' USR2; echo > /ready; while :; do sleep 0.05; done"
    container = make(engine, "web", "sh", "-c", script, stop_signal="USR1", stop_timeout=30)
    for signal, status in ((None, 3), ("USR2", 4)):
        engine.start(container)
        until(lambda: any(change.path == "ready" for change in engine.diff(container)))
        time.sleep(0.1)
        engine.stop(container, signal=signal)
        assert engine.container(container).state.exit_code == status
    with pytest.raises(InvalidInput, match="Invalid signal: NOPE"):
        engine.stop(container, signal="NOPE")


def test_a_paused_container_is_thawed_to_be_stopped(engine: Engine) -> None:
    container = make(engine, "web", "sh", "-c", "trap 'exit 5' TERM; echo > /ready; while :; do sleep 0.05; done")
    engine.start(container)
    until(lambda: any(change.path == "ready" for change in engine.diff(container)))
    engine.pause(container)
    engine.stop(container)
    assert engine.container(container).state.exit_code == 5


def test_rm_by_force_ends_it_first_and_one_that_removes_itself_is_gone_too(engine: Engine) -> None:
    container = make(engine, "web", *SLEEP)
    engine.start(container)
    engine.pause(container)
    engine.remove(container, force=True)
    own = make(engine, "own", *SLEEP, auto_remove=True)
    engine.start(own)
    engine.remove(own, force=True)
    stopped = make(engine, "stopped", *SLEEP, auto_remove=True)
    engine.start(stopped)
    engine.stop(stopped, timeout=0)
    assert engine.containers(all=True) == []
    assert len(os.listdir(os.path.join(engine.root, "layers"))) == 1


def test_several_wait_for_the_same_end(engine: Engine) -> None:
    container = make(engine, "web", "sh", "-c", "while [ ! -e /go ]; do sleep 0.05; done; exit 9")
    assert engine.wait(container) == 0
    engine.start(container)
    found: list[int] = []
    threads = [threading.Thread(target=lambda: found.append(engine.wait(container))) for _ in range(3)]
    for thread in threads:
        thread.start()
    engine.exec(container, ExecOptions(("sh", "-c", "echo > /go"))).wait()
    for thread in threads:
        thread.join()
    assert found == [9, 9, 9]


def test_info_counts_what_is_there(engine: Engine) -> None:
    one, two = make(engine, "one", *SLEEP), make(engine, "two", *SLEEP)
    make(engine, "three", *SLEEP)
    engine.start(one)
    engine.start(two)
    engine.pause(two)
    info = engine.info()
    counted = [
        info[name] for name in ("Containers", "ContainersRunning", "ContainersPaused", "ContainersStopped", "Images")
    ]
    assert counted == [3, 1, 1, 1, 1]
    assert info["DockerRootDir"] == engine.root
    assert engine.version()["Client"]["Version"] == engine.version()["Server"]["Version"]
