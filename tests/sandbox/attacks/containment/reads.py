# ruff: noqa: E501 (a snippet keeps its lines)
"""Attacks that read or change what lies outside: files, the environment, other processes, descriptors."""

from __future__ import annotations

from containment.attack import Attack, Control

EACH = """
def each(action, things):
    for thing in things:
        try:
            print(thing, action(thing))
        except Exception as error:
            print(thing, type(error).__name__)
"""

HUNT = r"""
import re
pattern = re.compile(b"TGSECRET-" + b"[0-9a-f]{32}")
def hunt(chunks):
    for chunk in chunks:
        for found in pattern.findall(chunk):
            print(GOT, found.decode())
GOT = "G" + "OT found"
"""

READS = [
    Attack(name="read a secret file", code="print(open(SECRET).read())"),
    Attack(
        name="read secrets where secrets lie",
        code=EACH + "each(lambda path: open(path).read(), PLACES)",
    ),
    Attack(
        name="read the secret through the system call",
        tools=True,
        code="""
        fd, error = call(2, SECRET.encode(), 0)
        if fd < 0:
            fd, error = call(257, -100, SECRET.encode(), 0, 0)
        if fd < 0:
            how = (ctypes.c_uint64 * 3)(0, 0, 0)
            fd, error = call(437, -100, SECRET.encode(), how, 24)
        print(os.read(fd, 100) if fd >= 0 else error)
        """,
    ),
    Attack(
        name="map the secret by other roots",
        code=EACH
        + """
roots = ["/proc/self/root", "/proc/1/root", f"/proc/{os.getppid()}/root", f"/proc/{PARENT}/root",
         "/proc/self/cwd/../../../../../../../..", "/proc/thread-self/root", "/oldroot", "/.oldroot", "/proc/2/root",
         "../../../../../../../../.."]
each(lambda root: open(root + SECRET).read(), roots)
""",
    ),
    Attack(
        name="read password files",
        code="""
        for path in ("/etc/passwd", "/etc/shadow", "/etc/hosts", "/etc/ssh/ssh_host_rsa_key", "/etc/gshadow"):
            try:
                text = open(path).read()
            except OSError:
                continue
            if "root:" in text or "localhost" in text or "PRIVATE" in text:
                print("GOT", path)
        """,
    ),
    Attack(name="read an environment variable", code="print(dict(os.environ))"),
    Attack(
        name="read the environment of processes",
        code=EACH
        + """
for pid in ["self", "thread-self", 1, 2, os.getpid(), os.getppid(), PARENT]:
    each(lambda path: open(path, "rb").read(), [f"/proc/{pid}/environ", f"/proc/{pid}/cmdline"])
""",
    ),
    Attack(
        name="find the environment in C's memory",
        tools=True,
        code="""
        environ = ctypes.POINTER(ctypes.c_char_p).in_dll(libc, "environ")
        index = 0
        while environ and environ[index]:
            print(environ[index])
            index += 1
        libc.getenv.restype = ctypes.c_char_p
        print(libc.getenv(b"TEXTGYM_ATTACK_SECRET"))
        """,
    ),
    Attack(
        name="search the own memory for the secret",
        code=HUNT
        + """
import ctypes
regions = []
try:
    for line in open("/proc/self/maps"):
        start, end = (int(x, 16) for x in line.split()[0].split("-"))
        if line.split()[1].startswith("r") and "[v" not in line and end - start < 1 << 26:
            regions.append((start, end))
except OSError:
    import gc, sys
    for thing in gc.get_objects():
        hunt([repr(thing)[:10000].encode("utf-8", "replace")] if isinstance(thing, (dict, list, tuple)) else [])
hunt(ctypes.string_at(start, end - start) for start, end in regions)
""",
    ),
    Attack(
        name="search the stack above main for the environment",
        tools=True,
        ends=frozenset({"killed"}),
        code=HUNT
        + """
import sys
argv = ctypes.POINTER(ctypes.c_char_p)()
count = ctypes.c_int()
ctypes.pythonapi.Py_GetArgcArgv(ctypes.byref(count), ctypes.byref(argv))
environ = ctypes.POINTER(ctypes.c_char_p).in_dll(libc, "__environ")
base = ctypes.cast(environ, ctypes.c_void_p).value or 0
if base:
    hunt([ctypes.string_at(base, 256)])
libc.getauxval.restype = ctypes.c_ulong
name = libc.getauxval(31)
if name:
    hunt([ctypes.string_at(name - 2048, 2048)])
""",
    ),
    Attack(
        name="read the memory of the parent",
        code=EACH
        + """
for pid in (os.getppid(), PARENT, 1):
    each(lambda path: open(path, "rb").seek(0), [f"/proc/{pid}/mem", f"/proc/{pid}/syscall"])
    try:
        open(f"/proc/{pid}/mem", "rb")
        print("GOT the memory of", pid)
    except OSError:
        pass
""",
    ),
    Attack(
        name="read the command lines of other processes",
        code="""
        seen = 0
        for name in os.listdir("/proc"):
            if name.isdigit() and int(name) != os.getpid():
                try:
                    line = open(f"/proc/{name}/cmdline").read()
                except OSError:
                    continue
                seen += bool(line)
                if int(name) == PARENT or "pytest" in line or "containment" in line:
                    print("GOT the command line of", name)
        """,
    ),
    Attack(
        name="list the processes of the machine",
        needs=frozenset({"canary"}),
        code="""
        if str(CANARY) in os.listdir("/proc"):
            print("GOT a list of the host's processes")
        """,
    ),
    Attack(
        name="reach files by others' descriptors",
        code=HUNT
        + """
for pid in ["self", 1, os.getppid(), PARENT]:
    try:
        names = os.listdir(f"/proc/{pid}/fd")
    except OSError:
        names = [str(n) for n in range(64)]
    for name in names:
        try:
            fd = os.open(f"/proc/{pid}/fd/{name}", os.O_RDONLY | os.O_NONBLOCK)
            hunt([os.pread(fd, 1000, 0)])
        except OSError:
            pass
""",
    ),
    Attack(
        name="read inherited descriptors",
        code=HUNT
        + """
for fd in range(3, 1024):
    try:
        hunt([os.pread(fd, 1000, 0)])
    except OSError:
        pass
""",
    ),
    Attack(
        name="follow a link out of the work folder",
        code="""
        name = MARK + "-link"
        os.symlink(SECRET, name)
        try:
            print(open(name).read())
        finally:
            os.unlink(name)
        """,
    ),
    Attack(
        name="make a hard link to the secret",
        code="""
        try:
            os.link(SECRET, MARK + "-hard")
            print(open(MARK + "-hard").read())
        finally:
            os.unlink(MARK + "-hard")
        """,
        control=Control.IF_SUPPORTED,
    ),
    Attack(name="ask whether a path exists", code="print('GOT', os.stat(SECRET))"),
    Attack(
        name="ask whether a path exists by other calls",
        tools=True,
        code="""
        if os.access(SECRET, os.F_OK): print("GOT access")
        if os.path.isdir(OUTSIDE): print("GOT isdir")
        """,
    ),
    Attack(name="read where a link points", code="print(os.readlink(OUTSIDE + '/pointer'))"),
    Attack(name="list a folder", code="print('GOT', 'secret.txt' in os.listdir(OUTSIDE) or 1/0)"),
    Attack(
        name="enter a folder",
        code="""
        os.chdir(OUTSIDE)
        print(open("secret.txt").read())
        """,
    ),
    Attack(
        name="open a path without reading, then reopen it",
        code="""
        fd = os.open(SECRET, os.O_PATH)
        print(open(f"/proc/self/fd/{fd}").read())
        """,
    ),
    Attack(
        name="take a file by its handle",
        tools=True,
        control=Control.AS_ROOT,
        code="""
        handle = (ctypes.c_uint32 * 40)(128)
        mount = ctypes.c_int()
        result, error = call(303, -100, SECRET.encode(), handle, ctypes.byref(mount), 0)
        if result == 0:
            for anchor in ("/", ".", "/usr", "/proc", "/tmp"):
                try:
                    root = os.open(anchor, os.O_RDONLY)
                except OSError:
                    continue
                fd, error = call(304, root, handle, 0)
                if fd >= 0:
                    print(os.read(fd, 100))
        """,
    ),
    Attack(
        name="watch a folder",
        tools=True,
        code="""
        fd, error = call(294, 0)
        watch, error = call(254, fd, OUTSIDE.encode(), 0xFFF) if fd >= 0 else (-1, error)
        if watch >= 0:
            print("GOT a watch on a folder outside")
        """,
    ),
    Attack(
        name="list extended attributes",
        code="print('GOT', os.listxattr(SECRET))",
    ),
    Attack(name="ask for the size of the disk", code="print('GOT', os.statvfs(OUTSIDE).f_blocks)"),
    Attack(name="write a file outside", code="open(OUTSIDE + '/new', 'w').write('x')"),
    Attack(name="change a file outside", code="open(SECRET, 'a').write('x')"),
    Attack(name="cut a file outside", code="os.truncate(SECRET, 0)"),
    Attack(name="delete a file outside", code="os.unlink(SECRET)"),
    Attack(name="rename a file outside", code="os.rename(SECRET, OUTSIDE + '/renamed')"),
    Attack(name="make a folder outside", code="os.mkdir(OUTSIDE + '/folder')"),
    Attack(name="make a link outside", code="os.symlink('/', OUTSIDE + '/link')"),
    Attack(name="make a pipe outside", code="os.mkfifo(OUTSIDE + '/pipe')"),
    Attack(name="make a socket outside", code="import socket; socket.socket(1).bind(OUTSIDE + '/mine')"),
    Attack(
        name="make a device",
        control=Control.AS_ROOT,
        code="import stat; os.mknod(OUTSIDE + '/device', 0o600 | stat.S_IFCHR, os.makedev(1, 1))",
    ),
    Attack(name="touch a file outside", code="os.utime(SECRET)"),
    Attack(name="change the mode of a file outside", code="os.chmod(SECRET, 0o777)"),
    Attack(
        name="change the owner of a file outside", control=Control.AS_ROOT, code="os.chown(SECRET, 12, 12)"
    ),
    Attack(
        name="set an attribute outside",
        code="os.setxattr(SECRET, 'user.x', b'1')",
        control=Control.IF_SUPPORTED,
    ),
    Attack(
        name="touch a file outside by every system call",
        tools=True,
        code="""
        path = SECRET.encode()
        times = (ctypes.c_long * 4)(5, 5, 5, 5)
        for number, arguments in {
            132: (path, times), 235: (path, times), 261: (-100, path, times), 280: (-100, path, times, 0),
            90: (path, 0o777), 268: (-100, path, 0o777), 452: (-100, path, 0o777, 0),
            92: (path, 12, 12), 94: (path, 12, 12), 260: (-100, path, 12, 12, 0), 76: (path, 1),
            188: (path, b"user.a", b"1", 1, 0), 189: (path, b"user.b", b"1", 1, 0),
        }.items():
            print(number, call(number, *arguments))
        """,
    ),
    Attack(
        name="change the interpreter through a descriptor for reading",
        tools=True,
        control=Control.DESTRUCTIVE,
        code="""
        import ctypes.util, json
        for path in (os.__file__, json.__file__, "/usr/lib", "/lib64", "/usr/bin", "/"):
            try:
                fd = os.open(path, os.O_RDONLY)
                facts = os.fstat(fd)
            except OSError as error:
                print(path, error)
                continue
            def tried(action, *arguments):
                try:
                    action(*arguments)
                except OSError as error:
                    return print(path, action.__name__, error)
                print("GOT", action.__name__, path)
            tried(os.fchmod, fd, facts.st_mode & 0o7777)
            tried(os.fchown, fd, facts.st_uid, facts.st_gid)
            tried(os.setxattr, fd, "user.textgym", b"1")
            flags = ctypes.c_long()
            if call(16, fd, 0x80086601, ctypes.byref(flags))[0] == 0 and call(16, fd, 0x40086602, ctypes.byref(flags))[0] == 0:
                print("GOT the inode flags of", path)
        """,
    ),
    Attack(
        name="write into the interpreter",
        control=Control.DESTRUCTIVE,
        code="""
        import json, sys
        for folder in (os.path.dirname(os.__file__), os.path.dirname(json.__file__), sys.prefix, "/usr/lib", "/bin"):
            path = folder + "/" + MARK
            try:
                open(path, "w").close()
                os.unlink(path)
                print("GOT a file in", folder)
            except OSError as error:
                print(folder, error)
        """,
    ),
    Attack(
        name="overwrite a file of the interpreter",
        control=Control.DESTRUCTIVE,
        code="""
        import json
        for path in (os.__file__, json.__file__, os.path.realpath("/proc/self/exe"), "/usr/bin/env"):
            for flags in (os.O_WRONLY, os.O_RDWR, os.O_WRONLY | os.O_APPEND):
                try:
                    os.close(os.open(path, flags))
                    print("GOT", path, "open for writing")
                except OSError as error:
                    print(path, error)
        """,
    ),
    Attack(
        name="take a lease on a file of the interpreter",
        control=Control.DESTRUCTIVE,
        code="""
        import fcntl
        fd = os.open(os.__file__, os.O_RDONLY)
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)
        print("GOT a lease: writers of this file have to wait")
        """,
    ),
    Attack(
        name="read the system's settings",
        code="""
        for path in ("/proc/sys/kernel/hostname", "/proc/sys/kernel/random/boot_id", "/proc/cmdline", "/proc/mounts",
                     "/proc/self/mountinfo", "/proc/net/tcp", "/sys/kernel/mm/transparent_hugepage/enabled",
                     "/sys/class/dmi/id/product_uuid", "/proc/kallsyms", "/proc/modules", "/proc/keys",
                     "/proc/diskstats", "/proc/loadavg", "/sys/class/net"):
            try:
                text = open(path).read(100) if os.path.isfile(path) else os.listdir(path)
            except OSError:
                continue
            if "/self/" not in path and "mounts" not in path:
                print("GOT", path)
        """,
    ),
    Attack(
        name="write the system's settings",
        control=Control.AS_ROOT,
        code="""
        for path in ("/proc/sys/kernel/hostname", "/proc/sys/vm/drop_caches", "/proc/sysrq-trigger",
                     "/proc/sys/kernel/core_pattern", "/sys/kernel/uevent_helper", "/sys/power/state",
                     "/proc/sys/fs/binfmt_misc/register", "/sys/fs/cgroup/cgroup.procs"):
            try:
                os.close(os.open(path, os.O_WRONLY))
                print("GOT", path, "open for writing")
            except OSError as error:
                print(path, error)
        """,
    ),
    Attack(
        name="open devices",
        control=Control.AS_ROOT,
        code="""
        for name in ("mem", "kmem", "port", "kmsg", "sda", "vda", "nvme0", "loop0", "fuse", "kvm", "net/tun", "ptmx",
                     "tty", "console", "tty0", "vsock", "vhost-vsock", "snapshot", "uinput", "nvidia0", "nvidiactl",
                     "userfaultfd", "cuse", "mapper/control"):
            for flags in (os.O_RDONLY, os.O_RDWR):
                try:
                    os.close(os.open("/dev/" + name, flags | os.O_NONBLOCK | os.O_NOCTTY))
                    print("GOT", name)
                except OSError as error:
                    print(name, error)
        """,
    ),
    Attack(
        name="raise the own badness",
        needs=frozenset({"canary"}),
        code="""
        for pid, score in (("self", "-1000"), (os.getpid(), "-1000"), (CANARY, "1000"), (PARENT, "0")):
            for name in ("oom_score_adj", "oom_adj", "coredump_filter", "clear_refs", "attr/current", "loginuid"):
                try:
                    fd = os.open(f"/proc/{pid}/{name}", os.O_WRONLY)
                    if name == "oom_score_adj" and pid != PARENT:
                        os.write(fd, score.encode())
                        print("GOT", pid, name)
                except OSError as error:
                    print(pid, name, error)
        """,
        control=Control.AS_ROOT,
    ),
    Attack(
        name="read the package that runs it",
        code="""
        import glob, sys
        for folder in [PACKAGES, *sys.path, os.path.dirname(os.__file__) + "/site-packages"]:
            for path in glob.glob(folder + "/textgym/rewards/**/*.py", recursive=True):
                print("GOT", open(path).name)
                break
        try:
            import textgym.rewards
            print("GOT", textgym.rewards.__file__)
        except ImportError as error:
            print(error)
        """,
        control=Control.IF_SUPPORTED,
    ),
]
