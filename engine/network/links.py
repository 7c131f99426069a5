"""The network links and addresses in a process's network namespace, asked of the kernel by netlink (pyroute2).

pyroute2 is imported here and only when this is called: it takes a third of a second. The question is asked in a thread
of its own that enters the namespace (setns(2) moves one thread) and ends there, so that nothing has to fork: the
explorer, which calls this, has threads.
"""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass

from engine.kernel.namespaces import CLONE_NEWNET, setns


@dataclass(frozen=True, slots=True)
class Link:
    """One network link. addresses: with prefix length ("127.0.0.1/8"); hardware: "" for one without; up: IFF_UP."""

    index: int
    name: str
    kind: str
    up: bool
    mtu: int
    hardware: str
    addresses: tuple[str, ...]


IFF_UP = 1


def links_of(pid: int) -> list[Link]:
    """The links of the network namespace of this process, by index. FileNotFoundError when the process is gone."""
    found: list[Link] = []
    problems: list[BaseException] = []
    namespace = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)

    def ask() -> None:
        try:
            setns(namespace, CLONE_NEWNET)
            found.extend(_links_here())
        except BaseException as problem:  # carried to the caller's thread, whole
            problems.append(problem)

    try:
        thread = threading.Thread(target=ask, name="strata-links")
        thread.start()
        thread.join()
    finally:
        os.close(namespace)
    if problems:
        raise problems[0]
    return found


def _links_here() -> list[Link]:
    from pyroute2 import IPRoute

    with IPRoute() as route:
        addresses: dict[int, list[str]] = {}
        for address in route.get_addr():
            text = address.get_attr("IFA_LOCAL") or address.get_attr("IFA_ADDRESS")
            addresses.setdefault(address["index"], []).append(f"{text}/{address['prefixlen']}")
        found = []
        for link in route.get_links():
            info = link.get_attr("IFLA_LINKINFO")
            hardware = link.get_attr("IFLA_ADDRESS") or ""
            found.append(
                Link(
                    index=link["index"],
                    name=link.get_attr("IFLA_IFNAME"),
                    kind=(info.get_attr("IFLA_INFO_KIND") if info else "") or "loopback",
                    up=bool(link["flags"] & IFF_UP),
                    mtu=link.get_attr("IFLA_MTU"),
                    hardware="" if hardware == "00:00:00:00:00:00" else hardware,
                    addresses=tuple(addresses.get(link["index"], ())),
                )
            )
    return sorted(found, key=lambda link: link.index)
