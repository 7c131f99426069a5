"""Rows come out as docker prints them: the expected tables are copied from docker 28 for the same containers."""

from __future__ import annotations

import json

import pytest

from app.cli import history, images, ps
from app.cli.output import FormatError, gathered, out, said, write_object, write_rows
from engine.commands.history import HistoryRow
from engine.commands.summaries import ContainerSummary, ImageSummary

NOW = 1_800_000_000.0


def at(seconds_ago: float) -> str:
    from engine.oci.times import rfc3339

    return rfc3339(int((NOW - seconds_ago) * 1e9))


def container(**changes: object) -> ContainerSummary:
    fields: dict[str, object] = {
        "id": "a" * 64,
        "name": "web",
        "image": "demo:latest",
        "image_id": "sha256:" + "b" * 64,
        "command": "/bin/sh -c 'while true; do x; done'",
        "created": at(200),
        "status": "running",
        "exit_code": 0,
        "started": at(190),
        "finished": "",
        "pid": 12,
        "labels": {"com.ex.some-key": "v1", "b": "2"},
        "size_rw": 12345,
        "size_root": 5678901,
    }
    return ContainerSummary(**{**fields, **changes})  # type: ignore[arg-type]


EXITED = container(
    id="c" * 64,
    name="zany",
    image="sha256:" + "b" * 64,
    command='sh "q" \x1b[31m\u202e',
    created=at(90000),
    status="exited",
    exit_code=137,
    finished=at(7200),
    labels={},
    size_rw=0,
)


def ps_lines(form: str, capfd: pytest.CaptureFixture[str], table: str = ps.TABLE, short: bool = True) -> list[str]:
    write_rows([ps.container_row(one, NOW, short) for one in (container(), EXITED)], form, table, ps.TITLES)
    out("")
    import sys

    sys.stdout.flush()
    return capfd.readouterr().out.splitlines()


PS = """\
CONTAINER ID   IMAGE          COMMAND                     CREATED         STATUS                     PORTS     NAMES
aaaaaaaaaaaa   demo:latest    "/bin/sh -c 'while t…"      3 minutes ago   Up 3 minutes                         web
cccccccccccc   bbbbbbbbbbbb   "sh \\"q\\" \\x1b[31m\\u202e"   25 hours ago    Exited (137) 2 hours ago             zany
"""


def test_ps(capfd: pytest.CaptureFixture[str]) -> None:
    assert ps_lines("", capfd) == PS.splitlines()


def test_ps_with_sizes_ends_with_them(capfd: pytest.CaptureFixture[str]) -> None:
    lines = ps_lines("", capfd, ps.TABLE + "\t{{.Size}}")
    assert lines[0].endswith("NAMES     SIZE")
    assert lines[1].endswith("web       12.3kB (virtual 5.68MB)")


def test_a_table_of_ones_own_gets_titles_even_for_labels(capfd: pytest.CaptureFixture[str]) -> None:
    assert ps_lines(r'table {{.ID}}\t{{.Label "com.ex.some-key"}}\t{{json .Names}}', capfd) == [
        "CONTAINER ID   some key   NAMES",
        'aaaaaaaaaaaa   v1         "web"',
        'cccccccccccc              "zany"',
    ]
    assert ps_lines("table {{.Names}}", capfd) == ["NAMES", "web", "zany"]


def test_a_template_has_no_titles(capfd: pytest.CaptureFixture[str]) -> None:
    assert ps_lines(r"{{.Names}}\t{{.ID}}", capfd) == ["web\taaaaaaaaaaaa", "zany\tcccccccccccc"]
    assert ps_lines("{{upper .Names}} {{.Size}}", capfd)[0] == "WEB 12.3kB (virtual 5.68MB)"


def test_json_is_an_object_a_line(capfd: pytest.CaptureFixture[str]) -> None:
    first, second = (json.loads(line) for line in ps_lines("json", capfd))
    assert first == {
        "Command": '"/bin/sh -c \'while t…"',
        "CreatedAt": first["CreatedAt"],
        "ID": "aaaaaaaaaaaa",
        "Image": "demo:latest",
        "Labels": "b=2,com.ex.some-key=v1",
        "LocalVolumes": "0",
        "Mounts": "",
        "Names": "web",
        "Networks": "",
        "Ports": "",
        "RunningFor": "3 minutes ago",
        "Size": "12.3kB (virtual 5.68MB)",
        "State": "running",
        "Status": "Up 3 minutes",
    }
    assert second["Status"] == "Exited (137) 2 hours ago"


def test_untruncated_rows_show_whole_ids_and_commands(capfd: pytest.CaptureFixture[str]) -> None:
    lines = ps_lines("{{.ID}} {{.Image}} {{.Command}}", capfd, short=False)
    assert lines[0] == "a" * 64 + " demo:latest \"/bin/sh -c 'while true; do x; done'\""
    assert lines[1].startswith("c" * 64 + " sha256:" + "b" * 64)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"status": "paused"}, "Up 3 minutes (Paused)"),
        ({"status": "created", "started": ""}, "Created"),
        ({"status": "exited", "exit_code": 0, "finished": at(30)}, "Exited (0) 30 seconds ago"),
    ],
)
def test_the_status_in_words(changes: dict[str, object], text: str) -> None:
    assert ps.status(container(**changes), NOW) == text


@pytest.mark.parametrize(
    ("form", "problem"),
    [
        (
            "{{.Foo}}",
            'failed to execute template: template: :1: executing "" at <.Foo>: can\'t evaluate field Foo in type ',
        ),
        ("table {{.Foo}}", "failed to execute template: template: :1: "),
        ("{{.Names", "failed to parse template: template: :1: unclosed action"),
    ],
)
def test_a_bad_format_is_refused(form: str, problem: str, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(FormatError) as caught:
        ps_lines(form, capfd)
    assert str(caught.value).startswith(problem)


def test_quiet_wins_over_tables_but_not_over_a_template(capfd: pytest.CaptureFixture[str]) -> None:
    import sys

    rows = [ps.container_row(container(), NOW, True)]
    for form, text in (("", "aaaaaaaaaaaa\n"), ("table {{.Names}}", "aaaaaaaaaaaa\n"), ("{{.Names}}", "web\n")):
        write_rows(rows, form, "{{.ID}}", ps.TITLES, quiet=True)
        sys.stdout.flush()
        assert capfd.readouterr().out == text


def test_an_image_has_a_row_for_each_name_and_a_layer_one_of_none() -> None:
    image = ImageSummary(
        "sha256:" + "b" * 64, "image", ("demo:latest", "host:5000/x:v1"), "", at(200), 1000, (), "", {}, 2
    )
    layer = ImageSummary("d" * 64, "layer", (), "", at(9e6), 999, (), "", {}, 0)
    rows = [row for one in (image, layer) for row in images.image_rows(one, NOW, True)]
    assert [(row["Repository"], row["Tag"], row["ID"], row["Size"], row["Digest"]) for row in rows] == [
        ("demo", "latest", "b" * 12, "1kB", "<none>"),
        ("host:5000/x", "v1", "b" * 12, "1kB", "<none>"),
        ("<none>", "<none>", "d" * 12, "999B", "<none>"),
    ]


def test_history_cuts_commands_at_45_characters(capfd: pytest.CaptureFixture[str]) -> None:
    import sys

    steps = [
        HistoryRow("sha256:" + "b" * 64, "", at(200), '/bin/sh -c #(nop)  CMD ["sh"]\tand a very long tail', 0, "", ()),
        HistoryRow("<missing>", "e" * 64, at(2000), "ADD x", 5_580_000, "hello", ()),
    ]
    rows = [history.history_row(step, NOW, True, True, str) for step in steps]
    write_rows(rows, "", history.TABLE, history.TITLES)
    sys.stdout.flush()
    assert capfd.readouterr().out.splitlines() == [
        "IMAGE          CREATED          CREATED BY                                      SIZE      COMMENT",
        'bbbbbbbbbbbb   3 minutes ago    /bin/sh -c #(nop)  CMD ["sh"] and a very lon…   0B        ',
        "<missing>      33 minutes ago   ADD x                                           5.58MB    hello",
    ]


def test_one_object_goes_through_a_template(capfd: pytest.CaptureFixture[str]) -> None:
    import sys

    write_object({"Server": {"Version": "1"}}, "{{.Server.Version}}")
    write_object({"A": [1]}, "json")
    sys.stdout.flush()
    assert capfd.readouterr().out == '1\n{"A":[1]}\n'
    with pytest.raises(FormatError, match=r"^template parsing error: "):
        write_object({}, "{{.A}}")


def test_nil_lists_and_maps_are_empty_in_a_template_and_null_in_json() -> None:
    from app.cli.inspect import _typed
    from app.cli.template import Template

    sheet = _typed({"Config": {"Entrypoint": None, "Volumes": None, "Labels": {"k": "v"}}})
    source = "{{.Config.Entrypoint}} {{json .Config.Entrypoint}} {{len .Config.Volumes}} {{json .Config}}"
    text = '[] null 0 {"Entrypoint":null,"Volumes":null,"Labels":{"k":"v"}}'
    assert Template(source).execute(sheet) == text


def test_an_error_of_the_system_names_the_file_in_plain_words() -> None:
    assert said(FileNotFoundError(2, "No such file or directory", "/x")) == "/x: No such file or directory"
    assert said(OSError(16, "mount(a, b): Device busy")) == "mount(a, b): Device busy"
    assert said(ValueError("why")) == "why"


def test_filters_of_one_key_are_gathered() -> None:
    assert gathered([("label", "a"), ("name", "b"), ("label", "c=d")]) == {"label": ["a", "c=d"], "name": ["b"]}
