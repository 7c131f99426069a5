"""What commands note in the journal of events, with docker's attributes; monitors note the rest (`Container.tell`)."""

from __future__ import annotations

from engine.runtime.journal import tell

TYPE_CHECKING = False
if TYPE_CHECKING:
    from engine.commands.context import Context
    from engine.store.container import ContainerConfig


def container_event(context: Context, config: ContainerConfig, action: str, **attributes: str) -> None:
    """Note what happened to a container; its labels, image and name go with it."""
    about = {**config.labels, "image": config.image_name, "name": config.name, **attributes}
    tell(context.root, "container", action, config.id, about)


def image_event(context: Context, action: str, image: str, name: str = "", **attributes: str) -> None:
    """Note what happened to an image. image: its id, or of pull and push the name; name: "" = the same."""
    tell(context.root, "image", action, image, {"name": name or image, **attributes})
