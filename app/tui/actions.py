"""Everything that can be done, once: the keys, the footer, the help and the palette are made from this list."""

from __future__ import annotations

from dataclasses import dataclass

from textual.binding import Binding, BindingType


@dataclass(frozen=True, slots=True)
class Action:
    """One thing to do. id: of the method `do_<id>` that does it (dashes as underscores) and of its key binding.

    keys: as Textual names them; label: a word for the footer and the palette; help: a sentence; group: of the help;
    command: the equivalent command, {ref} for the selected object, "" for none; needs: what must be selected: "",
    "object", "container", "startable", "alive", "image"; footer: its place there, 0 = not there; pane: bound by the
    panes, not by the app.
    """

    id: str
    keys: tuple[str, ...]
    label: str
    help: str
    group: str
    command: str = ""
    needs: str = ""
    footer: int = 0
    pane: bool = False


LIFE, LOOK, MOVE, APP = "Containers and images", "What is shown", "Moving", "The explorer"

ACTIONS = (
    Action("run", ("r",), "run", "Make a container of an image and start it", LIFE, "strata run -d {image}", "", 1),
    Action("start", ("S",), "start", "Start a created or exited container", LIFE, "strata start {ref}", "startable", 2),
    Action(
        "pause", ("p",), "pause", "Freeze a running container, or let it go on", LIFE, "strata pause {ref}", "alive", 3
    ),
    Action("stop", ("s",), "stop", "SIGTERM, 10 s of grace, then SIGKILL", LIFE, "strata stop {ref}", "alive", 4),
    Action("kill", ("K",), "kill", "SIGKILL at once", LIFE, "strata kill {ref}", "alive", 5),
    Action("remove", ("D", "delete"), "remove", "Remove a container or an image", LIFE, "strata rm {ref}", "object", 6),
    Action("commit", ("c",), "commit", "Make an image of a container", LIFE, "strata commit {ref}", "container", 7),
    Action("pull", ("P",), "pull", "Bring an image in, from a registry or another place", LIFE, "strata pull NAME"),
    Action("push", ("U",), "push", "Send an image to a registry or another place", LIFE, "strata push {ref}", "image"),
    Action("transfers", ("t",), "transfers", "Images that are on their way, with a bar for each layer", LIFE),
    Action("diff", ("d",), "diff", "What a container changed", LOOK, "strata diff {ref}", "container", 8),
    Action(
        "inspect", ("i",), "inspect", "The sheet of a layer and its object", LOOK, "strata inspect {ref}", "object", 9
    ),
    Action(
        "logs", ("l",), "logs", "What a container wrote (in Files, l opens)", LOOK, "strata logs {ref}", "container", 10
    ),
    Action("merged", ("m",), "merged", "Files of the layers up to the selected one, merged", LOOK),
    Action("only", ("o",), "only", "Only what the selected layer has", LOOK),
    Action("hidden", ("full_stop",), "hidden", "Show or leave out whiteouts and shadowed entries", LOOK),
    Action("filter", ("slash",), "filter", "Only paths with this text in them", LOOK, footer=11),
    Action("layer-up", ("right_square_bracket",), "layer up", "Select the layer above", LOOK),
    Action("layer-down", ("left_square_bracket",), "layer down", "Select the layer below", LOOK),
    Action("zoom", ("z",), "zoom", "One pane on the whole screen, and back", LOOK, footer=12),
    Action("pane-0", ("0",), "list", "Go to the list of containers and images", MOVE),
    Action("pane-1", ("1",), "stack", "Go to the stack", MOVE),
    Action("pane-2", ("2",), "files", "Go to the files", MOVE),
    Action("pane-3", ("3",), "provenance", "Go to the provenance of the selected path", MOVE),
    Action("pane-4", ("4",), "under the hood", "Go to the real system calls of the last start", MOVE),
    Action("pane-5", ("5",), "details", "Go to logs, inspect and diff", MOVE),
    Action("next-pane", ("tab",), "next pane", "Go to the next pane", MOVE),
    Action("previous-pane", ("shift+tab",), "previous pane", "Go to the pane before", MOVE),
    Action("up", ("up", "k"), "up", "One up", MOVE, pane=True),
    Action("down", ("down", "j"), "down", "One down", MOVE, pane=True),
    Action(
        "close", ("left", "h"), "left", "Close a directory, or go to the one above; elsewhere scroll", MOVE, pane=True
    ),
    Action("open", ("right",), "right", "Open a directory; elsewhere scroll", MOVE, pane=True),
    Action(
        "choose",
        ("enter", "space"),
        "choose",
        "Open or close a directory; select an object or a layer",
        MOVE,
        pane=True,
    ),
    Action("first", ("g", "home"), "first", "To the first line", MOVE, pane=True),
    Action("last", ("G", "end"), "last", "To the last line", MOVE, pane=True),
    Action("half-down", ("ctrl+d", "pagedown"), "down half", "Half a page down", MOVE, pane=True),
    Action("half-up", ("ctrl+u", "pageup"), "up half", "Half a page up", MOVE, pane=True),
    Action("refresh", ("ctrl+r", "f5"), "refresh", "Read everything again", APP),
    Action("theme", ("T",), "light or dark", "Change between the light and the dark theme", APP),
    Action("palette", ("ctrl+p",), "palette", "Find an action by its name", APP),
    Action("help", ("question_mark", "f1"), "help", "All keys and what they do", APP, footer=13),
    Action("clear", ("escape",), "back", "End a zoom, then the filter", APP),
    Action("quit", ("q", "ctrl+q"), "quit", "Leave; containers go on", APP, footer=14),
)

BY_ID = {action.id: action for action in ACTIONS}
KEY_NAMES = {
    "full_stop": ".",
    "slash": "/",
    "right_square_bracket": "]",
    "left_square_bracket": "[",
    "question_mark": "?",
    "up": "↑",
    "down": "↓",
    "left": "←",
    "right": "→",
    "enter": "⏎",
    "ctrl+p": "^p",
    "ctrl+r": "^r",
    "ctrl+d": "^d",
    "ctrl+u": "^u",
    "ctrl+q": "^q",
    "pagedown": "PgDn",
    "pageup": "PgUp",
    "escape": "esc",
    "shift+tab": "S-tab",
}


def key_names(action: Action) -> str:
    """The keys of an action for people: "↑ k"."""
    return " ".join(KEY_NAMES.get(key, key) for key in action.keys)


def bindings(pane: bool) -> list[BindingType]:
    """The key bindings of the panes or of the app; each has its action's id, so that a keymap can change it."""
    verb = "pane" if pane else "act"
    return [
        Binding(",".join(action.keys), f"{verb}('{action.id}')", action.label, id=action.id, show=False)
        for action in ACTIONS
        if action.pane == pane
    ]


def allowed(action: Action, kind: str, status: str) -> bool:
    """Whether an action can be done with what is selected. kind: "container", "image" or ""; status: a container's."""
    alive = kind == "container" and status in ("running", "paused")
    return {
        "": True,
        "object": bool(kind),
        "image": kind == "image",
        "container": kind == "container",
        "alive": alive,
        "startable": kind == "container" and not alive,
    }[action.needs]
