"""What the actions on containers and images do: `do_<id>`. What touches the engine runs as a job, in a thread."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from typing import TYPE_CHECKING

from app.tui.model import loss
from app.tui.paint import files, size
from app.tui.viewing import Viewing
from engine.commands.context import default_root
from engine.commands.options import CreateOptions
from engine.commands.summaries import ContainerSummary, ImageSummary

if TYPE_CHECKING:
    from app.tui.screens.commit import CommitChoice
    from app.tui.screens.run import RunChoice


class Doing(Viewing):
    """Acts for one Explorer. Dialogs are imported when they open: the first frame does not wait for them."""

    @property
    def strata(self) -> str:
        """How the program is called in the equivalent commands."""
        root = self.app.engine.root
        return "strata" if root == default_root() else f"strata --root {shlex.quote(root)}"

    def fail(self, title: str, error: str) -> None:
        """Show an error whole."""
        from app.tui.screens.error import ErrorScreen

        self.app.push_screen(ErrorScreen(title, error))

    # Containers and images.

    def do_run(self) -> None:
        from app.tui.screens.run import RunScreen

        session = self.app.session
        images = [name for image in session.objects.images for name in image.names] if session.objects else []
        about = session.about
        image = about.image if isinstance(about, ContainerSummary) else session.name
        engine = self.app.engine

        def chosen(choice: RunChoice | None) -> None:
            if choice is None:
                return

            def work() -> tuple[str, str]:
                options = CreateOptions(name=choice.name, command=choice.command)
                identity = engine.create(choice.image, options)
                try:
                    engine.start(identity)
                finally:
                    session.wanted = identity  # one that cannot start stays, as `created`: show it
                return "", identity

            self.app.jobs.start(f"running {choice.image}", work)

        self.app.push_screen(RunScreen(images, image or (images[0] if images else ""), strata=self.strata), chosen)

    def do_start(self) -> None:
        self._on_container("starting", self.app.engine.start)

    def do_pause(self) -> None:
        engine = self.app.engine
        if self.app.session.status == "paused":
            self._on_container("thawing", engine.unpause)
        else:
            self._on_container("freezing", engine.pause)

    def do_stop(self) -> None:
        stop, shown = self.app.engine.stop, self.app.session.shown
        if shown is not None and shown.auto_remove:
            loses = [f"the container, which removes itself, and its read-write layer: {self._loss()}"]
            self._ask(f"Stop {self.app.session.name}?", loses, "stop", "Stop it", stop)
        else:
            self._on_container("stopping", stop)

    def do_kill(self) -> None:
        live = self.app.session.live
        running = [f"process {one.pid} {one.name}" for one in live.processes] if live else []
        loses = [*(running or ["its processes"]), "whatever they have not written yet"]
        self._ask(f"Kill {self.app.session.name}?", loses, "kill", "Kill it", self.app.engine.kill)

    def do_remove(self) -> None:
        about = self.app.session.about
        if isinstance(about, ImageSummary):
            self._remove_image(about)
            return
        if about is None:
            return
        engine = self.app.engine
        loses = [f"the read-write layer: {self._loss()}", "its logs and its settings"]
        force = about.running
        if force:
            live = self.app.session.live
            names = ", ".join(one.name for one in live.processes) if live else ""
            loses.insert(0, f"its running processes, killed: {names}" if names else "its running processes, killed")
        command = "rm -f" if force else "rm"
        self._ask(f"Remove {about.name}?", loses, command, "Remove it", lambda ref: engine.remove(ref, force=force))

    def _remove_image(self, image: ImageSummary) -> None:
        shown = self.app.session.shown
        name = self.app.session.name
        if len(image.names) > 1:
            others = ", ".join(image.names[1:])
            loses = [f"the name {name} (the image keeps {others})"]
        else:
            loses = [f"the image {name}"]
            for layer in reversed(shown.layers) if shown else ():
                if set(layer.about.shared_by) <= {*image.names, image.id.removeprefix("sha256:")[:12]}:
                    count = sum(1 for entry in layer.entries if entry.kind not in "dw")
                    what = f"{files(count)}, {size(layer.about.size)}"
                    loses.append(f"read-only layer {layer.about.id[:12]}: {what}, unless something else needs it")
        self._ask(f"Remove {name}?", loses, "rmi", "Remove it", lambda ref: self.app.engine.remove_image(name))

    def do_commit(self) -> None:
        from app.tui.screens.commit import CommitScreen

        engine, about = self.app.engine, self.app.session.about
        if about is None:
            return

        def chosen(choice: CommitChoice | None) -> None:
            if choice is None:
                return

            def work() -> tuple[str, str]:
                image = engine.commit(about.id, choice.name or None, message=choice.message)
                return f"committed: image {choice.name or image.removeprefix('sha256:')[:12]}", ""

            self.app.jobs.start("committing", work)

        self.app.push_screen(CommitScreen(self.app.session.name, strata=self.strata), chosen)

    def _loss(self) -> str:
        shown = self.app.session.shown
        return loss(shown.layers) if shown else "not read yet"

    def _on_container(self, doing: str, do: Callable[[str], object]) -> None:
        about = self.app.session.about
        if about is None:
            return
        identity, name = about.id, self.app.session.name

        def work() -> tuple[str, str]:
            do(identity)
            return "", ""

        self.app.jobs.start(f"{doing} {name}", work)
        self.app.showing.bars()

    def _ask(self, title: str, loses: list[str], verb: str, yes: str, do: Callable[[str], object]) -> None:
        """Ask before something is lost; then do it to what was selected when the question was asked."""
        from app.tui.screens.confirm import ConfirmScreen

        about = self.app.session.about
        if about is None:
            return
        identity, name = about.id, self.app.session.name

        def answered(sure: bool | None) -> None:
            if not sure:
                return

            def work() -> tuple[str, str]:
                do(identity)
                return "", ""

            self.app.jobs.start(f"{title.split()[0].lower()} {name}", work)
            self.app.showing.bars()

        command = f"{self.strata} {verb} {shlex.quote(name)}"
        self.app.push_screen(ConfirmScreen(title, loses, command, yes=yes), answered)
