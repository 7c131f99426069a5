"""Every command: its words, the file that does it, what it is for in one line. Importing this imports none of them."""

from __future__ import annotations

COMMON = ("run", "exec", "ps", "images", "pull", "push", "login", "logout", "version", "info", "demo")

# Word at the top level → (module in app.cli, one line).
COMMANDS: dict[str, tuple[str, str]] = {
    "attach": ("attach", "Attach local standard input, output, and error streams to a running container"),
    "commit": ("commit", "Create a new image from a container's changes"),
    "completion": ("completion", "Print a script that makes a shell complete verbs, flags and names"),
    "cp": ("cp", "Copy files/folders between a container and the local filesystem"),
    "create": ("create", "Create a new container"),
    "demo": ("demo", "Make a demo image and container from this machine's files and explore them"),
    "diff": ("diff", "Inspect changes to files or directories on a container's filesystem"),
    "events": ("events", "Get real time events from the engine"),
    "exec": ("exec", "Execute a command in a running container"),
    "export": ("export", "Export a container's filesystem as a tar archive"),
    "history": ("history", "Show the history of an image"),
    "images": ("images", "List images"),
    "import": ("import_image", "Import the contents from a tarball to create a filesystem image"),
    "info": ("info", "Display system-wide information"),
    "inspect": ("inspect", "Return low-level information on containers, images and layers"),
    "kill": ("kill", "Kill one or more running containers"),
    "load": ("load", "Load an image from a tar archive or STDIN"),
    "login": ("login", "Authenticate to a registry"),
    "logout": ("logout", "Log out from a registry"),
    "logs": ("logs", "Fetch the logs of a container"),
    "pause": ("pause", "Pause all processes within one or more containers"),
    "port": ("port", "List port mappings or a specific mapping for the container"),
    "ps": ("ps", "List containers"),
    "pull": ("pull", "Download an image from a registry, or take it from another engine or an archive"),
    "push": ("push", "Upload an image to a registry, or give it to another engine or an archive"),
    "rename": ("rename", "Rename a container"),
    "restart": ("restart", "Restart one or more containers"),
    "rm": ("rm", "Remove one or more containers"),
    "rmi": ("rmi", "Remove one or more images"),
    "run": ("run", "Create and run a new container from an image"),
    "save": ("save", "Save one or more images to a tar archive (streamed to STDOUT by default)"),
    "start": ("start", "Start one or more stopped containers"),
    "stats": ("stats", "Display a live stream of container(s) resource usage statistics"),
    "stop": ("stop", "Stop one or more running containers"),
    "tag": ("tag", "Create a tag TARGET_IMAGE that refers to SOURCE_IMAGE"),
    "top": ("top", "Display the running processes of a container"),
    "unpause": ("unpause", "Unpause all processes within one or more containers"),
    "update": ("update", "Update configuration of one or more containers"),
    "version": ("version", "Show the Strata version information"),
    "wait": ("wait", "Block until one or more containers stop, then print their exit codes"),
}

# Commands at the top level that look at no store.
WITHOUT_STORE = ("completion", "login", "logout", "version")

# Words that are known inside a group only → (module in app.cli, one line).
INSIDE: dict[str, tuple[str, str]] = {
    "container prune": ("container_prune", "Remove all stopped containers"),
    "image prune": ("image_prune", "Remove unused images"),
    "system check": ("system_check", "Check that the store is whole, and mend it"),
    "system df": ("system_df", "Show disk usage"),
    "system restart": ("system_restart", "Start what a reboot ended and restart policies want to run"),
    "system prune": ("system_prune", "Remove unused data"),
}

# Group → what it is for, and its words: word → the command at the top level that does the same.
GROUPS: dict[str, tuple[str, dict[str, str]]] = {
    "container": (
        "Manage containers",
        {
            **{word: word for word in ("attach", "commit", "cp", "create", "diff", "exec", "export", "inspect")},
            **{word: word for word in ("kill", "logs", "pause", "port", "rename", "restart", "rm", "run", "start")},
            **{word: word for word in ("stats", "stop", "top", "unpause", "update", "wait")},
            "ls": "ps",
            "prune": "container prune",
        },
    ),
    "image": (
        "Manage images",
        {
            **{word: word for word in ("history", "import", "inspect", "load", "pull", "push", "save", "tag")},
            "ls": "images",
            "prune": "image prune",
            "rm": "rmi",
        },
    ),
    "system": (
        "Manage Strata",
        {
            "check": "system check",
            "df": "system df",
            **{word: word for word in ("events", "info")},
            "prune": "system prune",
            "restart": "system restart",
        },
    ),
}

# Other words for the same, inside a group.
SYNONYMS = {
    "container": {"list": "ls", "ps": "ls", "remove": "rm"},
    "image": {"list": "ls", "remove": "rm"},
    "system": {},
}

# One line where a group's own word says less than the top level's.
LINES = {
    ("container", "inspect"): "Display detailed information on one or more containers",
    ("image", "inspect"): "Display detailed information on one or more images",
}


def line_of(group: str, word: str) -> str:
    """What a group's word is for, in one line."""
    return LINES.get((group, word)) or described(GROUPS[group][1][word])[1]


def described(command: str) -> tuple[str, str]:
    """A command's module and its line."""
    return COMMANDS.get(command) or INSIDE[command]


def spellings(command: str) -> list[str]:
    """Every way to write a command, for its help: "strata container ls", …, "strata ps"."""
    found = []
    for group, (_, words) in GROUPS.items():
        if group in ("container", "image") and command == "inspect":
            continue  # these ask for one type only: not the same command
        for word, target in words.items():
            if target == command:
                others = [other for other, same in SYNONYMS[group].items() if same == word]
                found += [f"strata {group} {name}" for name in (word, *sorted(others))]
    return [*found, f"strata {command}"] if found and command in COMMANDS else []
