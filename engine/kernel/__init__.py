"""System calls, one thin file a family: no policy, every call traced, every error an OSError that says the
call and its arguments.

    syscalls      the C library and `call`; steps: how a call is shown, traced and failed
    mounts        mount, umount2, pivot_root and the mount interface by descriptors (fsopen … mount_setattr)
    overlays      `overlay`: one overlay mount of up to 500 lower layers, whatever the kernel offers
    namespaces    unshare, setns, namespace ids, the host name
    processes     clone3, wait, close_range, prctl, execveat; proc: who a process is, pidfds, signals
    capabilities  the sets, the bounding set, names
    paths         openat2, renameat2, syncfs, filesystem types; trees: remove_tree
    xattrs        extended attributes by directory descriptor and name, never following a link
    interfaces    a network interface set up
    terminals     pseudo-terminals of a private devpts
    bpf           programs that decide for a control group

Import the file you need (`from engine.kernel import mounts`): launcher, monitor and init load these modules,
so each imports little and this one imports nothing. Every descriptor they return is close-on-exec.
"""
