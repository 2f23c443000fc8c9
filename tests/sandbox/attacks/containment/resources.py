# ruff: noqa: E501 (a snippet keeps its lines)
"""Attacks that take more than was given: memory, time, output, disk, processes, threads, descriptors.

The limits of the table (``MEMORY``, ``FILE``, ``FILES``) are what "more" is measured against.
"""

from __future__ import annotations

from collections.abc import Callable

from containment.attack import REFUSALS, Attack, Control, Report
from containment.ground import Ground

MEMORY = 256 << 20
"""Bytes a run may hold."""
FILE = 4 << 20
"""Bytes a file may have."""
FILES = 48
"""Descriptors a run may have open."""
OUTPUT = 64 << 10
"""Bytes a run may print."""

MEMORY_ENDS = frozenset({"memory", "error", "killed"})
CRASHES = frozenset({"memory", "error", "killed"})


def too_much_output(ground: Ground, report: Report) -> str:
    """What came back may not be longer than the limit, in bytes and over both streams."""
    size = len(report.stdout.encode()) + len(report.stderr.encode())
    return f"{size} bytes of output came back" if size > 3 * OUTPUT else ""


def must(*statuses: str) -> Callable[[Ground, Report], str]:
    """The only ways the run may end."""

    def proof(ground: Ground, report: Report) -> str:
        if report.status == "error" and report.stderr.rstrip().endswith(REFUSALS):
            return ""  # the system lets it have no thread
        return "" if report.status in statuses else f"ended as {report.status}: {report.stderr[-100:]}"

    return proof


def endless(name: str, code: str, *statuses: str) -> Attack:
    """An attack on the clock: has to end at the deadline, or as said."""
    ends = statuses or ("timeout",)
    return Attack(
        name=name, code=code, seconds=0.5, control=Control.ENDLESS, ends=frozenset(ends), proof=must(*ends)
    )


def flood(name: str, code: str, *statuses: str) -> Attack:
    """An attack on the reader of the output."""
    ends = statuses or ("output",)

    def proof(ground: Ground, report: Report) -> str:
        return too_much_output(ground, report) or must(*ends)(ground, report)

    return Attack(name=f"flood {name}", code=code, control=Control.ENDLESS, ends=frozenset(ends), proof=proof)


def crash(name: str, code: str, *statuses: str) -> Attack:
    """An attack on the interpreter: may end in any way but as finished, and what comes after is unharmed."""
    ends = statuses or ("memory", "error", "killed", "timeout", "output")
    return Attack(
        name=name, code=code, control=Control.ENDLESS, ends=frozenset(ends), proof=must(*ends), seconds=2
    )


HOARD = f"""
def report_if_beyond(total, what):
    if total > {MEMORY}:
        print("G" + "OT", total >> 20, "MiB of", what, flush=True)
        raise SystemExit
"""

RESOURCES = [
    Attack(
        name="allocate 4 GiB",
        ends=MEMORY_ENDS,
        code="print('GOT', len(bytearray(4 << 30)) >> 30, 'GiB')",
    ),
    Attack(
        name="allocate in small steps, again after each refusal",
        ends=MEMORY_ENDS,
        code=HOARD
        + """
kept, refused = [], 0
while refused < 50:
    try:
        kept.append(b"x" * (1 << 20))
    except MemoryError:
        refused += 1
    report_if_beyond(len(kept) << 20, "touched memory")
""",
    ),
    Attack(
        name="map anonymous memory",
        ends=MEMORY_ENDS,
        code=HOARD
        + """
import mmap
kept = []
for n in range(600):
    area = mmap.mmap(-1, 1 << 20)
    area[:: 4096] = b"x" * len(range(0, 1 << 20, 4096))
    kept.append(area)
    report_if_beyond(len(kept) << 20, "mapped memory")
""",
    ),
    Attack(
        name="map a huge sparse file",
        ends=MEMORY_ENDS,
        control=Control.IF_SUPPORTED,
        code="""
        import mmap
        with open(MARK + "-sparse", "w+b") as file:
            try:
                file.truncate(8 << 30)
                print("GOT", len(mmap.mmap(file.fileno(), 8 << 30)) >> 30, "GiB mapped")
            finally:
                os.unlink(MARK + "-sparse")
        """,
    ),
    Attack(
        name="keep memory in anonymous files",
        ends=MEMORY_ENDS,
        code=HOARD
        + f"""
kept, total = [], 0
for n in range(400):
    kept.append(os.memfd_create("x"))
    for _ in range(16):
        try:
            total += os.write(kept[-1], b"x" * {FILE // 16})
        except OSError:
            break
    report_if_beyond(total, "memory behind descriptors")
""",
    ),
    Attack(
        name="keep memory in anonymous secret files",
        tools=True,
        ends=MEMORY_ENDS,
        control=Control.IF_SUPPORTED,
        code="""
        fd, error = call(447, 0)
        if fd >= 0:
            print("GOT secret memory")
        """,
    ),
    Attack(
        name="keep memory in shared segments of System V",
        tools=True,
        ends=MEMORY_ENDS,
        code="""
        made, error = call(29, KEY, 64 << 20, 0o1666)
        if made >= 0:
            print("GOT a segment that outlives the process")
        """,
    ),
    Attack(
        name="keep queues and semaphores of System V",
        tools=True,
        code="""
        for number, arguments, remove in ((68, (0, 0o1666), (71, 0)), (64, (0, 9, 0o1666), (66, 0))):
            made, error = call(number, *arguments)
            if made >= 0:
                print("GOT", number)
                call(remove[0], made, 0, 0) if number == 68 else call(66, made, 0, 0)
        """,
    ),
    Attack(
        name="keep a message queue",
        tools=True,
        control=Control.IF_SUPPORTED,
        code="""
        made, error = call(240, MARK.encode(), 0o102, 0o600, 0)
        if made >= 0:
            print("GOT a queue")
            call(241, MARK.encode())
        """,
    ),
    Attack(
        name="leave shared memory behind",
        ends=MEMORY_ENDS,
        code="""
        from multiprocessing import resource_tracker
        resource_tracker.register = lambda *_: None
        import _posixshmem
        fd = _posixshmem.shm_open("/" + MARK, os.O_CREAT | os.O_RDWR, mode=0o600)
        os.ftruncate(fd, 1 << 20)
        """,
        proof=lambda ground, report: str(ground.estate.leftovers() or ""),
    ),
    Attack(
        name="leave files in temporary folders",
        code="""
        for folder in ("/tmp", "/dev/shm", "/var/tmp", "/run", "/dev", os.path.expanduser("~")):
            try:
                open(f"{folder}/{MARK}", "w").write("x")
            except OSError as error:
                print(folder, error)
        """,
        proof=lambda ground, report: str(ground.estate.leftovers() or ""),
    ),
    Attack(
        name="fill many files",
        ends=MEMORY_ENDS,
        control=Control.IF_SUPPORTED,
        seconds=30,
        code=HOARD
        + f"""
import shutil, tempfile
total = 0
for where in (".", "/tmp", "/dev/shm", "/var/tmp"):
    folder = f"{{where}}/{{MARK}}-many"
    try:
        os.mkdir(folder)
        for n in range(400):
            with open(f"{{folder}}/{{n}}", "wb", buffering=0) as file:
                for _ in range(16):
                    total += file.write(b"x" * {FILE // 16})
                    report_if_beyond(total, "files")
    except OSError as error:
        print(where, n if "n" in globals() else "", error)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
""",
    ),
    Attack(
        name="fill one file",
        ends=MEMORY_ENDS,
        code=f"""
        import signal
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        path = MARK + "-one"
        try:
            with open(path, "wb", buffering=0) as file:
                done = sum(file.write(b"x" * (1 << 20)) for _ in range({2 * FILE >> 20}))
                if done > {FILE}:
                    print("GOT", done, "bytes in a file")
        finally:
            os.unlink(path)
        """,
    ),
    Attack(
        name="take every inode",
        ends=MEMORY_ENDS,
        seconds=30,
        code="""
        import shutil
        made = 0
        for where in (".", "/tmp", "/dev/shm"):
            folder = f"{where}/{MARK}-inodes"
            try:
                os.mkdir(folder)
                for n in range(6000):
                    os.mkdir(f"{folder}/{n}")
                    made += 1
            except OSError as error:
                print(where, error)
        print("GOT" if made > 5000 else "made", made, "inodes", flush=True)
        for where in (".", "/tmp", "/dev/shm"):
            shutil.rmtree(f"{where}/{MARK}-inodes", ignore_errors=True)
        """,
    ),
    Attack(
        name="leave a tree too deep to delete",
        control=Control.DESTRUCTIVE,
        code="""
        try:
            for n in range(3000):
                os.mkdir("d" * 100)
                os.chdir("d" * 100)
            os.chmod(".", 0)
        except OSError as error:
            print(n, error)
        """,
    ),
    Attack(
        name="leave links for the cleaner to follow",
        control=Control.IF_SUPPORTED,
        code="""
        os.symlink(OUTSIDE, MARK + "-cleaner")
        os.makedirs(MARK + "-x/y")
        os.symlink(OUTSIDE, MARK + "-x/y/z")
        """,
    ),
    Attack(
        name="leave files that nobody may delete",
        control=Control.DESTRUCTIVE,
        code=r"""
        os.mkdir("locked")
        open(b"locked/\xff\xfe\n\x1b[31m", "w").close()
        os.mkfifo("locked/pipe")
        try:
            os.chmod("locked", 0)
            os.chmod(".", 0)
        except OSError as error:
            print(error)
        """,
    ),
    Attack(
        name="open every descriptor",
        code=f"""
        import resource
        kept = []
        try:
            for n in range({FILES} * 20):
                kept.append(os.dup(0) if n % 2 else os.open("/dev/null", os.O_RDONLY))
        except OSError as error:
            print(error)
        n = len(kept)
        for fd in kept:
            os.close(fd)
        if n > 2 * {FILES}:
            print("GOT", n, "descriptors")
        """,
    ),
    Attack(
        name="grow pipes",
        control=Control.AS_ROOT,
        code="""
        import fcntl
        kept, total = [], 0
        try:
            while len(kept) < 2000:
                kept.append(os.pipe())
                size = fcntl.fcntl(kept[-1][1], 1031, 1 << 20)
                total += size
        except OSError as error:
            pass
        try:
            largest = fcntl.fcntl(kept[-1][1], 1031, 8 << 20)
        except (OSError, IndexError):
            largest = 0
        for pair in kept:
            os.close(pair[0]), os.close(pair[1])
        if total > 64 << 20 or largest > 1 << 20:
            print("GOT", total >> 20, "MiB in pipes, one of", largest >> 20)
        """,
    ),
    Attack(
        name="start ten thousand threads",
        ends=CRASHES,
        seconds=30,
        code="""
        import threading
        threading.stack_size(32768)
        gate, made = threading.Event(), 0
        try:
            for n in range(2000):
                threading.Thread(target=gate.wait, daemon=True).start()
                made += 1
        except (RuntimeError, MemoryError):
            pass
        print("GOT" if made > 600 else "made", made, "threads", flush=True)
        gate.set()
        """,
    ),
    *(
        Attack(name=f"start a process by {name}", tools=True, control=control, code=code)
        for name, control, code in (
            (
                "fork",
                Control.SUCCEEDS,
                "pid = os.fork()\nif pid == 0: os._exit(0)\nos.waitpid(pid, 0); print('GOT')",
            ),
            ("forkpty", Control.SUCCEEDS, "pid, fd = os.forkpty()\nif pid == 0: os._exit(0)\nprint('GOT')"),
            ("vfork", Control.DESTRUCTIVE, "r, e = call(58)\nif r == 0: call(60, 0)\nif r > 0: print('GOT')"),
            (
                "clone",
                Control.SUCCEEDS,
                "pid, e = call(56, 17, 0, 0, 0, 0)\nif pid == 0: os._exit(0)\nif pid > 0: print('GOT')",
            ),
            (
                "clone3",
                Control.SUCCEEDS,
                "a = (ctypes.c_uint64 * 8)(0, 0, 0, 0, 17)\npid, e = call(435, a, 64)\n"
                "if pid == 0: os._exit(0)\nif pid > 0: print('GOT')",
            ),
            (
                "clone with a shared memory but no thread",
                Control.DESTRUCTIVE,
                "pid, e = call(56, 0x100 | 0x4000 | 17, 0, 0, 0, 0)\nif pid == 0: call(60, 0)\nif pid > 0: print('GOT')",
            ),
            ("posix_spawn", Control.SUCCEEDS, "os.posix_spawn('/bin/true', ['true'], {}); print('GOT')"),
            ("system", Control.SUCCEEDS, "if os.system('exit 3') == 3 << 8: print('GOT')"),
            (
                "subprocess",
                Control.SUCCEEDS,
                "import subprocess; subprocess.run(['/bin/true'], check=True); print('GOT')",
            ),
            (
                "subprocess by another route",
                Control.SUCCEEDS,
                "import subprocess; subprocess._USE_VFORK = subprocess._USE_POSIX_SPAWN = False\n"
                "subprocess.run('exit 0', shell=True, check=True); print('GOT')",
            ),
            (
                "multiprocessing",
                Control.SUCCEEDS,
                "import multiprocessing as m\np = m.get_context('fork').Process(target=int)\n"
                "p.start(); p.join(); print('GOT')",
            ),
            ("popen", Control.SUCCEEDS, "if os.popen('echo GOT').read() == 'GOT\\n': print('GOT')"),
            (
                "the loader",
                Control.SUCCEEDS,
                "import subprocess, glob\nl = glob.glob('/lib*/ld-linux*') + glob.glob('/lib64/ld-*')\n"
                "subprocess.run([l[0], '/bin/true'], check=True); print('GOT')",
            ),
        )
    ),
    *(
        Attack(name=f"become another program by {name}", tools=True, code=code)
        for name, code in (
            ("execve", "os.execv('/bin/echo', ['echo', 'GOT'])"),
            (
                "execveat",
                "a = (ctypes.c_char_p * 3)(b'echo', b'GOT', None)\nprint(call(322, -100, b'/bin/echo', a, a, 0))",
            ),
            (
                "execveat of a descriptor",
                "a = (ctypes.c_char_p * 3)(b'echo', b'GOT', None)\n"
                "fd = os.open('/bin/echo', os.O_RDONLY)\nprint(call(322, fd, b'', a, a, 0x1000))",
            ),
            (
                "an anonymous file",
                "fd = os.memfd_create('x', 0)\nos.write(fd, open('/bin/echo', 'rb').read())\n"
                "os.execv(f'/proc/self/fd/{fd}', ['echo', 'GOT'])",
            ),
            (
                "the interpreter again",
                "import sys\nos.execv(sys.executable or '/usr/bin/python3', ['python', '-c', 'print(\"GOT\")'])",
            ),
        )
    ),
    Attack(
        name="fork without end",
        control=Control.DESTRUCTIVE,
        code="""
        made = 0
        while made < 50:
            pid = os.fork()
            if pid == 0:
                import time
                time.sleep(1)
                os._exit(0)
            made += 1
        print("GOT", made, "processes")
        """,
    ),
    Attack(
        name="spread memory over processes",
        control=Control.DESTRUCTIVE,
        ends=MEMORY_ENDS,
        code="""
        for n in range(4):
            if os.fork() == 0:
                import time
                kept = b"x" * (100 << 20)
                time.sleep(1)
                os._exit(0)
        print("GOT four processes")
        """,
    ),
    Attack(
        name="leave a daemon",
        code="""
        import time
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                for fd in range(256):
                    try:
                        os.close(fd)
                    except OSError:
                        pass
                time.sleep(3)
                os._exit(0)
            os._exit(0)
        print("GOT a daemon")
        """,
    ),
    Attack(
        name="raise the limits",
        control=Control.IF_SUPPORTED,
        code="""
        import resource
        before = {name: resource.getrlimit(getattr(resource, name)) for name in dir(resource) if name.startswith("RLIMIT")}
        for name, (soft, hard) in before.items():
            for value in (resource.RLIM_INFINITY, hard + 1 if 0 <= hard < 1 << 60 else -1):
                try:
                    resource.setrlimit(getattr(resource, name), (value, value))
                except (OSError, ValueError):
                    continue
                if resource.getrlimit(getattr(resource, name))[1] != hard:
                    print("GOT", name, resource.getrlimit(getattr(resource, name)))
        for name in ("RLIMIT_NOFILE", "RLIMIT_STACK", "RLIMIT_MEMLOCK"):
            number = getattr(resource, name)
            soft, hard = resource.getrlimit(number)
            lower = hard - 1 if hard > 0 else 1 << 40
            resource.setrlimit(number, (min(soft, lower) if soft >= 0 else lower, lower))
            try:
                resource.setrlimit(number, (soft, hard))
                print("GOT", name, "back up to", hard)
            except (OSError, ValueError) as error:
                print(name, error)
        """,
    ),
    Attack(
        name="raise the limits of others",
        needs=frozenset({"canary"}),
        code="""
        import resource
        resource.prlimit(CANARY, resource.RLIMIT_NOFILE, (33, 33))
        """,
        control=Control.IF_SUPPORTED,
    ),
    Attack(
        name="run before everybody else",
        control=Control.AS_ROOT,
        code="""
        def tried(label, action):
            try:
                action()
            except OSError as error:
                return print(label, error)
            print("GOT", label)
        tried("niceness", lambda: os.setpriority(os.PRIO_PROCESS, 0, -20))
        tried("real time", lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1)))
        tried("round robin", lambda: os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1)))
        """,
    ),
    Attack(
        name="run before everybody else by system calls",
        control=Control.AS_ROOT,
        tools=True,
        code="""
        class Policy(ctypes.Structure):
            _fields_ = [("size", ctypes.c_uint32), ("policy", ctypes.c_uint32), ("flags", ctypes.c_uint64),
                        ("nice", ctypes.c_int32), ("priority", ctypes.c_uint32), ("runtime", ctypes.c_uint64),
                        ("deadline", ctypes.c_uint64), ("period", ctypes.c_uint64)]
        if call(314, 0, ctypes.byref(Policy(48, 6, 0, 0, 0, 10**7, 10**8, 10**8)), 0)[0] == 0: print("GOT a deadline")
        if call(251, 1, 0, 1 << 13)[0] == 0: print("GOT real-time input and output")
        if call(151, 3)[0] == 0 and False: print("locked")
        """,
    ),
    Attack(
        name="slow others down",
        needs=frozenset({"canary"}),
        tools=True,
        code="""
        def tried(action, *arguments):
            try:
                action(*arguments)
            except OSError as error:
                print(action, error)
        tried(os.sched_setaffinity, CANARY, [min(os.sched_getaffinity(0))])
        tried(os.setpriority, os.PRIO_PROCESS, CANARY, 19)
        tried(lambda: os.sched_setscheduler(CANARY, os.SCHED_IDLE, os.sched_param(0)))
        print(call(251, 1, CANARY, 3 << 13))
        """,
    ),
    Attack(
        name="lock memory",
        control=Control.IF_SUPPORTED,
        tools=True,
        ends=MEMORY_ENDS,
        code="""
        area = ctypes.create_string_buffer(64 << 20)
        if call(149, ctypes.addressof(area), 64 << 20)[0] == 0:
            print("GOT 64 MiB locked")
        """,
    ),
    endless("loop for ever", "while True: pass"),
    endless("sleep for ever", "import time\nwhile True: time.sleep(100)"),
    endless("wait for nothing", "import select\nselect.select([], [], [])"),
    endless("wait for a lock", "import threading\nlock = threading.Lock(); lock.acquire(); lock.acquire()"),
    endless("loop in C", "sum(range(10**15))"),
    endless("loop in a regular expression", "import re\nre.match('(a+)+$', 'a' * 64 + 'b')"),
    endless("raise a huge power", "x = 9 ** (9 ** 9)", "timeout", "memory", "error"),
    endless("print a huge number", "import sys; sys.set_int_max_str_digits(0)\nstr(9 ** 9 ** 7)"),
    endless(
        "make threads that never end",
        """
        import threading
        for _ in range(4):
            threading.Thread(target=sum, args=(range(10**15),)).start()
        """,
    ),
    endless(
        "wait in a thread at exit",
        "import threading\nthreading.Thread(target=threading.Event().wait).start()",
        "timeout",
        "ok",
    ),
    endless("wait at exit", "import atexit, time\natexit.register(time.sleep, 1000)", "timeout", "ok"),
    endless(
        "wait in the last destructor",
        """
        import sys, time
        class Late:
            def __del__(self, sleep=time.sleep):
                sleep(1000)
        sys.late = Late()
        """,
        "timeout",
        "ok",
    ),
    endless(
        "ignore signals",
        """
        import signal
        for number in range(1, 65):
            try:
                signal.signal(number, lambda *_: None)
            except (OSError, ValueError):
                pass
        signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 64))
        while True:
            pass
        """,
    ),
    endless(
        "catch everything",
        """
        while True:
            try:
                while True:
                    pass
            except BaseException:
                pass
        """,
    ),
    endless(
        "stop itself",
        "import signal\nos.kill(os.getpid(), signal.SIGSTOP)\nwhile True: pass",
        "timeout",
        "killed",
    ),
    endless(
        "close what it was given and go on",
        """
        for fd in range(256):
            try:
                os.close(fd)
            except OSError:
                pass
        while True:
            pass
        """,
        "timeout",
        "killed",
        "error",
    ),
    flood("the output", "while True: print('x' * 1000)"),
    flood("the errors", "import sys\nwhile True: sys.stderr.write('x' * 1000)"),
    flood("the output with one line", "print('x' * (100 << 20))"),
    flood("the descriptor of the output", "while True: os.write(1, b'x' * 65536)"),
    flood("the descriptor of the errors", "while True: os.write(2, b'x' * 65536)"),
    flood(
        "the output with bytes that are no text", r"while True: os.write(1, b'\xff\x00\xed\xa0\x80' * 999)"
    ),
    flood(
        "both from threads",
        """
        import sys, threading
        def write(stream):
            while True:
                stream.write("x" * 1000)
        for stream in (sys.stdout, sys.stderr):
            threading.Thread(target=write, args=(stream,)).start()
        write(sys.stdout)
        """,
    ),
    flood("a traceback", "raise ValueError('x' * (10 << 20))", "output", "error"),
    flood("the name of an exception", "raise type('E' * (10 << 20), (Exception,), {})()", "output", "error"),
    crash("recurse", "def f(): return f()\nf()"),
    crash(
        "recurse without a limit", "import sys; sys.setrecursionlimit(10**9)\ndef f(x): return f([x])\nf(0)"
    ),
    crash("recurse in C", "x = []\nfor _ in range(10**6): x = [x]\nrepr(x)"),
    crash(
        "recurse in C without a limit",
        "import sys; sys.setrecursionlimit(10**9)\nx = []\nfor _ in range(10**6): x = [x]\nrepr(x)",
    ),
    crash("nest JSON", "import json\njson.loads('[' * 10**6)"),
    crash(
        "nest a pickle",
        "import pickle, sys\nsys.setrecursionlimit(10**9)\nx = []\nfor _ in range(10**6): x = [x]\npickle.dumps(x)",
    ),
    crash(
        "nest a destructor",
        "class A: pass\nx = None\nfor _ in range(10**6):\n    y = A(); y.x = x; x = y\ndel x, y",
        "ok",
        "error",
        "killed",
        "memory",
        "timeout",
    ),
    crash("nest source", "compile('-' * 10**6 + '1', '', 'eval')"),
    crash("nest source for the tree", "import ast\nast.literal_eval('[' * 10**5 + ']' * 10**5)"),
    crash(
        "compile what grows",
        "compile('x' + '*x' * 10**7, '', 'eval')",
        "memory",
        "error",
        "killed",
        "timeout",
        "ok",
    ),
    crash("fold what grows", "x = (((('a' * 10**4) * 10**4) * 10**4) * 10**4)"),
    crash(
        "unpack what grows",
        "import zlib\nz = zlib.compress(bytes(32 << 20), 9)\nkept = [zlib.decompress(z) for _ in range(64)]",
    ),
    crash("format what grows", "'%*d' % (10**10, 1)"),
    crash("pad what grows", "f'{1:{10**10}}'"),
    crash("multiply strings", "'x' * 10**11"),
    crash("multiply lists", "[0] * 10**11"),
    crash("read an address that is none", "import ctypes; ctypes.string_at(0)"),
    crash("write an address that is none", "import ctypes; ctypes.memset(1, 0, 9)"),
    crash(
        "run bytes that are no code",
        "f = lambda: 0\nf.__code__ = f.__code__.replace(co_code=bytes([100, 255, 100, 99] * 999), co_stacksize=1)\nf()",
    ),
    crash("abort", "os.abort()"),
    crash("kill itself", "os.kill(os.getpid(), 9)", "killed", "error"),
    crash("raise an exit", "raise SystemExit('x')"),
    crash("raise an interrupt", "raise KeyboardInterrupt"),
    crash("exit early", "os._exit(0)"),
    crash("exit early with a number", "os._exit(77)"),
    crash("exit early after a claim", "print('ALL TESTS PASSED', flush=True)\nos._exit(0)"),
    crash("exit by the system call", "import ctypes; ctypes.CDLL(None).syscall(231, 0)"),
    crash("exit the main thread only", "import ctypes; ctypes.CDLL(None).syscall(60, 0)"),
    crash(
        "set a timer and return",
        "import signal; signal.signal(14, lambda *_: os.abort()); signal.setitimer(0, 0.01, 0.01)",
        "ok",
        "error",
        "killed",
    ),
]
"""All of them; each with the limits of the table."""
