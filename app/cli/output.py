"""Writing rows: as a table, as JSON lines, through a template; bytes to stdout, words to stderr."""

from __future__ import annotations

import sys

from app.cli.template_functions import HEADER_FUNCTIONS, Row, TemplateError, as_json, text_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from app.cli.flags import Parser


class FormatError(Exception):
    """A --format that cannot be used."""


def out(text: str) -> None:
    """Text to stdout as it is, whatever the locale; names that are not UTF-8 keep their bytes."""
    stream = getattr(sys.stdout, "buffer", None)
    if stream is None:
        sys.stdout.write(text)
    else:
        sys.stdout.flush()
        stream.write(text.encode("utf-8", "surrogateescape"))


def words(text: str) -> None:
    """Words to stderr; on a terminal nothing foreign in them (a name out of an archive) can move the cursor."""
    sys.stdout.flush()
    if sys.stderr.isatty():
        from app.cli.format import visible

        text = "\n".join(map(visible, text.split("\n")))
    sys.stderr.write(text.encode("utf-8", "backslashreplace").decode("utf-8") + "\n")
    sys.stderr.flush()


def said(error: Exception) -> str:
    """An error as words: what it says, and of a system's error the file, without Python's own notation."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error)


def rows_format_flag(parser: Parser) -> None:
    """--format of a verb that prints rows: what `write_rows` takes."""
    parser.add_argument("--format", default="", help="Format output: table, table TEMPLATE, json, or a Go template")


def object_format_flag(parser: Parser) -> None:
    """-f, --format of a verb that prints objects: what `write_object` takes."""
    parser.add_argument("-f", "--format", default="", help="Format output: json, or a Go template")


def filter_flag(parser: Parser) -> None:
    """-f, --filter key=value, any number of times."""

    def pair(text: str) -> tuple[str, str]:
        key, equals, value = text.partition("=")
        if not equals:
            raise ValueError("bad format of filter (expected name=value)")
        return key.strip().lower(), value.strip()

    parser.add_argument(
        "-f",
        "--filter",
        action="append",
        type=pair,
        metavar="filter",
        help="Filter output based on conditions provided",
    )


def gathered(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """The values of each key, in order."""
    found: dict[str, list[str]] = {}
    for key, value in pairs:
        found.setdefault(key, []).append(value)
    return found


def write_rows(rows: Iterable[Row], form: str, table: str, titles: Mapping[str, str], *, quiet: bool = False) -> None:
    """`rows_text` to stdout."""
    out(rows_text(rows, form, table, titles, quiet=quiet))


def rows_text(rows: Iterable[Row], form: str, table: str, titles: Mapping[str, str], *, quiet: bool = False) -> str:
    """docker's --format. form: "" or "table" for the default table, "json", "table …" or a template.

    table: the default table's template; titles: column titles by field; quiet: `table` is one field, shown without a
    title, and goes before a table of the caller's. Raises FormatError.
    """
    form = form.strip().replace("\\t", "\t").replace("\\n", "\n")
    if form == "json":
        return "".join(as_json(row) + "\n" for row in rows)
    as_table = form in ("", "table") or form.startswith("table ")
    source = table if form in ("", "table") or (quiet and as_table) else form.removeprefix("table ").strip(" ")
    with_titles = as_table and not quiet
    lines = _fill(source, rows, titles if with_titles else None)
    if with_titles:
        from app.cli.table import tabulate

        lines = tabulate([part for line in lines for part in line.split("\n")])
    return "".join(f"{line}\n" for line in lines)


def write_object(found: Mapping[str, object], form: str) -> None:
    """One object: as JSON, or through a template. Raises FormatError."""
    if form == "json":
        out(as_json(found) + "\n")
        return
    from app.cli.template import Template

    try:
        out(Template(form).execute(found) + "\n")
    except TemplateError as error:
        raise FormatError(f"template parsing error: template: :1: {error}") from None


def _fill(source: str, rows: Iterable[Row], titles: Mapping[str, str] | None) -> list[str]:
    plain = _plain_fields(source)
    if plain is not None:  # only {{.Field}}s and tabs between them: the usual case needs no interpreter
        try:
            lines = [_joined(plain, titles)] if titles is not None else []
            return lines + [_joined(plain, {name: _value(row, name) for name in plain[1::2]}) for row in rows]
        except KeyError:
            pass  # a field that is none: the interpreter has the words for it
    from app.cli.template import Template

    try:
        template = Template(source)
    except TemplateError as error:
        raise FormatError(f"failed to parse template: template: :1: {error}") from None
    lines = []
    try:
        if titles is not None:
            lines.append(template.execute(Row("map", titles, Label=_label_title), HEADER_FUNCTIONS))
        lines += [template.execute(row) for row in rows]
    except TemplateError as error:
        raise FormatError(f"failed to execute template: template: :1: {error}") from None
    return lines


def _plain_fields(source: str) -> list[str] | None:
    """Texts and field names in turn, when the template holds nothing but fields."""
    pieces: list[str] = []
    for at, piece in enumerate(source.split("{{")):
        if not at:
            pieces.append(piece)
            continue
        inside, closed, text = piece.partition("}}")
        if not closed or not inside.startswith(".") or not inside[1:].isidentifier():
            return None
        pieces += [inside[1:], text]
    return pieces


def _joined(pieces: Sequence[str], values: Mapping[str, str]) -> str:
    """The texts and the named values, put together."""
    return "".join(values[piece] if at % 2 else piece for at, piece in enumerate(pieces))


def _value(row: Row, name: str) -> str:
    value = row[name]
    return text_of(value() if callable(value) else value)


def _label_title(key: str) -> str:
    """The column title docker makes of `.Label "com.example.some-key"`: "some key"."""
    return key.rpartition(".")[2].replace("-", " ").replace("_", " ")
