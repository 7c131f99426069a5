"""The image that run and create need and do not find: pulled, with the progress among the words."""

from __future__ import annotations

from app.cli.output import words
from engine.errors import InvalidInput, NoSuchImage, StrataError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from app.cli.flags import Args
    from engine.engine import Engine


class OtherPlatform(NoSuchImage):
    """An image of the name is here, but for other machines than asked for."""

    def __init__(self, reference: str, message: str) -> None:
        StrataError.__init__(self, message)
        self.reference = reference


def pull(engine: Engine, image: str, args: Args) -> None:
    """Pull it from its registry, as --platform and --quiet say. InvalidInput when the name cannot be one."""
    from app.cli.progress import Bars
    from app.cli.pull import status
    from engine.oci.references import parse_reference

    name = str(parse_reference(image))  # the whole: here `podman:1` is an image, never a place to take one from
    with Bars(words=True, quiet=args.quiet) as bars:
        pulled = engine.pull(name, platform=args.platform, report=bars.report)
    if not args.quiet:
        for one in pulled:
            words(status(one.fresh, one.name).rstrip())


def pull_missing(engine: Engine, image: str, args: Args, error: NoSuchImage) -> None:
    """Pull it unless --pull forbids that, or it is no name but an id: then the error, in docker's words."""
    from engine.oci.digests import is_hex_id

    if args.pull != "missing" or is_hex_id(image.removeprefix("sha256:")):
        raise error if isinstance(error, OtherPlatform) else NoSuchImage(tagged(image)) from None
    if not args.quiet:
        words(f"Unable to find image '{tagged(image)}' locally")
    pull(engine, image, args)


def check_platform(engine: Engine, image: str, platform: str) -> None:
    """NoSuchImage; OtherPlatform when the image that is here is not of the platform that is asked for."""
    from engine.oci.platforms import fits, parse_platform, platform_text

    config = engine.image(image).config
    own, wanted = (config.os, config.architecture, config.variant), parse_platform(platform)
    if not fits(own, wanted):
        raise OtherPlatform(
            image,
            f"image with reference {image} was found but its platform ({platform_text(own)}) does not match the "
            f"specified platform ({platform_text(wanted)})",
        )


def tagged(image: str) -> str:
    """An image's name with the tag that it means ("demo:latest"), for "Unable to find image"."""
    from engine.oci.references import parse_reference

    try:
        return parse_reference(image).familiar()
    except InvalidInput:
        return image
