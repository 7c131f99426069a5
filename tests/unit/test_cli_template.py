"""Go templates, as docker's --format takes them; the expected texts are what docker 28 and Go 1.24 print."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.cli.template import Template
from app.cli.template_functions import MapOfAny, Row, TemplateError

DATA: dict[str, Any] = {
    "A": {"B": 5, "L": ["x", "y"], "F": 1.5},
    "Labels": MapOfAny({"k": "v", "a.b": "c"}),
    "Empty": [],
    "Zero": 0,
    "Yes": True,
    "Null": None,
    "Name": "web",
}


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("plain {text}", "plain {text}"),
        ("{{.Name}}", "web"),
        ("{{ .A.B }}", "5"),
        ("{{.Yes}}", "true"),
        ("{{.A.L}}", "[x y]"),
        ("{{.Labels}}", "map[a.b:c k:v]"),
        ("{{.Null}}", "<no value>"),
        ("{{json .A}}", '{"B":5,"L":["x","y"],"F":1.5}'),
        ("{{.A | json}}", '{"B":5,"L":["x","y"],"F":1.5}'),
        ("{{json .Name}}", '"web"'),
        ("{{range .A.L}}<{{.}}>{{end}}", "<x><y>"),
        ("{{range .Empty}}x{{else}}none{{end}}", "none"),
        ("{{range $i, $e := .A.L}}{{$i}}={{$e}} {{end}}", "0=x 1=y "),
        ("{{range $k, $v := .Labels}}{{$k}}={{$v}};{{end}}", "a.b=c;k=v;"),
        ("{{range $e := .A.L}}{{$e}}{{$.Name}}{{end}}", "xwebyweb"),
        ('{{range .A.L}}{{if eq . "x"}}{{continue}}{{end}}{{.}}{{end}}', "y"),
        ("{{range .A.L}}{{.}}{{break}}{{end}}", "x"),
        ("{{if .Empty}}a{{else if .Yes}}b{{else}}c{{end}}", "b"),
        ("{{if not .Zero}}zero{{end}}", "zero"),
        ("{{if and .Yes .Empty}}a{{else}}b{{end}}", "b"),
        ("{{if or .Empty .Yes}}a{{end}}", "a"),
        ("{{if or .Yes .Absent}}a{{end}}", "a"),
        ("{{with .A}}{{.B}}{{$.Name}}{{end}}", "5web"),
        ("{{with .Empty}}x{{else}}y{{end}}", "y"),
        ('{{index .Labels "a.b"}}', "c"),
        ('{{index .Labels "none"}}|{{.Labels.none}}', "|<no value>"),
        ("{{index .A.L 1}}", "y"),
        ("{{(index .A.L 0)}}", "x"),
        ("{{(.A).B}}", "5"),
        ('{{join .A.L ", "}}', "x, y"),
        ('{{upper .Name}}{{lower "ABC"}}{{title "a b"}}', "WEBabcA B"),
        ("{{.Name | upper | lower}}", "web"),
        ('{{println .Name "x"}}', "web x\n"),
        ('{{print 1 2 "a" 3}}', "1 2a3"),
        ('{{printf "%-5s|%5d|%.2f|%q|%v|%%|%t" "a" 3 1.5 "b" .A.L true}}', 'a    |    3|1.50|"b"|[x y]|%|true'),
        ('{{printf "%s %d" "x"}}', "x %!d(MISSING)"),
        ('{{printf "%x %X" 255 "hi"}}', "ff 6869"),
        ("{{len .A.L}} {{len .Name}}", "2 3"),
        ("{{slice .Name 1 2}}", "e"),
        ('{{split "a,b" ","}}', "[a b]"),
        ("{{truncate .Name 2}}|{{pad .Name 1 2}}|", "we| web  |"),
        ('{{eq .A.B 5}} {{ne .Name "x"}} {{lt 1 2}} {{ge 1 2}} {{eq .Name "a" "web"}}', "true true true false true"),
        ("a  {{- .Name -}}  b", "awebb"),
        ("a{{/* a comment */}}b", "ab"),
        ("{{$x := .A.B}}{{$x}}", "5"),
        ("{{$x := 1}}{{if .Yes}}{{$x = 2}}{{end}}{{$x}}", "2"),
        ('{{`raw}}`}}{{"}}"}}{{"\\t\\"\\u00e4"}}', 'raw}}}}\t"ä'),
        ("{{true}} {{1.5}} {{0x10}} {{'a'}}", "true 1.5 16 97"),
    ],
)
def test_templates(source: str, text: str) -> None:
    assert Template(source).execute(DATA) == text


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("{{.Foo", "unclosed action"),
        ('{{"a}}', "unclosed action"),
        ("{{foo .A}}", 'function "foo" not defined'),
        ("{{if .A}}x", "unexpected EOF"),
        ("{{end}}", "unexpected {{end}}"),
        ("{{else}}", "unexpected {{else}}"),
        ("{{}}", "missing value for command"),
        ("{{if}}x{{end}}", "missing value for if"),
        ("{{.A | }}", "missing value for command"),
        ("{{(.A}}", "unclosed left paren"),
        ("{{.A )}}", 'unexpected ")" in operand'),
        ("{{.A ~}}", "unexpected '~' in command"),
        ("{{break}}", "{{break}} outside {{range}}"),
        ("{{range .A}}{{else}}{{continue}}{{end}}", "{{continue}} outside {{range}}"),
        ("{{" + "(" * 5000 + "1" + ")" * 5000 + "}}", "nested too deeply"),
    ],
)
def test_what_is_no_template_is_refused_before_anything_is_printed(source: str, problem: str) -> None:
    with pytest.raises(TemplateError) as caught:
        Template(source)
    assert str(caught.value) == problem


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("{{.Foo}}", 'executing "" at <.Foo>: map has no entry for key "Foo"'),
        ("{{.Name.X}}", 'executing "" at <.Name.X>: can\'t evaluate field X in type str'),
        ("{{index .A.L 7}}", "error calling index: index out of range: 7"),
        ("{{$x}}", 'undefined variable "$x"'),
        ("{{.Name 1}}", 'executing "" at <.Name>: Name has arguments but cannot be invoked as function'),
        ("{{range .Name}}{{end}}", "range can't iterate over web"),
        ("{{upper .A}}", "error calling upper: wrong arguments"),
        ('{{lt 1 "a"}}', "error calling lt: incompatible types for comparison"),
    ],
)
def test_what_cannot_be_executed(source: str, problem: str) -> None:
    with pytest.raises(TemplateError) as caught:
        Template(source).execute(DATA)
    assert str(caught.value).startswith(problem)


def test_a_field_is_made_when_it_is_named_and_a_method_takes_arguments() -> None:
    def dear() -> str:
        raise AssertionError("nobody asked for this")

    row = Row("*formatter.ContainerContext", {"ID": "1", "Dear": dear}, Label=lambda key: f"<{key}>")
    assert Template('{{.ID}} {{.Label "k"}}').execute(row) == "1 <k>"
    with pytest.raises(TemplateError, match=r"can't evaluate field Foo in type \*formatter\.ContainerContext"):
        Template("{{.Foo}}").execute(row)
    assert Template("{{json .}}").execute(Row("x", {"A": lambda: 1}, Label=str)) == '{"A":1}'


@given(st.text(alphabet="{}.$|()\"'` abAB-/*1:=,\\end if range"))
def test_any_text_either_works_or_is_refused(source: str) -> None:
    try:
        Template(source).execute(DATA)
    except TemplateError:
        pass


def test_an_unclosed_action_with_many_quotes_is_refused_at_once() -> None:
    with pytest.raises(TemplateError, match="unclosed action"):
        Template("{{" + '"a" ' * 200)
