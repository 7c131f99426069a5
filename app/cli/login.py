"""strata login: a registry's user name and password, checked and kept."""

from __future__ import annotations

import sys

from app.cli.output import out, words

TYPE_CHECKING = False
if TYPE_CHECKING:
    from app.cli.flags import Args, Parser


def add_arguments(parser: Parser) -> None:
    parser.describe(
        "[OPTIONS] [SERVER]",
        "Authenticate to a registry (docker.io if none is named).\nCredentials are kept where docker keeps them.",
        most=1,
    )
    parser.add_argument("-u", "--username", default="", help="Username")
    parser.add_argument("-p", "--password", default="", help="Password")
    parser.add_argument("--password-stdin", action="store_true", help="Take the password from stdin")


def run(args: Args) -> int:
    from engine.commands.login import login
    from engine.errors import InvalidInput

    name, password = args.username, args.password
    if password:
        words("WARNING! Using --password via the CLI is insecure. Use --password-stdin.")
        if args.password_stdin:
            raise InvalidInput("--password and --password-stdin are mutually exclusive")
    if args.password_stdin:
        if not name:
            raise InvalidInput("Must provide --username with --password-stdin")
        password = sys.stdin.readline().rstrip("\r\n")
    elif not (name and password):
        if not sys.stdin.isatty():
            raise InvalidInput("Cannot perform an interactive login from a non TTY device")
        import getpass

        name = name or input("Username: ").strip()
        password = password or getpass.getpass("Password: ")
    where = login(args.words[0] if args.words else "", name, password)
    if where.endswith("config.json"):
        words(f"WARNING! Your credentials are stored unencrypted in '{where}'.\nConfigure a credential helper there.")
    out("Login Succeeded\n")
    return 0
