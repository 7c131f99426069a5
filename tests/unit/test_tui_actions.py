"""The registry of actions is one: every key means one thing, every equivalent command is one that `strata` has."""

from __future__ import annotations

from collections import Counter

import pytest

from app.cli.catalog import COMMANDS
from app.tui.actions import ACTIONS, BY_ID, Action, allowed, key_names

# What the issue asks for, by the keys of SCREENS.md.
ASKED = {
    "run": "r",
    "pause": "p",
    "stop": "s",
    "kill": "K",
    "remove": "D",
    "commit": "c",
    "diff": "d",
    "inspect": "i",
    "logs": "l",
    "help": "question_mark",
    "palette": "ctrl+p",
    "filter": "slash",
    "zoom": "z",
    "merged": "m",
    "only": "o",
    "quit": "q",
    "layer-up": "right_square_bracket",
    "layer-down": "left_square_bracket",
    **{f"pane-{number}": str(number) for number in range(1, 6)},
    "next-pane": "tab",
}


def test_every_action_has_an_id_of_its_own() -> None:
    assert len(BY_ID) == len(ACTIONS)


@pytest.mark.parametrize(("action", "key"), ASKED.items())
def test_the_keys_are_those_of_the_specification(action: str, key: str) -> None:
    assert key in BY_ID[action].keys


def test_a_key_means_one_thing() -> None:
    for pane in (True, False):
        keys = Counter(key for action in ACTIONS if action.pane == pane for key in action.keys)
        assert not [key for key, count in keys.items() if count > 1]


def test_a_pane_takes_no_key_from_the_app() -> None:
    panes = {key for action in ACTIONS if action.pane for key in action.keys}
    app = {key for action in ACTIONS if not action.pane for key in action.keys}
    assert not panes & app


@pytest.mark.parametrize("action", ACTIONS, ids=lambda action: action.id)
def test_an_action_explains_itself(action: Action) -> None:
    assert action.label and len(action.help.split()) > 1 and key_names(action).strip()
    if action.command:
        program, verb, *_ = action.command.split()
        assert program == "strata" and verb in COMMANDS


@pytest.mark.parametrize(
    ("action", "kind", "status", "can"),
    [
        ("pause", "container", "running", True),
        ("pause", "container", "paused", True),
        ("pause", "container", "exited", False),
        ("pause", "image", "", False),
        ("start", "container", "created", True),
        ("start", "container", "exited", True),
        ("start", "container", "running", False),
        ("commit", "container", "exited", True),
        ("commit", "image", "", False),
        ("remove", "image", "", True),
        ("remove", "", "", False),
        ("help", "", "", True),
    ],
)
def test_what_can_be_done_with_what(action: str, kind: str, status: str, can: bool) -> None:
    assert allowed(BY_ID[action], kind, status) is can
