"""docker 29's default profile: what may be called is listed, the rest is refused with EPERM.

As of moby/profiles, seccomp/default_linux.go (2026). Not in any list, so always refused, are among others: keyctl,
add_key and request_key (keyrings are not namespaced), userfaultfd, io_uring_*, kexec_*, pivot_root, swapon, nfsservctl,
personality with another value than those below, and sockets of AF_ALG and AF_VSOCK.
A filter cannot look behind pointers: socketcall, through which 32-bit x86 programs make sockets, is allowed whole, as
with docker, since their C library has no other way.
"""

from __future__ import annotations

from engine.seccomp.profile import ENOSYS, EPERM, MACHINES, Condition, Profile, Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection

ALWAYS = (
    "accept accept4 access adjtimex alarm bind brk cachestat capget capset chdir chmod chown chown32 clock_adjtime "
    "clock_adjtime64 clock_getres clock_getres_time64 clock_gettime clock_gettime64 clock_nanosleep "
    "clock_nanosleep_time64 close close_range connect copy_file_range creat dup dup2 dup3 epoll_create epoll_create1 "
    "epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait epoll_wait_old eventfd eventfd2 execve execveat exit "
    "exit_group faccessat faccessat2 fadvise64 fadvise64_64 fallocate fanotify_mark fchdir fchmod fchmodat fchmodat2 "
    "fchown fchown32 fchownat fcntl fcntl64 fdatasync fgetxattr flistxattr flock fork fremovexattr fsetxattr fstat "
    "fstat64 fstatat64 fstatfs fstatfs64 fsync ftruncate ftruncate64 futex futex_requeue futex_time64 futex_wait "
    "futex_waitv futex_wake futimesat get_robust_list get_thread_area getcpu getcwd getdents getdents64 getegid "
    "getegid32 geteuid geteuid32 getgid getgid32 getgroups getgroups32 getitimer getpeername getpgid getpgrp getpid "
    "getppid getpriority getrandom getresgid getresgid32 getresuid getresuid32 getrlimit getrusage getsid getsockname "
    "getsockopt gettid gettimeofday getuid getuid32 getxattr getxattrat inotify_add_watch inotify_init inotify_init1 "
    "inotify_rm_watch io_cancel io_destroy io_getevents io_pgetevents io_pgetevents_time64 io_setup io_submit ioctl "
    "ioprio_get ioprio_set ipc kill landlock_add_rule landlock_create_ruleset landlock_restrict_self lchown lchown32 "
    "lgetxattr link linkat listen listmount listxattr listxattrat llistxattr _llseek lremovexattr lseek lsetxattr "
    "lstat lstat64 madvise map_shadow_stack membarrier memfd_create memfd_secret mincore mkdir mkdirat mknod mknodat "
    "mlock mlock2 mlockall mmap mmap2 mprotect mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedreceive_time64 "
    "mq_timedsend mq_timedsend_time64 mq_unlink mremap mseal msgctl msgget msgrcv msgsnd msync munlock munlockall "
    "munmap name_to_handle_at nanosleep newfstatat _newselect open openat openat2 pause pidfd_open pidfd_send_signal "
    "pipe pipe2 pkey_alloc pkey_free pkey_mprotect poll ppoll ppoll_time64 prctl pread64 preadv preadv2 prlimit64 "
    "process_mrelease process_vm_readv process_vm_writev pselect6 pselect6_time64 ptrace pwrite64 pwritev pwritev2 "
    "read readahead readlink readlinkat readv recv recvfrom recvmmsg recvmmsg_time64 recvmsg remap_file_pages "
    "removexattr removexattrat rename renameat renameat2 restart_syscall riscv_hwprobe rmdir rseq rt_sigaction "
    "rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait rt_sigtimedwait_time64 "
    "rt_tgsigqueueinfo sched_get_priority_max sched_get_priority_min sched_getaffinity sched_getattr sched_getparam "
    "sched_getscheduler sched_rr_get_interval sched_rr_get_interval_time64 sched_setaffinity sched_setattr "
    "sched_setparam sched_setscheduler sched_yield seccomp select semctl semget semop semtimedop semtimedop_time64 "
    "send sendfile sendfile64 sendmmsg sendmsg sendto set_robust_list set_thread_area set_tid_address setfsgid "
    "setfsgid32 setfsuid setfsuid32 setgid setgid32 setgroups setgroups32 setitimer setpgid setpriority setregid "
    "setregid32 setresgid setresgid32 setresuid setresuid32 setreuid setreuid32 setrlimit setsid setsockopt setuid "
    "setuid32 setxattr setxattrat shmat shmctl shmdt shmget shutdown sigaltstack signalfd signalfd4 sigprocmask "
    "sigreturn socketcall socketpair splice stat stat64 statfs statfs64 statmount statx symlink symlinkat sync "
    "sync_file_range syncfs sysinfo tee tgkill time timer_create timer_delete timer_getoverrun timer_gettime "
    "timer_gettime64 timer_settime timer_settime64 timerfd_create timerfd_gettime timerfd_gettime64 timerfd_settime "
    "timerfd_settime64 times tkill truncate truncate64 ugetrlimit umask uname unlink unlinkat uretprobe utime "
    "utimensat utimensat_time64 utimes vfork vmsplice wait4 waitid waitpid write writev"
)
"""Calls that are allowed whatever their arguments; ptrace and process_vm_* since seccomp looks again at what a tracer
changed (Linux 4.8)."""

BY_MACHINE = {
    "x86_64": "arch_prctl modify_ldt",
    "aarch64": "arm_fadvise64_64 arm_sync_file_range sync_file_range2 breakpoint cacheflush set_tls",
}
"""By the machine, for all the ABIs of it."""

BY_CAPABILITY = {
    "DAC_READ_SEARCH": "open_by_handle_at",
    "SYS_ADMIN": (
        "bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie lsm_get_self_attr "
        "lsm_list_modules lsm_set_self_attr mount mount_setattr move_mount open_tree perf_event_open quotactl "
        "quotactl_fd setdomainname sethostname setns syslog umount umount2 unshare"
    ),
    "SYS_BOOT": "reboot",
    "SYS_CHROOT": "chroot",
    "SYS_MODULE": "delete_module init_module finit_module",
    "SYS_PACCT": "acct",
    "SYS_PTRACE": "kcmp pidfd_getfd process_madvise process_vm_readv process_vm_writev ptrace",
    "SYS_RAWIO": "iopl ioperm",
    "SYS_TIME": "settimeofday stime clock_settime clock_settime64",
    "SYS_TTY_CONFIG": "vhangup",
    "SYS_NICE": "get_mempolicy mbind set_mempolicy set_mempolicy_home_node",
    "SYSLOG": "syslog",
    "BPF": "bpf",
    "PERFMON": "perf_event_open",
}
"""Calls that come with a capability in the bounding set."""

PERSONALITIES = (0x0, 0x8, 0x20000, 0x20008, 0xFFFFFFFF)
"""PER_LINUX, PER_LINUX32, both with UNAME26, and the question which one it is."""

NAMESPACE_FLAGS = 0x7E020000
"""CLONE_NEW* of mnt, uts, ipc, user, pid, net, cgroup: without SYS_ADMIN clone takes none of them."""

SOCKETS = (
    *(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11),  # unix inet ax25 ipx appletalk netrom bridge atmpvc x25 inet6 rose
    *(13, 14, 15, 16, 17, 18),  # netbeui security key netlink packet ash
    *(21, 22),  # rds sna
    *(24, 26, 27, 28, 29, 30, 31, 32, 33),  # pppox llc ib mpls can tipc bluetooth iucv rxrpc
    *(35, 36),  # phonet ieee802154
    39,  # nfc
    *(41, 42, 43, 44, 45),  # kcm qipcrtr smc xdp mctp
)
"""Address families that socket makes; not 38 (alg), which exposes the kernel's cryptography, nor 40 (vsock), which
leads to the machine's host, nor those that Linux has no more."""


def default_profile(machine: str, capabilities: Collection[str]) -> Profile:
    """The profile for a bounding set (names without CAP_) on a machine (uname's name); KeyError for another machine."""
    admin = "SYS_ADMIN" in capabilities
    names = [*ALWAYS.split(), *BY_MACHINE[machine].split()]
    for capability, calls in BY_CAPABILITY.items():
        if capability in capabilities:
            names += calls.split()
    rules = [Rule(tuple(names))]
    # Unix up to rose is one range; AF_UNSPEC in it cannot be made anyway.
    rules.append(Rule(("socket",), conditions=(Condition(0, "<", 12),)))
    rules += [Rule(("socket",), conditions=(Condition(0, "==", family),)) for family in SOCKETS if family > 11]
    rules += [Rule(("personality",), conditions=(Condition(0, "==", value),)) for value in PERSONALITIES]
    if not admin:
        rules.append(Rule(("clone",), conditions=(Condition(0, "&", 0, NAMESPACE_FLAGS),)))
        rules.append(Rule(("clone3",), ENOSYS))  # its flags are behind a pointer: libc falls back on clone
    return Profile(EPERM, MACHINES[machine][1], tuple(rules))
