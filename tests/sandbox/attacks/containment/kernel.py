# ruff: noqa: E501 (a snippet keeps its lines)
"""Attacks on other processes and on the kernel: signals, tracing, namespaces, rare system calls, machine code.

A call in ``CALLS`` is made with arguments that do nothing: what counts is whether the kernel's body was reached,
seen by the error. The numbers are those of x86-64.
"""

from __future__ import annotations

import platform

from containment.attack import Attack, Control

SIGNALS = frozenset({"signals"})
CANARY = frozenset({"canary"})

CALLS: dict[str, tuple[int, str]] = {
    "ptrace of the own parent": (101, "0x4206, os.getppid(), 0, 0"),
    "io_uring_setup": (425, "1, (ctypes.c_uint64 * 16)()"),
    "io_uring_enter": (426, "-1, 0, 0, 0, 0, 0"),
    "io_uring_register": (427, "-1, 0, 0, 0"),
    "bpf": (321, "9999, 0, 0"),
    "perf_event_open": (298, "0, 0, -1, -1, 0"),
    "userfaultfd": (323, "1"),
    "add_key": (248, "0, 0, 0, 0, 0"),
    "request_key": (249, "0, 0, 0, 0"),
    "keyctl": (250, "0, -2, 1"),
    "mount": (165, "0, 0, 0, 0, 0"),
    "umount2": (166, "0, 0"),
    "pivot_root": (155, "0, 0"),
    "chroot": (161, "0"),
    "open_tree": (428, "-1, 0, 0"),
    "move_mount": (429, "-1, 0, -1, 0, 0"),
    "fsopen": (430, "0, 0"),
    "fsconfig": (431, "-1, 0, 0, 0, 0"),
    "fsmount": (432, "-1, 0, 0"),
    "fspick": (433, "-1, 0, 0"),
    "mount_setattr": (442, "-1, 0, 0, 0, 0"),
    "listmount": (458, "0, 0, 0, 0"),
    "statmount": (457, "0, 0, 0, 0"),
    "setns": (308, "-1, 0"),
    "unshare of users": (272, "0x10000000"),
    "unshare of mounts": (272, "0x00020000"),
    "unshare of networks": (272, "0x40000000"),
    "clone of a namespace": (56, "0x10000000 | 0x00010000, 0, 0, 0, 0"),
    "kexec_load": (246, "0, 999999, 0, 0"),
    "kexec_file_load": (320, "-1, -1, 0, 0, 0"),
    "reboot": (169, "0, 0, 0, 0"),
    "swapon": (167, "0, 0"),
    "swapoff": (168, "0"),
    "settimeofday": (164, "(ctypes.c_long * 2)(0, 2 * 10**6), 0"),
    "clock_settime": (227, "0, 0"),
    "clock_adjtime": (305, "0, 0"),
    "adjtimex": (159, "0"),
    "sethostname": (170, "0, -1"),
    "setdomainname": (171, "0, -1"),
    "iopl": (172, "4"),
    "ioperm": (173, "-1, 1, 1"),
    "init_module": (175, "0, 0, 0"),
    "finit_module": (313, "-1, 0, 0"),
    "delete_module": (176, "0, 0"),
    "name_to_handle_at": (303, "-100, b'/', 0, 0, 0"),
    "open_by_handle_at": (304, "-1, 0, 0"),
    "fanotify_init": (300, "0xFFFFFFFF, 0"),
    "fanotify_mark": (301, "-1, 0, 0, -1, 0"),
    "quotactl": (179, "0, 0, 0, 0"),
    "quotactl_fd": (443, "-1, 0, 0, 0"),
    "acct": (163, "1"),
    "syslog": (103, "10, 0, 0"),
    "personality without random addresses": (135, "0x0040000"),
    "personality with executable data": (135, "0x0400000"),
    "modify_ldt": (154, "0, ctypes.create_string_buffer(99), 9"),
    "kcmp": (312, "os.getppid(), os.getppid(), 1, 0, 0"),
    "pidfd_open of the parent": (434, "os.getppid(), 0"),
    "pidfd_getfd": (438, "-1, 0, 0"),
    "pidfd_send_signal": (424, "-1, 0, 0, 0"),
    "process_vm_readv": (310, "os.getppid(), 0, 0, 0, 0, 0"),
    "process_vm_writev": (311, "os.getppid(), 0, 0, 0, 0, 0"),
    "process_madvise": (440, "-1, 0, 0, 0, 0"),
    "process_mrelease": (448, "-1, 0"),
    "migrate_pages": (256, "os.getppid(), 0, 0, 0"),
    "move_pages": (279, "os.getppid(), 0, 0, 0, 0, 0"),
    "memfd_secret": (447, "1 << 20"),
    "lsm_set_self_attr": (460, "0, 0, 0, 0"),
    "setgroups": (116, "0, 0"),
}
"""Name -> number and arguments. Calls that act on the caller alone are not here: a sandbox may allow them."""

REACHED = """
result, error = call({number}, {arguments})
if result >= 0 or error not in (1, 13, 38):
    print("GOT", "result", result, "error", error, os.strerror(error))
print(result, error)
"""

KILLED = frozenset({"killed"})

KERNEL = [
    *(
        Attack(
            name=f"call {name}",
            code=REACHED.format(number=number, arguments=arguments),
            tools=True,
            ends=KILLED,
            control=Control.DESTRUCTIVE if "clone" in name else Control.IF_SUPPORTED,
        )
        for name, (number, arguments) in CALLS.items()
    ),
    Attack(
        name="kill the parent",
        needs=SIGNALS,
        code="""
        import time
        for pid in (PARENT, -PARENT):
            try:
                os.kill(pid, SIGNAL)
            except OSError as error:
                print(pid, error)
        time.sleep(0.05)
        """,
    ),
    Attack(
        name="kill a process of the same user",
        needs=CANARY,
        code="import time\nos.kill(CANARY, 9)\ntime.sleep(0.05)",
    ),
    Attack(
        name="stop a process of the same user",
        needs=CANARY,
        code="import time\nos.kill(CANARY, 19)\ntime.sleep(0.1)",
    ),
    Attack(name="kill a group", needs=CANARY, code="import time\nos.killpg(CANARY, 9)\ntime.sleep(0.05)"),
    Attack(
        name="kill everybody",
        needs=SIGNALS,
        control=Control.DESTRUCTIVE,
        code="""
        import time
        try:
            os.kill(-1, SIGNAL)
        except OSError as error:
            print(error)
        time.sleep(0.05)
        """,
    ),
    *(
        Attack(
            name=f"kill by {name}",
            needs=CANARY,
            tools=True,
            ends=KILLED,
            code=f"import time\nprint({code})\ntime.sleep(0.05)",
        )
        for name, code in (
            ("tkill", "call(200, CANARY, 9)"),
            ("tgkill", "call(234, CANARY, CANARY, 9)"),
            ("rt_sigqueueinfo", "call(129, CANARY, 9, (ctypes.c_int32 * 32)(9, 0, -1))"),
            ("rt_tgsigqueueinfo", "call(297, CANARY, CANARY, 9, (ctypes.c_int32 * 32)(9, 0, -1))"),
            ("a descriptor of a process", "call(424, call(434, CANARY, 0)[0], 9, 0, 0)"),
            ("the system call itself", "call(62, CANARY, 9)"),
        )
    ),
    Attack(
        name="send a signal through the owner of a pipe",
        needs=SIGNALS,
        code="""
        import fcntl, time
        one, other = os.pipe()
        fcntl.fcntl(one, 8, PARENT)
        fcntl.fcntl(one, 10, SIGNAL)
        fcntl.fcntl(one, fcntl.F_SETFL, fcntl.fcntl(one, fcntl.F_GETFL) | os.O_ASYNC)
        os.write(other, b"x")
        time.sleep(0.05)
        """,
    ),
    Attack(
        name="send a signal through the owner of a socket",
        needs=SIGNALS,
        tools=True,
        code="""
        import fcntl, socket, struct, time
        one, other = socket.socketpair()
        owner = struct.pack("ii", 1, PARENT)
        buffer = ctypes.create_string_buffer(owner)
        print(call(72, one.fileno(), 15, buffer), call(16, one.fileno(), 0x8901, ctypes.byref(ctypes.c_int(PARENT))))
        fcntl.fcntl(one, 10, SIGNAL)
        fcntl.fcntl(one, fcntl.F_SETFL, os.O_ASYNC | os.O_NONBLOCK)
        other.send(b"x")
        time.sleep(0.05)
        """,
    ),
    Attack(
        name="send a signal through a lease",
        needs=SIGNALS,
        control=Control.ENDLESS,
        code="""
        import fcntl, time
        path = MARK + "-lease"
        fd = os.open(path, os.O_CREAT | os.O_RDONLY)
        try:
            fcntl.fcntl(fd, 8, PARENT)
            fcntl.fcntl(fd, 10, SIGNAL)
            fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_RDLCK)
            os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK))
        finally:
            os.unlink(path)
            time.sleep(0.05)
        """,
    ),
    *(
        Attack(
            name=f"trace {name}",
            needs=CANARY,
            tools=True,
            ends=KILLED,
            control=control,
            code=f"""
            import time
            result, error = call(101, {request}, {target}, 0, 0)
            if result == 0:
                print("GOT", {target}, flush=True)
            time.sleep(0.05)
            """,
        )
        for name, request, target, control in (
            ("a process of the same user", "0x4206", "CANARY", Control.SUCCEEDS),
            ("and stop a process of the same user", "16", "CANARY", Control.SUCCEEDS),
            ("the parent", "0x4206", "PARENT", Control.SUCCEEDS),
            ("the first process", "0x4206", "1", Control.DESTRUCTIVE),
            ("itself for its parent", "0", "0", Control.SUCCEEDS),
        )
    ),
    Attack(
        name="read the memory of a process",
        needs=CANARY,
        tools=True,
        ends=KILLED,
        code="""
        data = ctypes.create_string_buffer(64)
        here = (ctypes.c_uint64 * 2)(ctypes.addressof(data), 64)
        for pid in (CANARY, PARENT, os.getppid()):
            for start in (0x400000, 0x555555554000, ctypes.addressof(data)):
                there = (ctypes.c_uint64 * 2)(start, 64)
                result, error = call(310, pid, here, 1, there, 1, 0)
                if result > 0 or error == 14:
                    print("GOT", pid, result, error)
        """,
    ),
    Attack(
        name="ask about other processes",
        needs=CANARY,
        tools=True,
        code="""
        for action in (lambda: os.getpgid(CANARY), lambda: os.getsid(CANARY), lambda: os.sched_getaffinity(CANARY),
                       lambda: os.getpriority(os.PRIO_PROCESS, CANARY), lambda: os.sched_getscheduler(CANARY),
                       lambda: os.kill(CANARY, 0)):
            try:
                print("GOT", action())
            except OSError as error:
                print(error)
        """,
    ),
    Attack(
        name="read the limits of a process",
        needs=CANARY,
        code="import resource; print('GOT', resource.prlimit(CANARY, resource.RLIMIT_AS))",
    ),
    Attack(
        name="find the lists of locks of a process",
        needs=CANARY,
        tools=True,
        code="""
        head, size = ctypes.c_uint64(), ctypes.c_uint64()
        if call(274, CANARY, ctypes.byref(head), ctypes.byref(size))[0] == 0:
            print("GOT", hex(head.value))
        """,
    ),
    Attack(
        name="take a handle of the process at the other end of a socket",
        control=Control.ENDLESS,
        code="""
        import socket
        for fd in range(3, 64):
            try:
                one = socket.socket(fileno=os.dup(fd))
                if one.getsockopt(socket.SOL_SOCKET, 77, 4):
                    print("GOT a handle by descriptor", fd)
            except OSError:
                pass
        """,
    ),
    Attack(
        name="ask who is at the other end of a socket",
        control=Control.ENDLESS,
        code="""
        import socket, struct
        for fd in range(3, 64):
            try:
                one = socket.socket(fileno=os.dup(fd))
                pid, user, group = struct.unpack("iII", one.getsockopt(socket.SOL_SOCKET, 17, 12))
            except OSError:
                continue
            if pid == PARENT:
                print("GOT the process id", pid)
        """,
    ),
    Attack(
        name="type into the terminal",
        control=Control.ENDLESS,
        code="""
        import fcntl
        for fd in range(64):
            for request in (0x5412, 0x541C, 0x5423, 0x540E):
                try:
                    fcntl.ioctl(fd, request, b"\\x0c" + b"x" * 63)
                    print("GOT descriptor", fd, "by", hex(request))
                except OSError:
                    pass
        """,
    ),
    Attack(
        name="hold capabilities",
        tools=True,
        control=Control.AS_ROOT,
        code="""
        head = (ctypes.c_uint32 * 2)(0x20080522, 0)
        data = (ctypes.c_uint32 * 6)()
        print(call(125, head, data))
        if data[0] or data[3] or data[1] or data[4]:
            print("GOT effective", hex(data[0]), "permitted", hex(data[1]))
        """,
    ),
    Attack(
        name="gain privileges by a program",
        tools=True,
        code="""
        if call(157, 39, 0, 0, 0, 0)[0] == 0:
            print("GOT a process that may gain privileges by execve")
        """,
    ),
    Attack(
        name="take the filter off",
        tools=True,
        control=Control.ENDLESS,
        code="""
        print(call(157, 38, 0, 0, 0, 0), call(157, 22, 0, 0, 0, 0), call(317, 0, 0, 0), call(157, 36, 0, 0, 0, 0))
        if call(157, 39, 0, 0, 0, 0)[0] == 0:
            print("GOT no_new_privs off")
        if call(157, 21, 0, 0, 0, 0)[0] == 0:
            print("GOT a process without a filter")
        """,
    ),
    Attack(
        name="dump the memory to a file",
        control=Control.ENDLESS,
        code="""
        import resource
        try:
            resource.setrlimit(resource.RLIMIT_CORE, (1 << 20, 1 << 20))
            print("GOT a core file")
        except (OSError, ValueError) as error:
            print(error)
        """,
    ),
    Attack(
        name="change the host's name",
        control=Control.DESTRUCTIVE,
        code="""
        import socket
        try:
            socket.sethostname("stolen")
            print("GOT")
        except OSError as error:
            print(error)
        """,
    ),
    Attack(
        name="learn the host's name",
        control=Control.SUCCEEDS,
        code="import hashlib; print('name', hashlib.sha256(os.uname().nodename.encode()).hexdigest())",
        proof=lambda ground, report: "the host's name" if ground.host_digest() in report.stdout else "",
    ),
]

MACHINE = r"""
import ctypes, mmap, os
area = mmap.mmap(-1, 4096, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
def machine(code, *arguments):
    area.seek(0)
    area.write(code)
    start = ctypes.addressof(ctypes.c_char.from_buffer(area))
    return ctypes.CFUNCTYPE(ctypes.c_long, *[ctypes.c_long] * 4)(start)(*arguments)
SYSCALL = bytes.fromhex("4889f84889f74889d64889ca0f05c3")
INT80 = bytes.fromhex("5389f889f387cacd805bc3")
"""

MACHINE_CODE = [
    Attack(
        name="open a socket in machine code",
        ends=KILLED,
        code=MACHINE + "\nfd = machine(SYSCALL, 41, 2, 1, 0)\nprint('GOT' if fd >= 0 else 'no', fd)",
    ),
    Attack(
        name="read the secret in machine code",
        ends=KILLED,
        code=MACHINE
        + """
path = ctypes.create_string_buffer(SECRET.encode())
fd = machine(SYSCALL, 2, ctypes.addressof(path), 0, 0)
print(os.read(fd, 100) if fd >= 0 else fd)
""",
    ),
    Attack(
        name="open a socket by the calls of 32 bits",
        ends=KILLED | {"error"},
        control=Control.ENDLESS,
        code=MACHINE + "\nfd = machine(INT80, 359, 2, 1, 0)\nprint('GOT' if fd >= 0 else 'no', fd)",
    ),
    Attack(
        name="make any call of 32 bits",
        ends=KILLED | {"error"},
        control=Control.ENDLESS,
        code=MACHINE + "\nr = machine(INT80, 20, 0, 0, 0)\nprint('GOT' if r == os.getpid() else 'no', r)",
    ),
    Attack(
        name="open a socket by the calls of x32",
        tools=True,
        ends=KILLED,
        control=Control.ENDLESS,
        code="""
        fd, error = call(41 | 0x40000000, 2, 1, 0)
        print("GOT" if fd >= 0 else "no", fd, error)
        """,
    ),
    Attack(
        name="fork by the calls of x32",
        tools=True,
        ends=KILLED,
        control=Control.ENDLESS,
        code="""
        pid, error = call(57 | 0x40000000)
        if pid == 0:
            os._exit(0)
        print("GOT" if pid > 0 else "no", pid, error)
        """,
    ),
    Attack(
        name="give a call a number too large",
        tools=True,
        ends=KILLED,
        control=Control.ENDLESS,
        code="""
        for high in (1 << 32, 1 << 63, -1 << 32):
            fd, error = call(41 + high, 2, 1, 0)
            print("GOT" if fd >= 0 else "no", fd, error)
        """,
    ),
    Attack(
        name="hide flags in the high half of an argument",
        tools=True,
        ends=KILLED,
        control=Control.ENDLESS,
        code="""
        for flags in (17, 0x100 | 0x4000 | 17, 1 << 32 | 17, 1 << 40 | 17):
            if flags & 0x100 == 0:
                pid, error = call(56, flags, 0, 0, 0, 0)
                if pid == 0:
                    os._exit(0)
                print("GOT" if pid > 0 else "no", pid, error)
        pair = (ctypes.c_int * 2)()
        print("GOT" if call(53, 1 << 32 | 2, 1, 0, pair)[0] == 0 else "no")
        """,
    ),
]

if platform.machine() == "x86_64":
    KERNEL += MACHINE_CODE
else:
    KERNEL = [attack for attack in KERNEL if not attack.name.startswith("call ")]
