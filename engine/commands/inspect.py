"""inspect: a container, an image or a layer as docker's fields (docs.docker.com/reference/api/engine).

Fields of what this engine does not do yet are left out rather than made up.
"""

from __future__ import annotations

from engine.errors import NoSuchContainer, NoSuchImage, NoSuchObject, NotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from engine.commands.context import Context
    from engine.store.containers import Container

NEVER = "0001-01-01T00:00:00Z"  # Go's zero time, which docker shows for "never"


def inspect(context: Context, ref: str, type: str | None = None, *, size: bool = False) -> dict[str, Any]:
    """type: "container", "image", "layer", or None: the first of these that `ref` names. size: measure a container.

    NoSuchContainer, NoSuchImage, NotFound for a given type; NoSuchObject when `ref` names nothing at all.
    """
    if type in (None, "container"):
        try:
            return _container(context, ref, size)
        except NoSuchContainer:
            if type:
                raise
    if type in (None, "image"):
        try:
            return _image(context, ref)
        except NoSuchImage:
            if type:
                raise
    try:
        return _layer(context, ref)
    except NotFound:
        if type:
            raise
        raise NoSuchObject(ref) from None


def _container(context: Context, ref: str, size: bool) -> dict[str, Any]:
    from engine.commands import confining
    from engine.commands.info import architecture
    from engine.commands.labels import apparmor_profile
    from engine.commands.limiting import host_config
    from engine.commands.living import health_document, health_state
    from engine.commands.lookup import container as find
    from engine.commands.surroundings import host_config as surroundings

    container = find(context, ref)
    own, state, store = container.config, container.state, context.store
    path = store.containers.path
    found: dict[str, Any] = {
        "Id": own.id,
        "Created": own.created,
        "Path": own.args[0] if own.args else "",
        "Args": list(own.args[1:]),
        "State": {
            "Status": state.status,
            "Running": state.running,
            "Paused": state.status == "paused",
            "Restarting": state.status == "restarting",
            "OOMKilled": state.oom_killed or _out_of_memory(context, container),
            "Dead": False,
            "Pid": state.pid if state.running else 0,
            "ExitCode": state.exit_code,
            "Error": state.error,
            "StartedAt": state.started or NEVER,
            "FinishedAt": state.finished or NEVER,
            **({"Health": health} if (health := health_state(context, container)) else {}),
        },
        "Image": own.image,
        "ResolvConfPath": path(own.id, "resolv.conf"),
        "HostnamePath": path(own.id, "hostname"),
        "HostsPath": path(own.id, "hosts"),
        "LogPath": "" if own.settings.log_driver == "none" else path(own.id, "log.json"),
        "Name": f"/{own.name}",
        "RestartCount": state.restarts,
        "Driver": "overlay2",
        "Platform": "linux",
        "AppArmorProfile": apparmor_profile(own.settings),
        "Architecture": architecture(),
        "ExecIDs": _execs(context, container),
        "HostConfig": {
            "LogConfig": {"Type": own.settings.log_driver or "json-file", "Config": dict(own.settings.log_opts)},
            "AutoRemove": own.auto_remove,
            **({"Init": True} if own.settings.init else {}),
            "RestartPolicy": {"Name": own.settings.restart or "no", "MaximumRetryCount": own.settings.restart_max},
            **host_config(own.settings.limits),
            **confining.host_config(own.settings),
            **surroundings(own.settings, own.ids),
        },
        "GraphDriver": _graph(context, own.id, own.layers),
        "Mounts": [],
        "Config": {
            "Hostname": own.hostname,
            "Domainname": "",
            "User": own.user,
            **{f"Attach{stream.capitalize()}": stream in own.attached for stream in ("stdin", "stdout", "stderr")},
            "Tty": own.tty,
            "OpenStdin": own.open_stdin,
            "StdinOnce": own.open_stdin and "stdin" in own.attached,
            "Env": list(own.env),
            "Cmd": list(own.cmd) or None,
            "Image": own.image_name,
            "Volumes": {name: {} for name in own.volumes} or None,
            "WorkingDir": own.cwd,
            "Entrypoint": list(own.entrypoint) or None,
            "ExposedPorts": {port: {} for port in own.exposed_ports} or None,
            "Labels": dict(own.labels),
            "StopSignal": own.stop_signal or "SIGTERM",
            **({"Healthcheck": check} if (check := health_document(own.settings.health)) else {}),
            **({"Shell": list(own.shell)} if own.shell else {}),
            **({"StopTimeout": own.stop_timeout} if own.stop_timeout is not None else {}),
        },
        "NetworkSettings": {
            "SandboxKey": f"/proc/{state.pid}/ns/net" if state.pid else "",
            "Ports": {},
            "IPAddress": "",
            "Networks": {},
        },
    }
    if size:
        found["SizeRw"] = store.layers.rw_size(own.id)
        found["SizeRootFs"] = found["SizeRw"] + store.layers.size(own.layers)
    return found


def _out_of_memory(context: Context, container: Container) -> bool:
    """Whether the kernel has killed a process of a running container for want of memory; the state tells it at the end
    only."""
    from engine.commands.processes import group_of

    if not container.state.pid:
        return False
    try:
        return bool(group_of(context, container).oom_kills())
    except FileNotFoundError:
        return False  # it ended meanwhile


def _execs(context: Context, container: Container) -> list[str] | None:
    """docker's ids of exec sessions; ours are named by the process's number outside, or None when there are none."""
    from engine.commands.monitors import monitor_of
    from engine.errors import NotRunning

    if not container.state.running:
        return None
    try:
        return [str(one["pid"]) for one in monitor_of(context, container).execs()] or None
    except NotRunning:
        return None  # it ended since


def _graph(context: Context, upper: str, lowers: tuple[str, ...]) -> dict[str, Any]:
    """Where the layers lie. The merged view is mounted in the container's own mount namespace only: seen from outside
    it is /proc/<pid>/root, and MergedDir is the mount point's name inside."""
    layers, path = context.store.layers, context.store.containers.path
    data = {
        "LowerDir": ":".join(layers.diff_path(layer) for layer in reversed(lowers)),
        "MergedDir": path(upper, "rootfs"),
        "UpperDir": layers.diff_path(upper),
        "WorkDir": context.store.path("layers", upper, "work"),
    }
    return {"Data": data, "Name": "overlay2"}


def _image(context: Context, ref: str) -> dict[str, Any]:
    from engine.commands.lookup import image as find
    from engine.commands.lookup import shown_names

    record = find(context, ref)
    own, layers = record.config, context.store.layers
    lowers = [layers.diff_path(layer) for layer in reversed(record.layers)]
    names = shown_names(record)
    return {
        "Id": record.id,
        "RepoTags": [name for name in names if "@" not in name],
        "RepoDigests": [name for name in names if "@" in name],
        "Parent": record.parent,
        "Comment": own.comment,
        "Created": own.created,
        "Author": own.author,
        "Config": {"Labels": None, **own.config},
        "Architecture": own.architecture,
        **({"Variant": own.variant} if own.variant else {}),
        "Os": own.os,
        "Size": record.size,
        "GraphDriver": {
            "Data": {
                **({"LowerDir": ":".join(lowers[1:])} if lowers[1:] else {}),
                **({"UpperDir": lowers[0]} if lowers else {}),
            },
            "Name": "overlay2",
        },
        "RootFS": {"Type": "layers", "Layers": list(own.diff_ids)},
        "Metadata": {"LastTagTime": NEVER},
    }


def _layer(context: Context, ref: str) -> dict[str, Any]:
    """One read-only layer: the sheet beside its files, its parent, and the images that stand on it."""
    from engine.commands.lookup import layer as find
    from engine.commands.lookup import users_of_layer

    record = find(context, ref)
    return {
        "Id": record.id,
        "Parent": record.parent or "",
        "DiffId": record.diff_id,
        "Created": record.created,
        "CreatedBy": record.created_by,
        "Size": record.size,
        "Entries": record.entries,
        "Images": list(users_of_layer(context, record.id)),
        "GraphDriver": {"Data": {"UpperDir": context.store.layers.diff_path(record.id)}, "Name": "overlay2"},
    }
