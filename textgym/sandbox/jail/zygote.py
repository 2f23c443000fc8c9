"""The zygote: a bare interpreter with some modules loaded, from which every run is forked.

It is started by ``exec`` with an empty environment and the text of this folder (``textgym.sandbox.program``),
moves into its view if it has to make one, loads modules, prepares what children need, and then serves one
socket. It never sees the code, the input or the output of a call: a start message carries the descriptors of
the child's own socket and pipes, and the code comes over that socket.

Messages in: ``{"do": "start" | "kill" | "stop" | "continue", "id": int}``, to start with ``lasting`` and
``cpu_seconds``. Out: ``{"ready": true}`` or ``{"failed": why}`` once, then ``{"ended": id, "status": wait
status}``.

Invariant: it has one thread, and ends with the process that started it, as do its children with it.
"""

from __future__ import annotations

import fcntl
import gc
import importlib
import json
import os
import select
import signal
import socket
import sys
from typing import Any

from textgym.sandbox.jail import namespaces
from textgym.sandbox.jail.confinement import Plan, confine, planned
from textgym.sandbox.jail.interpreter import Channel, Interpreter
from textgym.sandbox.jail.libc import prctl
from textgym.sandbox.jail.oom import die_first

__all__ = ["main"]

_LONGEST_MESSAGE = 1 << 18
_DESCRIPTORS = 3
_CHANNEL, _RULES, _HIGH, _HIGHEST = 3, 4, 100, 4096
"""Descriptors of a child; for a moment it has copies from ``_HIGH`` on, and none ever is beyond
``_HIGHEST``."""
_ACTIONS = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP, "continue": signal.SIGCONT}


def main() -> None:
    """Serve until the other side closes.

    ``sys.argv[1]`` is the descriptor of the socket to the pool, which keeps the boundaries of messages.
    """
    die_first()
    control = socket.socket(fileno=int(sys.argv[1]))
    config = json.loads(control.recv(_LONGEST_MESSAGE))
    try:
        plan = _prepared(config)
    except OSError as error:
        control.send(json.dumps({"failed": str(error)[:1000]}).encode())
        return
    control.send(b'{"ready": true}')
    _Zygote(control, plan).serve()


def _prepared(config: dict[str, Any]) -> Plan:
    prctl("prctl(PR_SET_PDEATHSIG)", 1, signal.SIGKILL)
    if config["parent"] and os.getppid() != config["parent"]:
        os._exit(0)
    null = os.open("/dev/null", os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)
    os.close(null)
    if config["make_view"]:
        namespaces.enter(config["view"], config["scratch"])
    os.chdir("/")
    sys.path += config["packages"]
    for name in config["modules"]:
        try:
            importlib.import_module(name)
        except Exception as error:
            raise OSError(f"module {name!r} cannot be imported in the sandbox: {error!r}") from error
    os.environ.clear()
    plan = planned(config)
    prctl("prctl(PR_SET_DUMPABLE)", 4, 0)
    for name in [name for name in sys.modules if name.split(".")[0] == "textgym"]:
        del sys.modules[name]
    importlib.import_module("site").setquit()  # `exit()` and `quit()`
    gc.collect()
    gc.freeze()
    return plan


class _Zygote:
    def __init__(self, control: socket.socket, plan: Plan) -> None:
        self._control = control
        self._plan = plan
        self._children: dict[int, int] = {}
        self._ids: dict[int, int] = {}
        self._wake, self._woken = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def serve(self) -> None:
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._woken, warn_on_full_buffer=False)
        poll = select.poll()
        poll.register(self._control, select.POLLIN)
        poll.register(self._wake, select.POLLIN)
        while True:
            for descriptor, _ in poll.poll():
                if descriptor == self._wake:
                    os.read(self._wake, 4096)
                    self._reap()
                elif not self._obey():
                    return

    def _obey(self) -> bool:
        data, descriptors, _, _ = socket.recv_fds(self._control, 4096, _DESCRIPTORS)
        if not data:
            return False
        message = json.loads(data)
        ordinal = message["id"]
        if message["do"] == "start":
            try:
                self._start(message, descriptors)
            finally:
                for each in descriptors:
                    os.close(each)
        elif ordinal in self._children:
            try:
                os.kill(self._children[ordinal], _ACTIONS[message["do"]])
            except ProcessLookupError:
                pass
        return True

    def _start(self, message: dict[str, Any], descriptors: list[int]) -> None:
        ordinal = message["id"]
        zygote = os.getpid()
        try:
            child = os.fork()
        except OSError:
            self._report({"ended": ordinal, "status": None})
            return
        if child == 0:
            try:
                self._become_child(message, descriptors, zygote)
            finally:
                os._exit(70)
        self._children[ordinal] = child
        self._ids[child] = ordinal

    def _become_child(self, message: dict[str, Any], descriptors: list[int], zygote: int) -> None:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.setsid()
        rules = self._plan.rules
        kept = dict(zip((_CHANNEL, 1, 2, _RULES), (*descriptors, rules if rules >= 0 else 0), strict=True))
        high = {place: fcntl.fcntl(each, fcntl.F_DUPFD, _HIGH) for place, each in kept.items()}
        for place, each in high.items():
            os.dup2(each, place)
        os.closerange(_RULES + 1, _HIGHEST)
        channel = Channel(_CHANNEL)
        try:
            confine(self._plan, message["id"], zygote, _RULES, message["cpu_seconds"])
        except BaseException as error:
            channel.send(json.dumps({"failed": str(error)[:1000]}))
            return
        channel.send('{"ready": true}')
        lasting = message["lasting"]
        interpreter = Interpreter(channel.send, lasting=lasting)
        while (request := channel.request()) is not None:
            interpreter.answer(*request)
            if not lasting:
                os._exit(0)
        os._exit(0)

    def _reap(self) -> None:
        while self._ids:
            try:
                child, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not child:
                return
            ordinal = self._ids.pop(child, None)
            if ordinal is not None:
                del self._children[ordinal]
                self._report({"ended": ordinal, "status": status})

    def _report(self, message: dict[str, Any]) -> None:
        self._control.send(json.dumps(message).encode())
