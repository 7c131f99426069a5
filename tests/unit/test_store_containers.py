"""Containers on disk: made whole or not at all, one winner for a name, states that do not lie."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import Ambiguous, BrokenStore, Conflict, InvalidInput, NoSuchContainer
from engine.oci.times import rfc3339
from engine.store.container import dump_config, load_config
from engine.store.containers import Container, ContainerConfig, ContainerState, new_id
from engine.store.locks import lock_directory
from engine.store.root import Store
from tests.support.children import alone, together


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path / "root"))


def make(store: Store, name: str, **more: object) -> str:
    config = ContainerConfig(new_id(), name, created=rfc3339(), **more)  # type: ignore[arg-type]
    store.containers.create(config, {"hostname": b"box\n"})
    return config.id


def start_time(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()[19])


def test_a_new_container_has_its_directory_its_layer_and_nothing_in_tmp(store: Store) -> None:
    container_id = make(store, "web")
    assert sorted(os.listdir(store.containers.path(container_id))) == ["config.json", "hostname", "rootfs"]
    assert sorted(os.listdir(store.layers.path(container_id))) == ["diff", "json", "work"]
    record = store.layers.get(container_id)
    assert (record.kind, record.parent, record.id) == ("rw", None, container_id)
    assert store.containers.state(container_id) == ContainerState()
    assert os.listdir(store.path("tmp")) == []


def test_a_config_reads_back_as_it_was_written(store: Store) -> None:
    config = ContainerConfig(
        id=new_id(),
        name="web",
        created="2026-01-01T00:00:00Z",
        image="sha256:x",
        image_name="demo",
        layers=(),
        entrypoint=("sh",),
        cmd=("-c", "a\udcff"),
        args=("sh", "-c", "a\udcff"),
        env=("A=1",),
        cwd="/srv",
        user="1:2",
        hostname="box",
        tty=True,
        open_stdin=True,
        stop_signal="SIGINT",
        stop_timeout=3,
        auto_remove=True,
        labels={"k": "v"},
        exposed_ports=("80/tcp",),
        volumes=("/data",),
    )
    store.containers.create(config)
    assert store.containers.get(config.id) == config
    assert store.containers.snapshot(config.id) == Container(config, ContainerState())


@given(st.text(), st.lists(st.text()), st.dictionaries(st.text(), st.text()), st.none() | st.integers())
def test_any_config_survives_its_file(text: str, texts: list[str], labels: dict[str, str], number: int | None) -> None:
    config = ContainerConfig("a" * 64, "web", args=tuple(texts), cwd=text, labels=labels, stop_timeout=number)
    assert load_config(dump_config(config)) == config


def test_a_config_of_a_newer_strata_is_read_as_far_as_we_know_it() -> None:
    document = {**ContainerConfig("a" * 64, "web").plain(), "future": [1]}
    del document["volumes"]
    assert load_config(json.dumps(document).encode()) == ContainerConfig("a" * 64, "web")


@pytest.mark.parametrize("name", ["", "a", "-ab", ".ab", "a b", "a/b", "äb", "a\n", "a" * 256, "ab\0"])
def test_malformed_names_are_refused_in_dockers_words(store: Store, name: str) -> None:
    with pytest.raises(InvalidInput, match=r"only \[a-zA-Z0-9\]\[a-zA-Z0-9_.-\] are allowed"):
        make(store, name)
    assert store.containers.ids() == []


def test_a_taken_name_is_a_conflict_that_names_the_owner_and_leaves_nothing(store: Store) -> None:
    first = make(store, "web")
    with pytest.raises(Conflict) as caught:
        make(store, "web")
    assert str(caught.value) == (
        f'Conflict. The container name "/web" is already in use by container "{first}". '
        "You have to remove (or rename) that container to be able to reuse that name."
    )
    assert store.containers.ids() == store.layers.ids() == [first]
    store.containers.remove(first)
    make(store, "web")


def test_of_many_processes_creating_one_name_exactly_one_wins(store: Store) -> None:
    answers = together([lambda: make(store, "web")] * 8)
    won = [answer for answer in answers if isinstance(answer, str)]
    lost = [str(answer) for answer in answers if isinstance(answer, Conflict)]
    assert len(won) == 1 and len(lost) == 7, answers
    assert all(f'The container name "/web" is already in use by container "{won[0]}"' in text for text in lost)
    assert store.containers.ids() == store.layers.ids() == won
    assert os.listdir(store.path("tmp")) == []


def test_many_processes_creating_and_removing_lose_and_leave_nothing(store: Store) -> None:
    def churn() -> list[str]:
        kept = []
        for number in range(12):
            container_id = make(store, f"c{os.getpid()}-{number}")
            store.containers.snapshots()
            if number % 3:
                store.containers.remove(container_id)
            else:
                kept.append(container_id)
        return kept

    answers = together([churn] * 4)
    kept = sorted(container_id for answer in answers for container_id in answer)
    assert store.containers.ids() == store.layers.ids() == kept
    assert os.listdir(store.path("tmp")) == []


def test_resolving_goes_by_id_then_name_then_prefix(store: Store) -> None:
    a = "a" * 64
    store.containers.create(ContainerConfig(a, "web"))
    b = "ab" + "b" * 62
    store.containers.create(ContainerConfig(b, "aa"))  # a name that is also a prefix of the first's id
    resolve = store.containers.resolve
    assert resolve(a) == resolve("web") == resolve("/web") == resolve("aaaa") == a
    assert resolve("aa") == resolve("ab") == b
    with pytest.raises(Ambiguous, match="multiple IDs found with provided prefix: a"):
        resolve("a")
    for missing in ("", "c", "nobody", "../" + a, "c" * 64, a + "a"):
        with pytest.raises(NoSuchContainer, match="No such container: "):
            resolve(missing)


def test_names_are_found_however_long_the_config(store: Store) -> None:
    container_id = make(store, "w" * 255, args=tuple(["x" * 500] * 20))
    assert list(store.containers.names()) == [(container_id, "w" * 255)]


def test_renaming_keeps_all_else_and_respects_others(store: Store) -> None:
    first, second = make(store, "one", args=("sh",)), make(store, "two")
    store.containers.rename(first, "three")
    assert store.containers.get(first).args == ("sh",)
    assert store.containers.resolve("three") == first
    with pytest.raises(Conflict):
        store.containers.rename(second, "three")
    with pytest.raises(InvalidInput):
        store.containers.rename(second, "no good")
    store.containers.rename(second, "one")
    assert store.containers.resolve("one") == second


def test_a_missing_layer_is_refused_before_anything_appears(store: Store) -> None:
    with pytest.raises(BrokenStore, match=r"layer f+ of image sha256:x is missing"):
        make(store, "web", layers=("f" * 64,), image="sha256:x")
    assert store.containers.ids() == store.layers.ids() == []


def test_removing_takes_directory_and_layer_and_leaves_others(store: Store) -> None:
    first, second = make(store, "one"), make(store, "two")
    store.containers.remove(first)
    assert store.containers.ids() == store.layers.ids() == [second]
    for gone in (store.containers.remove, store.containers.get, store.containers.state, store.containers.lock):
        with pytest.raises(NoSuchContainer):
            gone(first)


def test_a_running_state_is_believed_only_while_its_monitor_lives(store: Store) -> None:
    container_id = make(store, "web")
    me = os.getpid()
    alive = ContainerState("running", pid=me, pid_start=start_time(me), monitor_pid=me, monitor_start=start_time(me))
    store.containers.set_state(container_id, alive)
    assert store.containers.state(container_id) == alive
    for monitor in (
        alive.replaced(monitor_start=1),
        alive.replaced(monitor_pid=2**22 - 1),
        alive.replaced(monitor_pid=0),
    ):
        for status in ("running", "paused"):
            store.containers.set_state(container_id, monitor.replaced(status=status))
            state = store.containers.state(container_id)
            assert (state.status, state.exit_code, state.running) == ("exited", 255, False)
            assert "monitor died" in state.error
    exited = ContainerState("exited", exit_code=3, finished="2026-01-01T00:00:00Z", stopped_by_user=True)
    store.containers.set_state(container_id, exited)
    assert store.containers.state(container_id) == exited


@pytest.mark.parametrize("torn", [b"", b"{", b"\0" * 200, b"[]", b'{"status": 1}'[:9]])
def test_a_state_that_a_power_cut_tore_reads_as_exited(store: Store, torn: bytes) -> None:
    container_id = make(store, "web")
    Path(store.containers.path(container_id, "state.json")).write_bytes(torn)
    state = store.containers.state(container_id)
    assert (state.status, state.exit_code) == ("exited", 255)
    assert "machine stopped" in state.error
    store.containers.remove(container_id)


def test_a_read_write_layer_whose_record_a_power_cut_tore_is_told_by_its_container(store: Store) -> None:
    container_id = make(store, "web")
    whole = store.layers.get(container_id)
    Path(store.layers.path(container_id), "json").write_bytes(b"")
    assert store.layers.get(container_id) == whole
    os.rename(store.containers.path(container_id), store.path("tmp", "gone"))
    with pytest.raises(BrokenStore, match="not a layer's record"):
        store.layers.get(container_id)


def test_a_container_with_an_unreadable_config_is_named_and_can_be_removed(store: Store) -> None:
    container_id = make(store, "web")
    Path(store.containers.path(container_id, "config.json")).write_bytes(b"")
    with pytest.raises(BrokenStore, match=container_id):
        store.containers.get(container_id)
    store.containers.remove(container_id)
    assert store.containers.ids() == store.layers.ids() == []


def test_a_containers_lock_excludes_and_notices_removal(store: Store) -> None:
    container_id = make(store, "web")
    with store.containers.lock(container_id):
        assert alone(lambda: _is_locked(store, container_id))
    assert not alone(lambda: _is_locked(store, container_id))
    held, tell = os.pipe()

    def hold_and_remove() -> None:
        with store.containers.lock(container_id):
            os.write(tell, b"x")
            time.sleep(0.1)  # the other one is most likely waiting by now; it must be right either way
            store.containers.remove(container_id)

    def wait_for_it() -> None:
        os.read(held, 1)
        store.containers.lock(container_id)

    removed, waited = together([hold_and_remove, wait_for_it])
    assert removed is None
    assert isinstance(waited, NoSuchContainer)
    os.close(held)
    os.close(tell)


def _is_locked(store: Store, container_id: str) -> bool:
    return lock_directory(store.containers.path(container_id), wait=False) is None


def test_new_ids_never_look_like_a_number() -> None:
    ids = {new_id() for _ in range(500)}
    assert len(ids) == 500 and not any(found[:12].isdecimal() for found in ids)


def test_files_for_the_inside_are_readable_whatever_the_umask(store: Store) -> None:
    before = os.umask(0o077)
    try:
        container_id = make(store, "web")
    finally:
        os.umask(before)
    assert os.stat(store.containers.path(container_id, "hostname")).st_mode & 0o777 == 0o644
    assert os.stat(store.containers.path(container_id, "config.json")).st_mode & 0o777 == 0o600
    assert os.stat(store.layers.diff_path(container_id)).st_mode & 0o777 == 0o755
