"""The actions that bring images in and send them out: pull, push, and a look at what is on its way."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from app.tui.doing import Doing
from engine.commands.summaries import ImageSummary

if TYPE_CHECKING:
    from app.tui.screens.transfer import PullChoice
    from app.tui.transfers import Transfer
    from engine.progress import Report


class MovingImages(Doing):
    """Acts for one Explorer."""

    _transfers: tuple[tuple[Transfer, str], ...] = ()  # with their commands, the newest last

    def do_pull(self) -> None:
        from app.tui.screens.dialog import command_line
        from app.tui.screens.transfer import PullScreen

        engine, objects = self.app.engine, self.app.session.objects
        names = [name for image in objects.images for name in image.names] if objects else []

        def chosen(choice: PullChoice | None) -> None:
            if choice is None:
                return

            def work(report: Report) -> tuple[str, str]:
                pulled = engine.pull(choice.name, platform=choice.platform, report=report)
                what = ", ".join(image.name or image.image[7:19] for image in pulled)
                news = "pulled" if any(image.fresh for image in pulled) else "up to date"
                return f"{news}: {what}", pulled[0].image if pulled else ""

            platform = ("--platform", choice.platform) if choice.platform else ()
            self._transfer(f"pulling {choice.name}", work, command_line(self.strata, "pull", *platform, choice.name))

        self.app.push_screen(PullScreen(names, strata=self.strata), chosen)

    def do_push(self) -> None:
        from app.tui.screens.dialog import command_line
        from app.tui.screens.transfer import PushScreen

        engine, about = self.app.engine, self.app.session.about
        if not isinstance(about, ImageSummary):
            return
        name = self.app.session.name

        def chosen(target: str | None) -> None:
            if target is None:
                return
            to = target if target != name else ""

            def work(report: Report) -> tuple[str, str]:
                pushed = engine.push(name, to, report=report)
                return f"pushed: {', '.join(image.name for image in pushed) or target}", ""

            words = command_line(self.strata, "push", name, *((to,) if to else ()))
            self._transfer(f"pushing {name}", work, words)

        self.app.push_screen(PushScreen(name, strata=self.strata), chosen)

    def do_transfers(self) -> None:
        """Show the newest transfer that runs again."""
        at_work = [(transfer, command) for transfer, command in self._transfers if not transfer.ended]
        self._transfers = tuple(at_work)
        if not at_work:
            self.app.notify("No image is on its way.", markup=False)
            return
        from app.tui.screens.transfer import TransferScreen

        self.app.push_screen(TransferScreen(*at_work[-1]))

    def _transfer(self, doing: str, work: Callable[[Report], tuple[str, str]], command: str) -> None:
        """Start it in a thread, and show its bars."""
        from app.tui.screens.transfer import TransferScreen
        from app.tui.transfers import Transfer

        transfer = Transfer(doing[:1].upper() + doing[1:])
        self._transfers = (*self._transfers, (transfer, command))

        def run() -> tuple[str, str]:
            try:
                return work(transfer.report)
            finally:
                transfer.ended = "ended"

        self.app.jobs.start(doing, run)
        self.app.showing.bars()
        self.app.push_screen(TransferScreen(transfer, command))
