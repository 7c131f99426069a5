"""Running a container: plan → launcher → starter → init, watched by a monitor; joining it (exec); its log.

    plan                          what a start will do, decided beforehand as data
    client, session, seal         the commands' side: start containers, talk to one that runs; the sealed interpreter
    wire, handshake               the languages: client ↔ monitor, and process on its way in → who looks after it
    launcher                      a small warm interpreter; has a spare monitor and starter ready for every start
    starter, init, rootfs         carry one start out: cgroup, namespaces, mounts; then they end, or exec
    monitor, container, tasks,    one process a container as long as it lives: streams, log, state, clients, execs, end
    control, clients, execs, loop
    join                          the way in of one more process
    become, users                 what both ways in share: who to be, where, with which rights; exec
    records, removal, orphans     what the monitor writes, what it takes away, what a killed one leaves

Nothing is imported here: the launcher loads this package and must stay small.
"""
