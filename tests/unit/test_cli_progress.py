"""The bars of a transfer, as a terminal shows them: its escapes are carried out by a small screen, over a real pty."""

from __future__ import annotations

import io
import os
import pty
import re
import termios
import threading
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.cli import progress as module
from app.cli.progress import Bars, line, picture
from engine.kernel.terminals import set_size
from engine.progress import DONE, Progress
from tests.support.waiting import until

ID = "0123456789ab"
TOKEN = re.compile(r"\x1b\[(\d*)([A-Za-z])|[^\x1b]|\x1b")


class Screen:
    """What a terminal shows of what is written to it. Lines that become too long are broken, as most terminals do."""

    def __init__(self, columns: int, lines: int) -> None:
        self.columns, self.lines = columns, lines
        self.rows = [""]  # all that ever scrolled by, then the screen
        self.row = self.column = 0

    @property
    def top(self) -> int:
        return max(0, len(self.rows) - self.lines)

    def write(self, text: str) -> None:
        for match in TOKEN.finditer(text):
            count, letter = match[1], match[2]
            if letter == "A":
                self.row = max(self.top, self.row - int(count or 1))
            elif letter == "K":
                self.rows[self.row] = self.rows[self.row][: self.column]
            elif letter == "J":
                self.rows[self.row] = self.rows[self.row][: self.column]
                del self.rows[self.row + 1 :]
            elif letter is not None or match[0] == "\x1b":
                raise AssertionError(f"an escape that nobody needs: {match[0]!r}")
            elif match[0] == "\r":
                self.column = 0
            elif match[0] == "\n":
                self.row, self.column = self.row + 1, 0
                if self.row == len(self.rows):
                    self.rows.append("")
            else:
                assert match[0].isprintable(), repr(match[0])
                if self.column == self.columns:
                    self.write("\n")
                old = self.rows[self.row].ljust(self.column)
                self.rows[self.row] = old[: self.column] + match[0] + old[self.column + 1 :]
                self.column += 1

    def narrow(self, columns: int) -> None:
        """The window is made narrower while the cursor is at the start of a line below all others."""
        self.rows = [row[at : at + columns] for row in self.rows for at in range(0, max(1, len(row)), columns)]
        self.columns, self.row = columns, len(self.rows) - 1

    @property
    def text(self) -> list[str]:
        return [row.rstrip() for row in self.rows]


class Terminal:
    """A pty that is read all the time, and what it shows."""

    def __init__(self, columns: int, lines: int) -> None:
        self.master, slave = pty.openpty()
        self.file = os.fdopen(slave, "w")
        self.resize(columns, lines)
        self.screen = Screen(columns, lines)
        self.written = ""
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        while True:
            try:
                data = os.read(self.master, 65536).decode()
            except OSError:  # nobody has it open any more
                return
            self.written += data
            self.screen.write(data)

    def resize(self, columns: int, lines: int) -> None:
        set_size(self.file.fileno(), lines, columns)

    def close(self) -> list[str]:
        """Close it; what it shows at the end."""
        if not self.file.closed:
            self.file.close()
            self._thread.join()
            os.close(self.master)
        return self.screen.text


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[Terminal]:
    opened = Terminal(60, 10)
    monkeypatch.setattr(module, "sys", SimpleNamespace(stdout=opened.file))  # pytest sets its own back
    monkeypatch.setenv("TERM", "xterm")
    yield opened
    opened.close()


def name(number: int) -> str:
    return f"{number:012x}"


def test_a_line_is_dockers() -> None:
    def bar(current: int, total: int, columns: int = 80) -> str:
        return line(Progress(ID, "Downloading", current, total), columns)

    assert bar(0, 45_000_000, 100) == f"{ID}: Downloading [>{' ' * 49}]     0B/45MB"
    assert bar(22_500_000, 45_000_000, 60) == f"{ID}: Downloading [=========>         ] 22.5MB/45MB"
    assert bar(45_000_000, 45_000_000, 60) == f"{ID}: Downloading [===================]   45MB/45MB"
    assert bar(50, 45, 60).endswith("]    45B/45B")
    assert bar(12_345_678, 45_000_000, 40) == f"{ID}: Downloading 12.3MB/45MB"
    assert bar(12_345_678, 45_000_000, 20) == f"{ID}:  27%"
    assert line(Progress(ID, "Pull complete", 5, 5), 80) == f"{ID}: Pull complete"
    assert line(Progress(ID, "Waiting"), 20) == f"{ID}: Wait…"
    assert line(Progress(ID, "Mounted from \x1b[2J\u202e"), 80) == f"{ID}: Mounted from \\x1b[2J\\u202e"


rows = st.lists(
    st.builds(
        Progress,
        st.integers(0, 1 << 47).map(name),
        st.sampled_from([*DONE, "Downloading", "Waiting", "Extracting", "Pulling fs layer", "a\nb\x1b[A"]),
        st.integers(-1, 1 << 62),
        st.integers(-1, 1 << 62),
    ),
    max_size=40,
)


@given(rows, st.integers(20, 300), st.integers(1, 60))
def test_a_picture_keeps_within_its_bounds(rows: list[Progress], columns: int, lines: int) -> None:
    shown = picture(rows, columns, lines)
    assert len(shown) == min(len(rows), lines) or (len(shown) < len(rows) and len(shown) <= lines)
    assert all(text.isprintable() and len(text) < columns for text in shown)


def test_with_too_many_layers_those_at_work_are_shown() -> None:
    rows = [Progress(name(n), "Pull complete") for n in range(10)]
    rows += [Progress(name(n), "Downloading", 1, 2) for n in range(10, 13)]
    rows += [Progress(name(n), "Waiting") for n in range(13, 30)]
    shown = picture(rows, 60, 5)
    assert [text[:12] for text in shown[:4]] == [name(10), name(11), name(12), name(13)]
    assert shown[4] == "30 layers: 10 done, 3 at work, 17 waiting"
    assert picture(rows, 20, 5)[4] == "10/30 layers"


def test_off_a_terminal_there_is_a_line_for_each_change_of_action(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.StringIO()
    monkeypatch.setattr("sys.stdout", out)
    with Bars() as bars:
        bars.report(Progress("", "latest: Pulling from library/demo"))
        for number in range(1000):
            bars.report(Progress(ID, "Downloading", number, 1000))
        bars.report(Progress(ID, "Pull complete", 1000, 1000))
        bars.report(Progress("", "Digest: \x1b[31m"))
    assert out.getvalue() == (
        f"latest: Pulling from library/demo\n{ID}: Downloading\n{ID}: Pull complete\nDigest: \\x1b[31m\n"
    )


@pytest.mark.parametrize("options", [{"quiet": True}, {"lines": False}])
def test_quiet_says_nothing(monkeypatch: pytest.MonkeyPatch, options: dict[str, bool]) -> None:
    out = io.StringIO()
    monkeypatch.setattr("sys.stdout", out)
    with Bars(**options) as bars:
        bars.report(Progress("", "latest: Pulling from library/demo"))
        bars.report(Progress(ID, "Downloading", 1, 2))
    assert out.getvalue() == ""


def test_a_quiet_terminal_and_a_dumb_one(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    with Bars(quiet=True) as bars:
        bars.report(Progress(ID, "Waiting"))
    monkeypatch.setenv("TERM", "dumb")
    with Bars() as bars:
        bars.report(Progress(ID, "Downloading", 1, 2))
        bars.report(Progress(ID, "Pull complete", 2, 2))
    assert terminal.close() == [f"{ID}: Downloading", f"{ID}: Pull complete", ""]
    assert "\x1b" not in terminal.written


def test_bars_are_redrawn_in_their_place(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "INTERVAL", 0.001)
    with Bars() as bars:
        bars.report(Progress("", "latest: Pulling from library/demo"))
        for step in range(101):
            for number in range(3):
                bars.report(Progress(name(number), "Downloading", step, 100))
            until(lambda: f" {step}B/100B" in "".join(terminal.screen.text[3:4]))  # noqa: B023
            assert len(terminal.screen.rows) == 5
        for number in range(3):
            bars.report(Progress(name(number), "Pull complete", 100, 100))
        bars.report(Progress("", "Digest: sha256:x"))
    done = [f"{name(number)}: Pull complete" for number in range(3)]
    assert terminal.close() == ["latest: Pulling from library/demo", *done, "Digest: sha256:x", ""]


def test_more_layers_than_lines_and_all_of_them_at_the_end(terminal: Terminal) -> None:
    with Bars() as bars:
        for number in range(30):
            bars.report(Progress(name(number), "Waiting"))
        until(lambda: "30 layers: 0 done" in "\n".join(terminal.screen.text))
        for number in range(15):
            bars.report(Progress(name(number), "Pull complete"))
        bars.report(Progress(name(20), "Downloading", 1, 2))
        until(lambda: "30 layers: 15 done, 1 at work" in "\n".join(terminal.screen.text))
        assert len(terminal.screen.rows) <= 10
    text = terminal.close()
    assert [row[:12] for row in text] == [*map(name, range(30)), ""]
    assert text[20].startswith(f"{name(20)}: Downloading [")


def test_a_window_made_narrower_breaks_no_line_twice(terminal: Terminal) -> None:
    with Bars() as bars:
        for number in range(3):
            bars.report(Progress(name(number), "Downloading", 50, 100))
        until(lambda: len(terminal.screen.rows) == 4)
        with bars._pen:  # not while a picture is on its way
            until(lambda: terminal.screen.rows[-1] == "")
            terminal.resize(30, 10)
            terminal.screen.narrow(30)
        assert len(terminal.screen.rows) == 7
        bars.report(Progress(name(0), "Downloading", 51, 100))
        until(lambda: len(terminal.screen.rows) == 4)
    assert terminal.close() == [f"{name(0)}:  51%", f"{name(1)}:  50%", f"{name(2)}:  50%", ""]


def test_words_stand_above_what_moves_and_below_what_ended(terminal: Terminal) -> None:
    with Bars() as bars:
        bars.report(Progress(name(0), "Downloading", 1, 2))
        bars.report(Progress("", "Retrying in 1 second"))
        bars.report(Progress(name(0), "Pull complete"))
        bars.report(Progress("", "Digest: one"))
        bars.report(Progress("", "2: Pulling from demo"))
        bars.report(Progress(name(0), "Already exists"))
        bars.report(Progress(name(1), "Pull complete"))
        bars.report(Progress("", "Digest: two"))
    assert terminal.close() == [
        "Retrying in 1 second",
        f"{name(0)}: Pull complete",
        "Digest: one",
        "2: Pulling from demo",
        f"{name(0)}: Already exists",
        f"{name(1)}: Pull complete",
        "Digest: two",
        "",
    ]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_leaves_the_last_state_and_the_cursor_below(terminal: Terminal, error: type[BaseException]) -> None:
    def fail() -> None:
        with Bars() as bars:
            bars.report(Progress(name(0), "Pull complete"))
            bars.report(Progress(name(1), "Downloading", 1, 4))
            raise error

    with pytest.raises(error):
        fail()
    print("Error: so it ended", file=terminal.file)
    first, second, *rest = terminal.close()
    assert first == f"{name(0)}: Pull complete" and second.endswith("]     1B/4B")
    assert rest == ["Error: so it ended", ""]


def test_many_threads_and_few_pictures(terminal: Terminal) -> None:
    def work(number: int) -> None:
        for step in range(2000):
            bars.report(Progress(name(number), "Downloading", step, 2000))
        bars.report(Progress(name(number), "Pull complete"))

    with Bars() as bars:
        threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    text = terminal.close()
    assert sorted(text[:-1]) == [f"{name(number)}: Pull complete" for number in range(8)]
    assert terminal.written.count("\n") < 8 * 2000


def test_a_stopped_terminal_holds_nobody_up(terminal: Terminal) -> None:
    def work() -> None:
        for step in range(1001):
            bars.report(Progress(ID, "Downloading", step, 1000))

    with Bars() as bars:
        bars.report(Progress(ID, "Waiting"))
        until(lambda: ID in terminal.written)
        termios.tcflow(terminal.file.fileno(), termios.TCOOFF)  # ctrl-s
        try:
            bars.report(Progress(ID, "Downloading", 0, 1000))
            until(bars._pen.locked)
            worker = threading.Thread(target=work)
            worker.start()
            worker.join(20)
            assert not worker.is_alive() and bars._pen.locked()
        finally:
            termios.tcflow(terminal.file.fileno(), termios.TCOON)
    assert terminal.close()[0].endswith("]    1kB/1kB")


def test_no_colour_is_ever_used(terminal: Terminal) -> None:
    with Bars() as bars:
        bars.report(Progress(ID, "Downloading", 1, 2))
    terminal.close()
    assert set(re.findall(r"\x1b\[\d*(.)", terminal.written)) <= set("AKJ")
