"""The ground an attack is let loose on, and what an outsider can see of its effects.

Holds files with a secret, listening sockets, a canary process, signal counters. Invariant: every oracle looks from
outside the sandbox, at things the attack had no business to reach. It takes nothing down but what it set up.
"""

from __future__ import annotations

import hashlib
import os
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import uuid
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import textgym
from containment.attack import GOT, Attack, Report

SECRET_VARIABLE = "TEXTGYM_ATTACK_SECRET"
SIGNAL = signal.SIGWINCH
"""Ignored by default: a signal that gets out hurts nobody."""


class Estate:
    """What one table of attacks shares: the secret, where copies of it lie, and the signals that arrived."""

    def __init__(self) -> None:
        self.token = f"TGSECRET-{uuid.uuid4().hex}"
        self.root = Path(tempfile.mkdtemp(prefix="textgym-attacks-"))
        self.mark = f"textgym-{uuid.uuid4().hex[:12]}"
        self.places = self._scatter()
        self.signals = 0
        os.environ[SECRET_VARIABLE] = self.token
        self.inherited = os.open(self.places[0], os.O_RDONLY)
        os.set_inheritable(self.inherited, True)
        self._handler = signal.signal(SIGNAL, self._count)

    def _scatter(self) -> list[str]:
        """The secret in the places where secrets lie."""
        found = []
        for folder in (self.root, Path.home(), Path("/dev/shm"), Path("/var/tmp"), Path("/tmp")):
            path = folder / f"{self.mark}-secret"
            try:
                path.write_text(self.token)
            except OSError:
                continue
            found.append(str(path))
        return found

    def _count(self, *_: Any) -> None:
        self.signals += 1

    def leftovers(self) -> list[str]:
        """What bears the mark of the attacks in places that outlive a process."""
        found = [
            str(path)
            for folder in ("/tmp", "/dev/shm", "/dev/mqueue", "/var/tmp", str(Path.home()), os.getcwd())
            for path in Path(folder).glob(f"{self.mark}*")
            if str(path) not in self.places
        ]
        keys = Path("/proc/sysvipc/shm")
        if keys.exists() and any(line.split()[0] == str(self.key) for line in keys.read_text().splitlines()):
            found.append(f"System V shared memory {self.key}")
        return found

    @property
    def key(self) -> int:
        """A System V key of this table."""
        return int(self.mark[-7:], 16)

    def close(self) -> None:
        """Take everything down."""
        for path in [*self.places, *self.leftovers()]:
            if path.startswith("System V"):
                subprocess.run(["ipcrm", "-M", str(self.key)], check=False)
            elif os.path.isdir(path):
                shutil.rmtree(path, ignore_errors=True)
            else:
                Path(path).unlink(missing_ok=True)
        os.environ.pop(SECRET_VARIABLE, None)
        os.close(self.inherited)
        signal.signal(SIGNAL, self._handler)
        shutil.rmtree(self.root, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Ground:
    """What one attack aims at."""

    def __init__(self, estate: Estate, attack: Attack) -> None:
        self.estate = estate
        self.attack = attack
        self.folder = Path(tempfile.mkdtemp(dir=estate.root))
        self.secret = self.folder / "secret.txt"
        self.secret.write_text(estate.token)
        (self.folder / "pointer").symlink_to(f"/nowhere/{estate.token}")
        os.chmod(self.secret, 0o644)
        os.utime(self.secret, (1_000_000_000, 1_000_000_000))
        self.before = self._picture()
        self.sockets: dict[str, socket.socket] = {}
        self.canary: subprocess.Popen[bytes] | None = None
        if "network" in attack.needs:
            self._listen()
        if "canary" in attack.needs:
            self.canary = subprocess.Popen(["sleep", "600"], start_new_session=True)
            self.health = self._vitals()
        self.signals = estate.signals

    def _listen(self) -> None:
        for name, family, kind, address in (
            ("tcp", socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 0)),
            ("tcp6", socket.AF_INET6, socket.SOCK_STREAM, ("::1", 0)),
            ("udp", socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", 0)),
            ("abstract", socket.AF_UNIX, socket.SOCK_STREAM, f"\0{self.folder.name}"),
            ("abstract_dgram", socket.AF_UNIX, socket.SOCK_DGRAM, f"\0{self.folder.name}-d"),
            ("path", socket.AF_UNIX, socket.SOCK_STREAM, str(self.folder / "socket")),
            ("path_dgram", socket.AF_UNIX, socket.SOCK_DGRAM, str(self.folder / "dgram")),
        ):
            try:
                listener = socket.socket(family, kind)
                listener.bind(address)
            except OSError:
                continue
            if kind == socket.SOCK_STREAM:
                listener.listen()
            self.sockets[name] = listener
        self.before = self._picture()

    def names(self) -> dict[str, Any]:
        """What the snippet knows: where to aim, never the secret itself."""
        ports = {
            name: self.sockets[name].getsockname()[1]
            for name in ("tcp", "tcp6", "udp")
            if name in self.sockets
        }
        return {
            "SECRET": str(self.secret),
            "OUTSIDE": str(self.folder),
            "PLACES": self.estate.places,
            "PACKAGES": str(Path(textgym.__file__).parents[1]),
            "MARK": self.estate.mark,
            "KEY": self.estate.key,
            "PARENT": os.getpid(),
            "CANARY": self.canary.pid if self.canary else 0,
            "SIGNAL": int(SIGNAL),
            "PORTS": ports,
            "ABSTRACT": f"\0{self.folder.name}",
        }

    def _picture(self) -> dict[str, tuple[Any, ...]]:
        """Everything of the folder that an attack could change."""
        found = {}
        for path in [self.folder, *sorted(self.folder.iterdir())]:
            if path.exists():
                facts = path.stat()
                text = path.read_bytes() if path.is_file() else b""
                attributes = os.listxattr(path) if hasattr(os, "listxattr") else []
                found[path.name] = (
                    facts.st_mode, facts.st_uid, facts.st_size, facts.st_mtime_ns, facts.st_nlink, text, attributes
                )  # fmt: skip
        return found

    def _vitals(self) -> dict[str, Any]:
        """State, niceness, affinity, limits and memory badness of the canary."""
        assert self.canary is not None
        pid = self.canary.pid
        try:
            stat = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
            return {
                "state": "alive" if stat[0] in "SRD" else stat[0],
                "nice": stat[16],
                "affinity": sorted(os.sched_getaffinity(pid)),
                "scheduler": os.sched_getscheduler(pid),
                "limits": Path(f"/proc/{pid}/limits").read_text(),
                "badness": Path(f"/proc/{pid}/oom_score_adj").read_text(),
                "traced": [
                    x
                    for x in Path(f"/proc/{pid}/status").read_text().splitlines()
                    if x.startswith("TracerPid")
                ],
            }
        except OSError as error:
            return {"state": f"gone: {error}"}

    @staticmethod
    def host_digest() -> str:
        """The digest of this machine's name."""
        return hashlib.sha256(os.uname().nodename.encode()).hexdigest()

    def harm(self) -> str:
        """What was done to this ground, or ''."""
        after = self._picture()
        if after != self.before:
            changed = [name for name in after | self.before if after.get(name) != self.before.get(name)]
            return f"changed files {changed}"
        heard = select.select(list(self.sockets.values()), [], [], 0)[0]
        if heard:
            return f"reached {[name for name, one in self.sockets.items() if one in heard]}"
        if "signals" in self.attack.needs and self.estate.signals > self.signals:
            return "a signal arrived"
        if self.canary:
            state = self._vitals()
            if state != self.health:
                changed = {key: state.get(key) for key in self.health if state.get(key) != self.health[key]}
                return f"canary: {changed}"
        return ""

    def verdict(self, report: Report) -> str:
        """'' if the sandbox held, else what got out or why the attack proves nothing."""
        said = report.stdout + report.stderr + repr(report.values)
        if self.estate.token in said or self.estate.token.encode().hex() in said:
            return "read the secret"
        if harm := self.harm():
            return harm
        for line in report.stdout.splitlines():
            if line.startswith(GOT):
                return line[:300]
        if self.attack.proof and (found := self.attack.proof(self, report)):
            return found
        return self.attack.ended(report)

    def close(self) -> None:
        """End what was started for this attack alone."""
        for one in self.sockets.values():
            one.close()
        if self.canary:
            self.canary.kill()
            self.canary.wait()
        shutil.rmtree(self.folder, ignore_errors=True)
