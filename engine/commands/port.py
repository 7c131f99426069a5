"""port: where a container's ports are published."""

from __future__ import annotations

from engine.errors import InvalidInput, NotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from engine.commands.context import Context


def ports(context: Context, ref: str) -> list[tuple[str, str]]:
    """("80/tcp", "0.0.0.0:8080") of every published port, by number. NoSuchContainer."""
    from engine.commands.inspect import inspect

    published = inspect(context, ref, "container")["NetworkSettings"]["Ports"]
    found = [
        (port, _address(place["HostIp"], place["HostPort"]))
        for port, places in published.items()
        for place in places or ()
    ]
    return sorted(found, key=lambda row: (int(row[0].partition("/")[0]), row))


def published(context: Context, ref: str, port: str) -> list[str]:
    """Where one port ("80", "80/udp") is published. NotFound when it is not, InvalidInput for what is no port."""
    number, _, protocol = port.partition("/")
    if not (number.isascii() and number.isdecimal() and int(number) < 65536):
        raise InvalidInput(f"invalid port ({number})")
    wanted = f"{int(number)}/{protocol or 'tcp'}"
    found = [place for name, place in ports(context, ref) if name == wanted]
    if not found:
        raise NotFound(f"No public port '{port}' published for {ref}")
    return found


def _address(host: str, port: str) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
