"""strata inspect: everything there is to know of a container, an image or a layer."""

from __future__ import annotations

from app.cli.output import object_format_flag, out, words
from app.cli.template_functions import MapOfAny, NilList, NilMap, TemplateError
from engine.errors import NoSuchObject, StrataError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from app.cli.flags import Args, Parser
    from app.cli.template import Template

EXIT_TEMPLATE = 64
TYPES = ("container", "image", "layer")
# Fields that are maps, where a missing key is no error; all other objects have fixed fields, where it is one.
MAPS = {"Labels", "Volumes", "ExposedPorts", "Ports", "Networks", "Data", "Annotations"}
LISTS = {"Cmd", "Entrypoint", "Env", "ExecIDs", "OnBuild", "Shell"}


def add_arguments(parser: Parser) -> None:
    group = parser.path.split()[1]
    what = {"container": "CONTAINER", "image": "IMAGE"}.get(group, "NAME|ID")
    line = f"Display detailed information on one or more {group}s" if group != "inspect" else ""
    parser.describe(f"[OPTIONS] {what} [{what}...]", line, least=1, most=None)
    object_format_flag(parser)
    if group != "image":
        parser.add_argument(
            "-s", "--size", action="store_true", help="Display total file sizes if the type is container"
        )
    if group == "inspect":
        parser.add_argument("--type", help="Only inspect objects of the given type (container, image, layer)")


def run(args: Args) -> int:
    from engine.engine import Engine

    group = args.path.split()[1]
    kind = getattr(args, "type", None) if group == "inspect" else group
    if kind is not None and kind not in TYPES:
        words(f'unknown type: "{kind}": must be one of {", ".join(map(repr, TYPES))}'.replace("'", '"'))
        return 1
    template: Template | None = None
    if args.format and args.format != "json":
        from app.cli.template import Template

        try:
            template = Template(args.format)
        except TemplateError as error:
            words(f"template parsing error: template: :1: {error}")
            return EXIT_TEMPLATE
    engine, found, problems = Engine(args.root), [], []
    for ref in args.words:
        try:
            found.append(engine.inspect(ref, kind, size=getattr(args, "size", False)))
        except NoSuchObject as error:
            problems.append(f"error: {error}")
        except StrataError as error:
            problems.append(f"Error: {error}")
    try:
        _write(found, template, args.format)
    except TemplateError as error:
        out("\n")
        problems.append(f"template parsing error: template: :1: {error}")
    for problem in problems:
        words(problem)
    return 1 if problems else 0


def _write(found: list[dict[str, Any]], template: Template | None, form: str) -> None:
    if template is not None:
        out("".join(template.execute(_typed(one)) + "\n" for one in found) or "\n")
        return
    import json

    if form == "json":
        out(json.dumps(found, separators=(",", ":"), ensure_ascii=False) + "\n")
    else:
        out((json.dumps(found, indent=4, ensure_ascii=False) if found else "[]") + "\n")


def _typed(value: Any, key: str = "") -> Any:
    """The same data with Go's maps and nils marked, for the template."""
    if isinstance(value, dict):
        inside = {name: _typed(item, name) for name, item in value.items()}
        return MapOfAny(inside) if key in MAPS else inside
    if value is None and key in (*MAPS, *LISTS):
        return NilMap() if key in MAPS else NilList()
    return [_typed(item) for item in value] if isinstance(value, list) else value
