"""A network interface of the current network namespace, set up by ioctl: the loopback of a new container.

Light: init loads this. Everything else about networks is engine.network's. Source: netdevice(7).
"""

from __future__ import annotations

import os
import struct

from engine.kernel import clib as ctypes
from engine.kernel.syscalls import LIBC, call

AF_UNIX = 1
SOCK_DGRAM = 2
SOCK_CLOEXEC = os.O_CLOEXEC
SIOCGIFFLAGS = 0x8913
SIOCSIFFLAGS = 0x8914
IFF_UP = 1


def set_up(name: str) -> None:
    """Set IFF_UP on an interface (at most 15 bytes); OSError ENODEV when this namespace has none of the name."""
    # Any socket carries interface ioctls; a UNIX one exists in kernels without IPv4 too.
    fd = call("socket", LIBC.socket, AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, show=("AF_UNIX", "SOCK_DGRAM", 0))
    try:
        request = ctypes.create_string_buffer(struct.pack("=16s24x", os.fsencode(name)), 40)
        call("ioctl", LIBC.ioctl, fd, SIOCGIFFLAGS, request, show=(fd, "SIOCGIFFLAGS", name))
        (flags,) = struct.unpack_from("=H", request, 16)
        struct.pack_into("=H", request, 16, flags | IFF_UP)
        show = (fd, "SIOCSIFFLAGS", name, "IFF_UP")
        call("ioctl", LIBC.ioctl, fd, SIOCSIFFLAGS, request, show=show, shell=f"ip link set {name} up")
    finally:
        os.close(fd)
