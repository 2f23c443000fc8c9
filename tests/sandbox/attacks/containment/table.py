"""The table: every attack against one backend in one way of running it, and what got out.

    PYTHONPATH=. python -m containment.table --backend landlock --mode run

prints JSON, attack -> what got out ('' where the sandbox held). It imports no pytest, so it runs as another user
with a bare interpreter. Invariant: after each attack the same sandbox still answers a plain question rightly.
"""

from __future__ import annotations

import argparse
import asyncio
import ctypes
import json
import os
import sys
import tempfile
import time
from collections.abc import Collection, Sequence
from pathlib import Path

from containment.attack import Attack, Control, Report
from containment.ground import Estate, Ground
from containment.kernel import KERNEL
from containment.network import NETWORKING
from containment.reads import READS
from containment.resources import FILE, FILES, MEMORY, OUTPUT, RESOURCES
from containment.results import RESULTS
from textgym.errors import SandboxUnavailable
from textgym.sandbox import Sandbox, SandboxLimits

ATTACKS: tuple[Attack, ...] = (*READS, *NETWORKING, *RESOURCES, *KERNEL, *RESULTS)
"""Every attack that is a piece of code."""

BY_MODE = {
    "run": ATTACKS,
    "session": (*RESOURCES, *RESULTS),
    "scratch": (*READS, *RESOURCES, *RESULTS),
    "call": (*RESOURCES, *RESULTS),
}
"""What is tried in each way of running code: where a way differs from the others."""

MODES = ("run", "session", "call", "scratch")
"""Ways of running code; the last is a run that may write to a file system of its own."""

SCRATCH = 8 << 20

CONCURRENT = 8
"""How many attacks run together."""

FUNCTION = "\ndef answer(x):\n    return x\n"


def limits(mode: str = "run") -> SandboxLimits:
    """Low ones: the attacks are measured against them."""
    return SandboxLimits(
        seconds=20.0,
        memory_bytes=MEMORY,
        output_bytes=OUTPUT,
        file_bytes=FILE,
        open_files=FILES,
        scratch_bytes=SCRATCH if mode == "scratch" else 0,
    )


async def run(box: Sandbox, code: str, mode: str, seconds: float) -> Report:
    """Run the code in one of the ways."""
    if mode == "session":
        with box.session() as session:
            result = await session.arun(code, timeout=seconds)
    elif mode == "call":
        result = await box.acall(code + FUNCTION, "answer", [[1], [2]], timeout=seconds)
    else:
        result = await box.arun(code, timeout=seconds)
    values = tuple(
        (outcome.ok, outcome.value, outcome.error) for outcome in getattr(result, "values", ()) or ()
    )
    return Report(stdout=result.stdout, stderr=result.stderr, status=str(result.status), values=values)


async def attacked(box: Sandbox, attack: Attack, mode: str, estate: Estate) -> str:
    """What got out, or ''."""
    ground = Ground(estate, attack)
    try:
        report = await run(box, attack.source(ground.names()), mode, attack.seconds)
        if found := ground.verdict(report):
            return found
        after = await run(box, "print(6 * 7)", "run", 60.0)
        if (after.stdout, after.status) != ("42\n", "ok"):
            return f"the next run was spoilt: {after.status} {after.stdout[:100]!r} {after.stderr[-300:]!r}"
        return ground.harm()
    except SandboxUnavailable:
        raise  # not a word about the attack
    except Exception as error:
        return f"the caller got {type(error).__name__}: {str(error)[:300]}"
    finally:
        ground.close()


async def unprotected(attack: Attack, estate: Estate) -> str:
    """What the same snippet does in a plain subprocess."""
    ground = Ground(estate, attack)
    folder = Path(tempfile.mkdtemp(dir=estate.root))
    try:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", attack.source(ground.names()), cwd=folder, close_fds=False,
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        out, err = await asyncio.wait_for(process.communicate(), 60)
        status = "ok" if process.returncode == 0 else "killed" if (process.returncode or 0) < 0 else "error"
        return ground.verdict(
            Report(
                stdout=out.decode("utf-8", "replace"), stderr=err.decode("utf-8", "replace"), status=status
            )
        )
    finally:
        ground.close()


async def play(backend: str, mode: str, attacks: Sequence[Attack], estate: Estate) -> dict[str, str]:
    """Attack -> what got out."""
    room = asyncio.Semaphore(CONCURRENT)
    with Sandbox(limits=limits(mode), backend=backend, workers=CONCURRENT) as box:

        async def one(attack: Attack) -> str:
            async with room:
                return await attacked(box, attack, mode, estate)

        found = await asyncio.gather(*(one(attack) for attack in attacks))
    return dict(zip((attack.name for attack in attacks), found, strict=True))


def without_sandbox(estate: Estate) -> dict[str, str]:
    """Attack -> what it achieves in a plain subprocess, for those that may be shown."""
    shown = [a for a in ATTACKS if a.control not in (Control.DESTRUCTIVE, Control.ENDLESS)]

    async def main() -> list[str]:
        room = asyncio.Semaphore(CONCURRENT)

        async def one(attack: Attack) -> str:
            async with room:
                return await unprotected(attack, estate)

        return await asyncio.gather(*(one(attack) for attack in shown))

    return dict(zip((attack.name for attack in shown), asyncio.run(main()), strict=True))


def with_sandbox(backend: str, mode: str, estate: Estate, only: str = "") -> dict[str, str]:
    """The whole table of one backend in one way of running."""
    attacks = [attack for attack in BY_MODE[mode] if only in attack.name]
    found = asyncio.run(play(backend, mode, attacks, estate))
    found["a signal reached the process that runs the table"] = f"{estate.signals}" if estate.signals else ""
    found["something was left behind"] = ", ".join(estate.leftovers())
    found["a process was left behind"] = ", ".join(orphans())
    return found


def adopt_orphans(adopt: bool = True) -> None:
    """Make this process the parent of what its descendants leave behind, so that it is counted; or no more."""
    ctypes.CDLL(None).prctl(36, int(adopt), 0, 0, 0)


def children() -> list[int]:
    """Process ids of the children of every thread of this process."""
    found: list[int] = []
    for task in Path("/proc/self/task").iterdir():
        try:
            found += map(int, (task / "children").read_text().split())
        except OSError:
            continue  # that thread has ended
    return found


def orphans(patience: float = 10.0, others: Collection[int] = ()) -> list[str]:
    """Processes below this one, but for others, that are still there after a while; collects the ended."""
    began = time.monotonic()
    while True:
        found = []
        for pid in children():
            if pid in others:
                continue
            try:
                name, state = Path(f"/proc/{pid}/stat").read_text().split(" ", 1)[1].rsplit(") ", 1)
            except OSError:
                continue
            if state[0] == "Z" and time.monotonic() > began + 1:
                os.waitpid(pid, os.WNOHANG)
            else:
                found.append(f"{name[1:]} {pid} {state[0]}")
        if not found or time.monotonic() > began + patience:
            return found
        time.sleep(0.02)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--backend", required=True)
    parser.add_argument("--mode", choices=MODES, default="run")
    parser.add_argument("--only", default="", help="attacks whose name holds this")
    options = parser.parse_args()
    os.umask(0o022)
    adopt_orphans()
    with Estate() as estate:
        print(json.dumps(with_sandbox(options.backend, options.mode, estate, options.only), indent=1))


if __name__ == "__main__":
    main()
