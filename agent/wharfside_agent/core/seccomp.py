"""The seccomp profile of containers made from a rootfs: an allow list.

What is not listed answers ENOSYS, as if this kernel did not have it. EPERM would
break programs that probe for a newer call and fall back (fchmodat2, clone3) only on
ENOSYS; it is kept for the calls of DENIED, which old programs know to be refused.
Sources: seccomp(2), runtime-spec config-linux.md ("Seccomp"), syscalls(2).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

EPERM, ENOSYS = 1, 38

# CLONE_NEW{NS,CGROUP,UTS,IPC,USER,PID,NET}: clone(2) may make threads and children,
# no namespaces. clone3 hides its flags behind a pointer: not listed, so ENOSYS, and
# the C libraries fall back to clone.
NAMESPACE_FLAGS = 0x7E02_0000

# PER_LINUX, UNAME26, PER_LINUX32, both, and "tell me": no ADDR_NO_RANDOMIZE.
PERSONALITIES = (0x0, 0x0002_0000, 0x8, 0x0002_0008, 0xFFFF_FFFF)

AF_VSOCK = 40

ARCHITECTURES: Mapping[str, tuple[str, ...]] = {
    "x86_64": ("SCMP_ARCH_X86_64", "SCMP_ARCH_X86"),
    "aarch64": ("SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"),
}
"""By `uname -m`; of another machine the native one alone.

Not x32: distributions have it off, and it costs as much compile time as both others.
"""

ALLOWED: Mapping[str, str] = {
    "hot": """
        read write close futex epoll_wait epoll_pwait poll ppoll recvmsg sendmsg recvfrom sendto
        mmap munmap mprotect madvise brk openat newfstatat fstat lseek ioctl fcntl
        rt_sigaction rt_sigprocmask rt_sigreturn clock_gettime clock_nanosleep nanosleep
        getpid gettid getrandom sched_yield restart_syscall
    """,
    "files": """
        access chdir chmod chown close_range copy_file_range creat dup dup2 dup3 faccessat
        faccessat2 fadvise64 fallocate fchdir fchmod fchmodat fchmodat2 fchown fchownat fdatasync
        fgetxattr flistxattr flock fremovexattr fsetxattr fstatfs fsync ftruncate futimesat
        getcwd getdents getdents64 getxattr getxattrat lchown lgetxattr link linkat listxattr
        listxattrat llistxattr lremovexattr lsetxattr lstat mkdir mkdirat mknod mknodat open
        openat2 pipe pipe2 pread64 preadv preadv2 pwrite64 pwritev pwritev2 readahead readlink
        readlinkat readv removexattr removexattrat rename renameat renameat2 rmdir sendfile
        setxattr setxattrat splice stat statfs statx symlink symlinkat sync sync_file_range
        syncfs tee truncate umask unlink unlinkat utime utimensat utimes vmsplice writev
        name_to_handle_at file_getattr chroot
    """,
    "waiting": """
        epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait2 epoll_wait_old eventfd
        eventfd2 fanotify_mark inotify_add_watch inotify_init inotify_init1 inotify_rm_watch
        pselect6 select signalfd signalfd4 io_cancel io_destroy io_getevents io_pgetevents
        io_setup io_submit
    """,
    "memory": """
        cachestat get_mempolicy get_robust_list map_shadow_stack membarrier memfd_create
        memfd_secret mincore mlock mlock2 mlockall mremap mseal msync munlock munlockall
        pkey_alloc pkey_free pkey_mprotect process_mrelease remap_file_pages set_robust_list
        futex_requeue futex_wait futex_waitv futex_wake
    """,
    "processes": """
        execve execveat exit exit_group fork vfork getpgid getpgrp getppid getpriority getrlimit
        getrusage getsid ioprio_get ioprio_set kill pause pidfd_open pidfd_send_signal prctl
        prlimit64 rseq sched_get_priority_max sched_get_priority_min sched_getaffinity
        sched_getattr sched_getparam sched_getscheduler sched_rr_get_interval sched_setaffinity
        sched_setattr sched_setparam sched_setscheduler set_tid_address setpgid setpriority
        setrlimit setsid tgkill times tkill uname wait4 waitid landlock_add_rule
        landlock_create_ruleset landlock_restrict_self lsm_get_self_attr lsm_list_modules
        lsm_set_self_attr seccomp ptrace process_vm_readv process_vm_writev getcpu sysinfo
    """,
    "signals": """
        alarm rt_sigpending rt_sigqueueinfo rt_sigsuspend rt_sigtimedwait rt_tgsigqueueinfo
        sigaltstack
    """,
    "identity": """
        capget capset getegid geteuid getgid getgroups getresgid getresuid getuid setfsgid
        setfsuid setgid setgroups setregid setresgid setresuid setreuid setuid
    """,
    "sockets": """
        accept accept4 bind connect getpeername getsockname getsockopt listen recvmmsg sendmmsg
        setsockopt shutdown socketpair
    """,
    "ipc": """
        mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedsend mq_unlink msgctl msgget
        msgrcv msgsnd semctl semget semop semtimedop shmat shmctl shmdt shmget
    """,
    "time": """
        adjtimex clock_adjtime clock_getres getitimer gettimeofday setitimer time timer_create
        timer_delete timer_getoverrun timer_gettime timer_settime timerfd_create
        timerfd_gettime timerfd_settime
    """,
}

# Names that only some have, above all the 32-bit sisters (x86, arm); no cost elsewhere.
ALLOWED_32: Mapping[str, str] = {
    "wide files": """
        _llseek _newselect chown32 fadvise64_64 arm_fadvise64_64 fchown32 fcntl64 fstat64
        fstatat64 fstatfs64 ftruncate64 lchown32 lstat64 mmap2 readdir sendfile64 stat64
        statfs64 truncate64 ugetrlimit sync_file_range2 arm_sync_file_range
    """,
    "wide ids": """
        getegid32 geteuid32 getgid32 getgroups32 getresgid32 getresuid32 getuid32 setfsgid32
        setfsuid32 setgid32 setgroups32 setregid32 setresgid32 setresuid32 setreuid32 setuid32
    """,
    "wide time": """
        clock_adjtime64 clock_getres_time64 clock_gettime64 clock_nanosleep_time64 futex_time64
        io_pgetevents_time64 mq_timedreceive_time64 mq_timedsend_time64 ppoll_time64
        pselect6_time64 recvmmsg_time64 rt_sigtimedwait_time64 sched_rr_get_interval_time64
        semtimedop_time64 timer_gettime64 timer_settime64 timerfd_gettime64 timerfd_settime64
        utimensat_time64
    """,
    "old": """
        ipc nice recv send sgetmask sigaction signal sigpending sigprocmask sigreturn sigsuspend
        socketcall ssetmask waitpid set_thread_area get_thread_area
    """,
}

# What one machine has besides: thread-local storage, caches, contexts.
NATIVE: Mapping[str, str] = {
    "x86_64": "arch_prctl modify_ldt",
    "aarch64": "breakpoint cacheflush set_tls get_tls",
    "ppc64le": "swapcontext sync_file_range2",
    "riscv64": "riscv_flush_icache riscv_hwprobe",
    "s390x": "s390_pci_mmio_read s390_pci_mmio_write s390_runtime_instr",
}

# Known and refused: they change the host or its view, or reach outside the container.
DENIED = """
    acct add_key bpf clock_settime delete_module fanotify_init finit_module fsconfig fsmount
    fsopen fspick init_module ioperm iopl io_uring_enter io_uring_register io_uring_setup kcmp
    kexec_file_load kexec_load keyctl lookup_dcookie mbind migrate_pages mount mount_setattr
    move_mount move_pages nfsservctl open_by_handle_at open_tree perf_event_open pidfd_getfd
    pivot_root quotactl quotactl_fd reboot request_key set_mempolicy setdomainname sethostname
    setns settimeofday swapoff swapon syslog umount umount2 unshare userfaultfd vhangup
"""


@cache
def profile_for(architecture: str) -> dict[str, Any]:
    """`linux.seccomp` for `uname -m`; the same object each time: not to be changed."""
    arches = ARCHITECTURES.get(architecture, ())
    groups = [*ALLOWED.values(), *ALLOWED_32.values()]
    allowed = [name for group in groups for name in group.split()]
    profile: dict[str, Any] = {
        "defaultAction": "SCMP_ACT_ERRNO",
        "defaultErrnoRet": ENOSYS,
        "syscalls": [
            _allow([*allowed, *NATIVE.get(architecture, "").split()]),
            {"names": DENIED.split(), "action": "SCMP_ACT_ERRNO", "errnoRet": EPERM},
            _allow(["clone"], _masked(_clone_flags(architecture), NAMESPACE_FLAGS, 0)),
            *(_allow(["personality"], _arg(0, "SCMP_CMP_EQ", it)) for it in PERSONALITIES),
            _allow(["socket"], _arg(0, "SCMP_CMP_NE", AF_VSOCK)),
        ],
    }
    return {**profile, "architectures": list(arches)} if arches else profile


def _clone_flags(architecture: str) -> int:
    """clone(2), "C library/kernel differences": s390 has the stack first."""
    return 1 if architecture.startswith("s390") else 0


def _allow(names: list[str], *args: dict[str, Any]) -> dict[str, Any]:
    rule: dict[str, Any] = {"names": names, "action": "SCMP_ACT_ALLOW"}
    return {**rule, "args": list(args)} if args else rule


def _arg(index: int, operator: str, value: int) -> dict[str, Any]:
    return {"index": index, "value": value, "op": operator}


def _masked(index: int, mask: int, value: int) -> dict[str, Any]:
    return {"index": index, "value": mask, "valueTwo": value, "op": "SCMP_CMP_MASKED_EQ"}
