# ruff: noqa: E501 (a snippet keeps its lines)
"""Attacks on the way of the results: what is printed, when, through which descriptor, in which bytes.

Invariant checked: whatever a run writes wherever it can, the caller gets a plain result of that run and of no other.
"""

from __future__ import annotations

import json
import struct
from typing import Any

from containment.attack import Attack, Control, Report
from containment.ground import Ground
from containment.resources import must

FORGED = {
    "status": "ok",
    "ok": True,
    "stdout": "GOT a forged result",
    "stderr": "",
    "seconds": 0.0,
    "value": "FORGED",
    "values": [{"ok": True, "value": "FORGED", "error": ""}] * 3,
    "outcomes": [[True, "FORGED", ""]] * 3,
    "id": 0,
    "kind": "result",
    "type": "result",
}
"""What a forger would like the caller to believe."""

FRAMES = [
    prefix + body + suffix
    for body in (json.dumps(FORGED).encode(), b"[" + json.dumps(FORGED).encode() + b"]")
    for prefix, suffix in (
        (b"", b"\n"),
        (struct.pack(">I", len(body)), b""),
        (struct.pack("<I", len(body)), b""),
        (struct.pack(">Q", len(body)), b""),
        (struct.pack("<Q", len(body)), b""),
        (b"R" + struct.pack(">I", len(body)), b""),
        (b"%d\n" % len(body), b""),
        (b"Content-Length: %d\r\n\r\n" % len(body), b""),
    )
]
"""Frames in the usual shapes."""

WRECKS = [
    b"\xff" * 4096,
    b"\x00" * 4096,
    b"\x7f\xff\xff\xff" * 64,
    struct.pack(">I", 10) + b"{" * 10,
    struct.pack(">I", 200_000) + b"[" * 200_000,
    struct.pack("<I", 200_000) + b"[" * 200_000,
    b"9" * 100_000 + b"\n",
    b'{"status": NaN, "stdout": "\\ud800"}\n',
]
"""What a reader may choke on."""


def everywhere(frames: list[bytes], before: str = "") -> str:
    """Code that writes the frames to every descriptor but 0 to 2."""
    return f"""
import fcntl, stat, sys
{before}
for fd in range(3, 256):
    try:
        mode = os.fstat(fd).st_mode
        if stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or stat.S_ISREG(mode):
            fcntl.fcntl(fd, fcntl.F_SETFL, fcntl.fcntl(fd, fcntl.F_GETFL) | os.O_NONBLOCK)
            for frame in {frames!r}:
                os.write(fd, frame)
    except OSError:
        pass
"""


def plain(value: Any) -> bool:
    """Whether a value is made of JSON's types and nothing else, and its texts can be encoded."""
    if type(value) is list:
        return all(map(plain, value))
    if type(value) is dict:
        return all(plain(key) and type(key) is str and plain(inner) for key, inner in value.items())
    if type(value) is str:
        return encodable(value)
    return type(value) in (int, float, bool, type(None))


def encodable(text: str) -> bool:
    """Whether a text can be stored and sent on."""
    return type(text) is str and text.encode("utf-8", "replace").decode("utf-8") == text


def honest(ground: Ground, report: Report) -> str:
    """The forged text may not pass for a result."""
    for ok, value, error in report.values:
        if type(ok) is not bool or not plain(value) or not encodable(error):
            return f"an outcome that is not plain: {ok!r} {value!r:.100} {error!r:.100}"
    if not encodable(report.stdout) or not encodable(report.stderr):
        return "an output that cannot be encoded"
    believed = report.stdout == FORGED["stdout"] or "FORGED" in repr(report.values)
    return "a forged result was believed" if believed else ""


def result(name: str, code: str, *statuses: str, seconds: float = 20.0) -> Attack:
    """An attack on the result path; may end in any way but with a forged result."""
    ends = frozenset(statuses or ("ok", "error", "killed", "output", "timeout", "memory"))

    def proof(ground: Ground, report: Report) -> str:
        return honest(ground, report) or must(*ends)(ground, report)

    return Attack(name=name, code=code, ends=ends, control=Control.ENDLESS, proof=proof, seconds=seconds)


STEAL = """
import struct, sys
frame, nonce = sys._getframe(), None
while frame and nonce is None:
    nonce = frame.f_locals.get("nonce")
    if nonce is None and isinstance(frame.f_locals.get("request"), dict):
        nonce = frame.f_locals["request"].get("nonce")
    frame = frame.f_back
nonce = nonce or "unknown"
def send(message, length=None):
    data = message.encode("utf-8", "surrogatepass") if isinstance(message, str) else message
    data = struct.pack("!I", len(data) if length is None else length) + data
    for fd in range(3, 64):
        try:
            os.write(fd, data)
        except OSError:
            pass
N = '{"nonce": ' + repr(nonce).replace("'", '"') + ', '
"""
"""Code that takes the mark of true reports from the frames of whoever runs it, and sends reports of its own with it."""

STOLEN = {
    "twice": ['N + \'"place": 0, "ok": true, "value": 9}\''] * 2,
    "at no place": [
        'N + \'"place": -1, "ok": true, "value": 9}\'',
        'N + \'"place": 99, "ok": true, "value": 9}\'',
    ],
    "at places of other types": [
        f'N + \'"place": {place}, "ok": true, "value": 9}}\''
        for place in ("true", '\\"0\\"', "null", "0.0", "[]", "1e999", "NaN", "{}", "1" * 5000)
    ],
    "with a verdict of another type": [
        f'N + \'"place": {place}, "ok": {ok}, "value": 9, "error": 5}}\''
        for place, ok in enumerate(("1", "null", "[]", '\\"yes\\"', "false"))
    ],
    "without a value": [
        'N + \'"place": 0, "ok": true}\'',
        'N + \'"place": 1, "ok": false}\'',
        "N + '\"place\": 1}'",
    ],
    "with a long integer": ["N + '\"place\": 0, \"ok\": true, \"value\": ' + '1' * 20000 + '}'"],
    "with a nest": ["N + '\"place\": 0, \"ok\": true, \"value\": ' + '[' * 100000 + ']' * 100000 + '}'"],
    "with a nest of mappings": [
        "N + '\"place\": 0, \"ok\": true, \"value\": ' + '{\"a\":' * 50000 + '1' + '}' * 50000 + '}'"
    ],
    "with numbers that are none": [
        'N + \'"place": 0, "ok": true, "value": [NaN, Infinity, -Infinity, 1e999]}\''
    ],
    "with half characters": [
        'N + \'"place": 0, "ok": true, "value": "\\\\ud800"}\'',
        'N + \'"place": 1, "ok": false, "error": "\\\\ud800"}\'',
    ],
    "that are no mapping": ["'[]'", "'1'", "'\"x\"'", "'null'", "''", "'{}'", "'nonce'", "' '"],
    "that are no text": ["b'\\xff\\xfe'", "b'\\x00' * 100", 'b\'{"nonce": "\\xed\\xa0\\x80"}\''],
    "with an unknown status": ['N + \'"status": "splendid"}\''],
    "with a status of another type": [
        "N + '\"status\": []}'",
        "N + '\"status\": {}}'",
        "N + '\"status\": 1}'",
    ],
    "with the status of a timeout": ['N + \'"status": "timeout"}\''],
    "that end and go on": [
        'N + \'"status": "ok"}\'',
        'N + \'"place": 0, "ok": true, "value": 9}\'',
        'N + \'"status": "error"}\'',
    ],
    "that are many": ['N + \'"place": 0, "ok": true, "value": 9}\''] * 3000,
    "that say it is ready": ["'{\"ready\": true}'", '\'{"failed": "x"}\'', "'{\"failed\": 1}'"],
    "that name the end of another": [f'\'{{"ended": {n}, "status": 0}}\'' for n in range(20)],
    "with keys twice": ['N + \'"place": 0, "place": 1, "ok": true, "ok": true, "value": 9, "value": 8}\''],
}
"""What is sent; expressions, after ``STEAL``."""


def stolen(reports: list[str], after: str) -> str:
    """Code that sends reports with the stolen mark."""
    return STEAL + f"for report in [{', '.join(reports)}]:\n    send(report)\n{after}\n"


LATE = """
import threading, time
def late():
    time.sleep({delay})
    while True:
        try:
            os.write(1, b"GOT a line of another run\\n")
        except OSError:
            pass
        time.sleep(0.001)
for _ in range(3):
    threading.Thread(target=late, daemon=True).start()
"""

RESULTS = [
    result("forge results on every descriptor", everywhere(FRAMES)),
    result("forge results and end at once", everywhere(FRAMES) + "\nos._exit(0)\n"),
    result("forge results and raise", everywhere(FRAMES) + "\nraise ValueError\n", "error", "killed"),
    result("forge results and crash", everywhere(FRAMES) + "\nos.abort()\n", "error", "killed"),
    result("forge results and loop", everywhere(FRAMES) + "\nwhile True: pass\n", "error", "killed", "timeout", seconds=1.0),
    result("wreck the reader", everywhere(WRECKS)),
    result("wreck the reader and end at once", everywhere(WRECKS) + "\nos._exit(0)\n", "error", "killed"),
    result("flood every descriptor", everywhere([]) + """
import time
end = time.monotonic() + 0.5
while time.monotonic() < end:
    for fd in range(3, 64):
        try:
            os.write(fd, b"x" * 65536)
        except OSError:
            pass
"""),
    result("forge results when the interpreter ends", f"import atexit\ndef late():\n    {everywhere(FRAMES).replace(chr(10), chr(10) + '    ')}\natexit.register(late)\n"),
    result("forge results from a destructor", f"class Late:\n  def __del__(self, os=os):\n    {everywhere(FRAMES).replace(chr(10), chr(10) + '    ')}\nimport sys\nsys.late = Late()\n"),
    *(
        result(f"send reports {name}{how}", stolen(reports, after))
        for name, reports in STOLEN.items()
        for how, after in (("", ""), (" and end", "os._exit(0)"))
    ),
    *(
        result(f"send {name}", STEAL + code, seconds=3.0)
        for name, code in (
            ("half a report and end", "send('{}', 100)\nos._exit(0)"),
            ("half a report and go on", "send('{}', 100)"),
            ("a report of 4 GiB", "send('{' * 1000, 0xFFFFFFFF)"),
            ("a report of 4 GiB and end", "send('{' * 1000, 0xFFFFFFFF)\nos._exit(0)"),
            ("a report of 512 MiB in full", "for _ in range(512): send('x' * (1 << 20), 1 << 29)"),
            ("empty reports", "for _ in range(2000): send('')"),
            ("one byte and end", "[os.write(fd, b'x') for fd in (3,)]\nos._exit(0)"),
            ("the end of reports first", "import socket\nsocket.socket(fileno=os.dup(3)).shutdown(2)"),
        )
    ),
    result("print after the end from threads", LATE.format(delay=0.0).replace("GOT a line", "a line")),
    result("print when the interpreter ends", "import atexit\natexit.register(os.write, 1, b'late\\n')"),
    result("print no text", r"os.write(1, b'\xff\xfe\x00\x1b[2J\x07\x9b\xed\xa0\x80\r\x08\xf4\x90\x80\x80')", "ok"),
    result("print lone surrogates", r"import sys; sys.stdout.write('a\ud800b\x00c\udfff\n')", "ok", "error"),
    result("raise with no text", r"raise ValueError('\ud800\x00\x1b]0;x\x07')", "error"),
    result("raise what cannot be shown", "class E(Exception):\n    def __str__(self): raise self\n    __repr__ = __str__\nraise E", "error"),
    result("raise what shows without end", "class E(Exception):\n    def __str__(self):\n        while True: pass\nraise E", "timeout", "error", seconds=1.0),
    result("raise a chain without end", "a = ValueError(); b = ValueError(); a.__context__ = b; b.__cause__ = a\nraise a", "error"),
    result("raise a long chain", "e = None\nfor _ in range(50000):\n    n = ValueError(); n.__cause__ = e; e = n\nraise e", "error", "killed", "output", "timeout"),
    result("raise with a forged frame", "import types\nf = compile('\\n' * 10**6 + '1/0', '\\x00\\ud800', 'exec')\nexec(f)", "error"),
    result("raise an exit with an object", "class X:\n    def __str__(self): raise ValueError\nraise SystemExit(X())"),
    result("raise a group", "raise ExceptionGroup('g', [ExceptionGroup('h', [ValueError()] * 999)] * 99)", "error", "output"),
    result("close the standard streams", "import sys\nfor fd in (0, 1, 2): os.close(fd)\nsys.stdout = sys.stderr = sys.stdin = None"),
    result("delete the standard streams", "import sys\ndel sys.stdout, sys.stderr, sys.__stdout__, sys.stdin"),
    result("replace the standard streams", "import sys\nclass S:\n    def __getattr__(self, n): raise SystemError\nsys.stdout = sys.stderr = S()\nsys.__stdout__ = None"),
    result("detach the standard streams", "import sys\nsys.stdout.detach(); sys.stderr.detach()"),
    result("turn the standard streams round", "os.dup2(2, 1); os.dup2(0, 2)"),
    result("put the results into the output", "import stat\nfor fd in range(3, 64):\n    try: os.dup2(1, fd)\n    except OSError: pass"),
    result("put the output into the results", "import stat\nfor fd in range(3, 64):\n    try:\n        if not stat.S_ISREG(os.fstat(fd).st_mode): os.dup2(fd, 1)\n    except OSError: pass\n" + "\n".join(f"os.write(1, {frame!r})" for frame in FRAMES), seconds=3.0),
    result("replace the builtins", "import builtins\nfor n in list(vars(builtins)):\n    if n not in ('exec', 'print'): setattr(builtins, n, None)", "ok", "error", "killed"),
    result("empty the builtins", "import builtins\np = print\nvars(builtins).clear()", "ok", "error", "killed"),
    result("replace the modules", "import sys\nfor n in list(sys.modules): sys.modules[n] = None", "ok", "error", "killed"),
    result("replace what encodes", f"import json, json.encoder, struct\nfake = lambda *a, **k: {json.dumps(FORGED)!r}\njson.dumps = json.JSONEncoder.encode = json.JSONEncoder.iterencode = json.encoder.c_make_encoder = fake\nstruct.pack = fake\nos.write = os.writev = lambda *a: 0", "ok", "error", "killed", "timeout"),
    result("trace whoever runs it", "import sys, threading\ndef t(*a):\n    a[0].f_globals.clear() if a[0].f_code.co_filename != __file__ else 0\n    return t\n__file__ = ''\nsys.settrace(t); sys.setprofile(t)", "ok", "error", "killed", "timeout"),
    result("change the frames of whoever runs it", """
import sys
frame = sys._getframe()
while frame:
    for name in list(frame.f_globals):
        if name in ("result", "status", "ok", "send", "write", "reply", "encode", "report"):
            frame.f_globals[name] = lambda *a, **k: None
    frame = frame.f_back
"""),
    result("look for secrets in the frames of whoever runs it", """
import gc, sys
frame = sys._getframe()
seen = []
while frame:
    seen += [repr(value)[:2000] for value in {**frame.f_globals, **frame.f_locals}.values()]
    frame = frame.f_back
for thing in gc.get_objects():
    if isinstance(thing, dict):
        seen += [str(k) + str(v)[:200] for k, v in list(thing.items())[:50] if isinstance(v, (str, bytes))]
import re
print(set(re.findall("TGSECRET-[0-9a-f]{32}", " ".join(seen))) or "nothing")
""", "ok"),
    result("audit and refuse", "import sys\ndef hook(name, args): raise RuntimeError\nsys.addaudithook(hook)", "ok", "error", "killed"),
    result("collect at the worst time", "import gc\nclass A:\n    def __del__(self): os._exit(0)\na = A(); a.a = a; del a\ngc.collect()", "killed", "error"),
    result("hang the import lock", "import _imp, threading, time\nthreading.Thread(target=lambda: (_imp.acquire_lock(), time.sleep(99)), daemon=True).start(); time.sleep(.05)", "ok", "timeout", seconds=2.0),
    result("take the lock of the output", "import sys, threading, time\nthreading.Thread(target=lambda: [sys.stdout.write('x' * 10 ** 5) for _ in range(9 ** 9)], daemon=True).start(); time.sleep(.05)", seconds=1.0),
    result("make the output non-blocking", "os.set_blocking(1, False)\nfor fd in range(3, 64):\n    try: os.set_blocking(fd, False)\n    except OSError: pass\nprint('x' * 10**6)"),
    result("make every write fail", "import resource, signal\nsignal.signal(25, signal.SIG_IGN)\nresource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))"),
    result("lower its own limits", "import resource\nresource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))\nresource.setrlimit(resource.RLIMIT_AS, (1, 1))"),
    result("wait for signals at the end", "import signal\nsignal.pthread_sigmask(signal.SIG_BLOCK, range(1, 64))", "ok"),
]  # fmt: skip
"""All of them."""
