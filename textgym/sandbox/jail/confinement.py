"""What a child of the zygote does to itself before it looks at the code it has to run.

Invariant: ``confine`` either returns with every layer in place or raises; nothing that was given up can be
taken back by the code that follows, because each step is one that the kernel makes final: no new privileges, no
capability, limits that can only be lowered, Landlock, and last the system-call filter.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import struct
from dataclasses import dataclass
from typing import Any

from textgym.sandbox.jail import identity, landlock, seccomp
from textgym.sandbox.jail.libc import prctl, syscall
from textgym.sandbox.jail.syscalls import Architecture, architecture

__all__ = ["Plan", "confine", "planned"]

_SET_PDEATHSIG, _SET_DUMPABLE, _CAPBSET_DROP, _SET_NO_NEW_PRIVS = 1, 4, 24, 38
_CAPABILITIES_3 = 0x20080522
_STACK_BYTES = 8 * 2**20
_SIGNALS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What the zygote prepared once for all children."""

    machine: Architecture
    """For the numbers of system calls."""
    limits: dict[str, int]
    """The fields of ``SandboxLimits``."""
    program: bytes
    """The system-call filter."""
    rules: int
    """Descriptor of a Landlock ruleset, or -1 where the kernel has none."""
    whom: identity.Identity
    """Whom children run as."""
    scratch: identity.Scratch | None
    """What each child mounts."""


def planned(config: dict[str, Any]) -> Plan:
    """Prepare what can be prepared before there are children.

    Args:
        config: ``limits``, ``view``, ``has_view`` and ``scratch`` (a directory, or "") as the pool sent them.

    Returns:
        The plan.

    Raises:
        OSError: A layer is missing that has to be there, and which.
    """
    machine = architecture()
    if machine is None:
        raise OSError("there is no system-call filter for this architecture")
    view, limits = config["view"], config["limits"]
    rules = -1
    if landlock.version():
        writable = ["/dev/null"]
        if config["scratch"]:
            writable.append(
                os.path.dirname(config["scratch"])
            )  # a rule for the place itself is hidden by the mount
        readable = [*view["files"], *view["devices"]]
        for directory in view["directories"]:
            readable += landlock.entries_without(directory, view["masks"])
        rules = landlock.ruleset(readable, writable)
    elif not config["has_view"]:
        raise OSError("the kernel has no Landlock, or it is off")
    scratch = None
    if config["scratch"]:
        scratch = identity.Scratch(
            path=config["scratch"], size=limits["scratch_bytes"], files=limits["scratch_files"]
        )
    whom = identity.chosen(view["directories"], scratch)
    wanted = {
        seccomp.Extra.THREADS: whom.counted,
        seccomp.Extra.VIEW: config["has_view"],
        seccomp.Extra.SCRATCH: scratch is not None,
    }
    program = seccomp.program(machine, [extra for extra, there in wanted.items() if there])
    _drop_bounding_set()
    return Plan(machine=machine, limits=limits, program=program, rules=rules, whom=whom, scratch=scratch)


def confine(plan: Plan, ordinal: int, parent: int, rules: int, cpu_seconds: int) -> None:
    """Give up everything that running Python code does not need.

    Args:
        plan: What was prepared.
        ordinal: Number of this child, unlike those of its siblings.
        parent: Process id of the zygote.
        rules: Where this child has the descriptor of the Landlock ruleset, if there is one; it is closed.
        cpu_seconds: Computing time of all its threads, after which the kernel ends it; 0: no bound.

    Raises:
        OSError: A layer could not be put in place; nothing untrusted may run then.
    """
    os.chdir("/")
    os.umask(0o077)
    identity.assume(plan.whom.kind, ordinal, plan.scratch)
    prctl("prctl(PR_SET_PDEATHSIG)", _SET_PDEATHSIG, signal.SIGKILL)  # a change of user clears it
    if os.getppid() != parent:
        os._exit(0)
    if plan.scratch is not None:
        os.chdir(plan.scratch.path)
    _limit(plan, cpu_seconds)
    prctl("prctl(PR_SET_DUMPABLE)", _SET_DUMPABLE, 0)
    prctl("prctl(PR_SET_NO_NEW_PRIVS)", _SET_NO_NEW_PRIVS, 1)
    _drop_capabilities(plan.machine)
    if plan.rules >= 0:
        landlock.restrict(rules)
    os.close(rules)
    seccomp.install(plan.program, os.getpid())


def _limit(plan: Plan, cpu_seconds: int) -> None:
    values = {
        "RLIMIT_AS": plan.limits["memory_bytes"],
        "RLIMIT_FSIZE": plan.limits["file_bytes"],
        "RLIMIT_NOFILE": plan.limits["open_files"],
        "RLIMIT_STACK": _STACK_BYTES,
        "RLIMIT_SIGPENDING": _SIGNALS,
        "RLIMIT_CORE": 0,
        "RLIMIT_MEMLOCK": 0,
        "RLIMIT_MSGQUEUE": 0,
    }
    if cpu_seconds:
        values["RLIMIT_CPU"] = cpu_seconds
    if plan.whom.counted:
        values["RLIMIT_NPROC"] = plan.limits["threads"]
    for name, value in values.items():
        kind = getattr(resource, name)
        _, hard = resource.getrlimit(kind)
        if hard != resource.RLIM_INFINITY:
            value = min(value, hard)
        resource.setrlimit(kind, (value, value))


def _drop_bounding_set() -> None:
    """Let no capability come back by running a program, where this process may decide that."""
    for capability in range(64):
        try:
            prctl("prctl(PR_CAPBSET_DROP)", _CAPBSET_DROP, capability)
        except OSError:
            return


def _drop_capabilities(machine: Architecture) -> None:
    header = ctypes.create_string_buffer(struct.pack("=Ii", _CAPABILITIES_3, 0), 8)
    nothing = ctypes.create_string_buffer(bytes(24), 24)
    syscall("capset", machine.numbers["capset"], header, nothing)
