"""commit -c: each Dockerfile instruction changes what docker's would."""

from __future__ import annotations

from typing import Any

import pytest

from engine.commands.changes import apply_changes
from engine.errors import InvalidInput

BASE: dict[str, Any] = {"Env": ["PATH=/bin", "A=1"], "Cmd": ["sh"], "Labels": {"k": "v"}, "WorkingDir": "/srv"}


@pytest.mark.parametrize(
    ("change", "key", "value"),
    [
        ('CMD ["a", "b c"]', "Cmd", ["a", "b c"]),
        ("CMD echo  hello", "Cmd", ["/bin/sh", "-c", "echo  hello"]),
        ("cmd []", "Cmd", []),
        ('ENTRYPOINT ["/run"]', "Entrypoint", ["/run"]),
        ("ENTRYPOINT", "Entrypoint", []),
        ("ENV B=2", "Env", ["PATH=/bin", "A=1", "B=2"]),
        ("ENV A=2 B='x y' C=\"p q\"", "Env", ["PATH=/bin", "A=2", "B=x y", "C=p q"]),
        ("ENV A a value  with blanks", "Env", ["PATH=/bin", "A=a value  with blanks"]),
        ("ENV PATH=$PATH:/x${A}", "Env", ["PATH=/bin:/x1", "A=1"]),
        ("ENV B='$A'\\ \\$A", "Env", ["PATH=/bin", "A=1", "B=$A $A"]),
        ("ENV B=$none.", "Env", ["PATH=/bin", "A=1", "B=."]),
        ("EXPOSE 80 53/udp 7000-7010", "ExposedPorts", {"80/tcp": {}, "53/udp": {}, "7000-7010/tcp": {}}),
        ("LABEL a=b 'c d'=e", "Labels", {"k": "v", "a": "b", "c d": "e"}),
        ("ONBUILD RUN x", "OnBuild", ["RUN x"]),
        ("USER 1000:$A", "User", "1000:1"),
        ("VOLUME /a /b", "Volumes", {"/a": {}, "/b": {}}),
        ('VOLUME ["/a b"]', "Volumes", {"/a b": {}}),
        ("WORKDIR sub/../dir", "WorkingDir", "/srv/dir"),
        ("WORKDIR /abs", "WorkingDir", "/abs"),
    ],
)
def test_instructions(change: str, key: str, value: Any) -> None:
    assert apply_changes(BASE, [change])[key] == value


def test_label_keys_may_be_quoted_and_the_given_config_stays_as_it_is() -> None:
    before = {**BASE, "Labels": dict(BASE["Labels"])}
    apply_changes(BASE, ["LABEL a=b", "ENV A=9", "CMD x"])
    assert before == BASE


def test_they_are_applied_in_order() -> None:
    result = apply_changes({}, ["ENV A=1", "ENV B=$A", "CMD one\nCMD two"])
    assert result == {"Env": ["A=1", "B=1"], "Cmd": ["/bin/sh", "-c", "two"]}


def test_a_new_entrypoint_resets_the_command_that_belonged_to_the_old_one() -> None:
    assert apply_changes(BASE, ['ENTRYPOINT ["/run"]'])["Cmd"] is None
    assert apply_changes(BASE, ['ENTRYPOINT ["/run"]', 'CMD ["x"]'])["Cmd"] == ["x"]
    assert apply_changes(BASE, ['CMD ["x"]', 'ENTRYPOINT ["/run"]'])["Cmd"] == ["x"]  # not one that comes with it


@pytest.mark.parametrize(
    "change",
    [
        *("RUN x", "FROM y", "COPY a b", "ENV", "ENV A", "ENV A=1 B", "ENV =x", "ENV A=${B:-c}", "USER"),
        *("EXPOSE http", "EXPOSE 70000", "EXPOSE 80/ip", 'LABEL "a=b', "VOLUME [1]", "CMD [x"),
    ],
)
def test_what_cannot_be_applied_is_refused(change: str) -> None:
    with pytest.raises(InvalidInput):
        apply_changes(BASE, [change])
