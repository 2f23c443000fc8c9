r"""Running Python that nobody trusts: code that a language model wrote.

``Sandbox`` runs it in processes of their own, as root or as any user, without a daemon and without anything to
be installed. A run comes back as a ``SandboxResult``; what the code does to its own process, however hostile,
is a status of that result and never an exception here.

    >>> with Sandbox() as box:
    ...     result = box.run("import math\nprint(math.comb(10, 3))")
    >>> result.stdout, result.status.value
    ('120\n', 'ok')

**How.** A *zygote*, a bare interpreter started by ``exec`` without this process's environment, has loaded a few
modules and forks a child for each run or session. It never sees code, input or output. Each child gives up, one
after another: its session and descriptors, its user, resources (memory, files, threads, computing time), new
privileges, all capabilities, the file system (Landlock), and all system calls but those that running Python needs
(seccomp, a list of what is allowed). Around the zygote stands a *view*: namespaces in which no other path,
process, network or host name exists. This side keeps the clock, bounds what it reads, kills, and decides on the
status.

Backends, by what keeps the code from the rest of the machine:

- ``bubblewrap``: a view made by ``bwrap``; Landlock where the kernel has it; seccomp and limits.
- ``namespaces``: a view made by the zygote itself, as root or where the kernel lets users make namespaces; the
  rest as above.
- ``landlock``: no view; Landlock, seccomp and limits.
- ``unsafe-subprocess``: nothing. A subprocess with limits, on any system; has to be typed in full, and warns.

``"auto"`` takes the first that works, where *works* means that a process was confined by it and hostile code in
it was refused. Where none does, ``SandboxUnavailable`` says what each lacks. x86_64 and aarch64 only.

**Covered** by the first three backends: reading files outside the interpreter's own (no home, no ``/etc``, no
textgym, no installed packages unless one was asked for with ``modules``), writing any file (there is a bounded
scratch directory where ``scratch_bytes`` asks for one), changing times, modes, owners or attributes of any path;
every socket; starting programs and processes; signals to, tracing and reading of other processes, the zygote
included; this process's environment, descriptors and memory; memory, computing time, wall time, output, files,
threads; keys, BPF, io_uring, user namespaces, mounts, System V and POSIX shared objects, anonymous files; what
is left behind, should this process die by SIGKILL.

**Not covered:**

- The kernel. A hole in a system call that remains is a hole here; so are side channels of the processor.
- With ``landlock`` alone, code can learn whether a path exists, its size, owner and times (``stat``), which
  process ids exist, and the machine's host name; not what files and directories hold. Threads are refused there
  unless each child can be made a user, or a namespace, of its own.
- As root with an interpreter that only root can enter (below ``/root``, in ``landlock`` alone) children stay root
  without capabilities, so that Landlock alone keeps them from root's files.
- An installed package that is asked for with ``modules`` opens the directory that it is installed in, with all
  that lies there: every other installed package, and textgym if it is one of them.
- Each run is bounded; all of them together only by ``workers`` times the limits. Sessions that wait keep their
  memory and are not counted among ``workers``, but among ``sessions``. Should the machine's memory be short all
  the same, the kernel ends a process of the sandbox first (status ``killed``), where ``/proc`` lets it be told.
- A session's computing time is bounded by the clock of its runs only; between them its process is stopped.
- What happens inside one process. The code can forge the report of its own run: ``ok`` and the values of ``call``
  are claims of the code about itself. Compare values out here, and never put an expected answer in there. In
  ``call`` one argument list can be remembered while another is handled.
- The version and place of the interpreter, the kernel's version, its uptime and total memory can be read, as can
  the time.

**Same code, same output**: hashing and ``random`` begin alike in every run. What asks for the time, an address
or ``os.urandom`` does not.
"""

from __future__ import annotations

from textgym.errors import SandboxUnavailable
from textgym.sandbox.backend import Backend
from textgym.sandbox.limits import SandboxLimits
from textgym.sandbox.probe import ProbeRow, probe
from textgym.sandbox.result import CallOutcome, SandboxResult, SandboxStatus
from textgym.sandbox.sandbox import Sandbox, SandboxSession, shared
from textgym.sandbox.settings import DEFAULT_MODULES

__all__ = [
    "DEFAULT_MODULES",
    "Backend",
    "CallOutcome",
    "ProbeRow",
    "Sandbox",
    "SandboxLimits",
    "SandboxResult",
    "SandboxSession",
    "SandboxStatus",
    "SandboxUnavailable",
    "probe",
    "shared",
]
