"""Frames keep their borders whatever the stream does to them, and sockets work at any path."""

from __future__ import annotations

import _socket
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.runtime import wire


@given(st.lists(st.tuples(st.integers(1, 11), st.binary(max_size=300)), max_size=8), st.data())
def test_frames_come_out_as_they_went_in(frames: list[tuple[int, bytes]], data: st.DataObject) -> None:
    stream = b"".join(wire.frame(kind, payload) for kind, payload in frames)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    reader = wire.Frames()
    found = []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        found += reader.feed(stream[start:end])
    assert found == frames


def test_an_impossible_length_is_refused_before_it_is_believed() -> None:
    with pytest.raises(wire.ProtocolError):
        wire.Frames().feed(wire.HEADER.pack(wire.STDIN, wire.MAX_PAYLOAD + 1))


def test_a_payload_that_is_no_value_is_refused() -> None:
    for payload in (b"", b"\xff", wire.marshalled({"a": 1})[:-1]):
        with pytest.raises(wire.ProtocolError):
            wire.value(payload)


def test_descriptors_travel_with_their_frame(tmp_path: Path) -> None:
    ours, theirs = _socket.socketpair()
    with (tmp_path / "file").open("w+") as file:
        wire.send_descriptors(ours, wire.frame(1, b"x" * 100_000), [file.fileno(), file.fileno()])
        ours.close()
    inbox = wire.Inbox(theirs)
    frames = []
    while not inbox.ended:
        frames += inbox.receive()
    assert frames == [(1, b"x" * 100_000)]
    for fd in inbox.descriptors:
        assert os.readlink(f"/proc/self/fd/{fd}") == str(tmp_path / "file")
        assert not os.get_inheritable(fd)
        os.close(fd)
    theirs.close()


def test_a_socket_may_lie_deeper_than_its_address_is_long(tmp_path: Path) -> None:
    deep = tmp_path.joinpath(*["d" * 60] * 4)
    deep.mkdir(parents=True)
    directory = os.open(deep, os.O_RDONLY)
    listener = wire.listen(directory, "s")
    os.close(directory)
    assert (deep / "s").stat().st_mode & 0o777 == 0o600
    client = wire.connect(str(deep / "s"))
    client.sendall(b"hello")
    number, _ = listener._accept()  # type: ignore[attr-defined]
    server = _socket.socket(fileno=number)
    assert server.recv(10) == b"hello"
    for sock in (client, server, listener):
        sock.close()
    with pytest.raises(ConnectionRefusedError):
        wire.connect(str(deep / "s"))
