"""A forked process under strace: its system calls counted, failed, killed at, or written down."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from forks import forked

from .world import heard

WRITES = "pwrite64", "fdatasync", "fsync", "ftruncate", "unlink", "rename"
WATCHED = "-e", f"trace={','.join(WRITES)}"
SEEN = "openat", "write", *WRITES
CALL = re.compile(r"^\d+ +(\w+)\((.*)\) += (-?\d+)")
TEXT = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')
PATH = re.compile(r"^(?:AT_FDCWD|\d+)<((?:\\x[0-9a-f]{2})*)>")


@cache
def missing() -> str:
    """Why nothing can be traced here; empty if it can."""
    if shutil.which("strace") is None:
        return "strace is not installed"
    with TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        traced(lambda writable: os.close(os.open(folder, os.O_RDONLY)), ["-e", "trace=openat", "-o", str(log)])
        return "" if log.exists() and folder in log.read_text() else "strace cannot attach (ptrace is forbidden)"


def traced(act: Callable[[int], None], options: list[str]) -> tuple[list, int]:
    """What `act` said in a process of its own under strace with `options`, and the signal that ended it (0: none)."""
    go_on, going = os.pipe()

    def wait_and_act(writable: int) -> None:
        os.close(going)
        os.read(go_on, 1)
        act(writable)

    child, readable = forked(wait_and_act)
    os.close(go_on)
    tracer = subprocess.Popen(["strace", "-f", "-qq", *options, "-p", str(child)], stderr=subprocess.DEVNULL)
    try:
        while tracer.poll() is None and "TracerPid:\t0\n" in Path(f"/proc/{child}/status").read_text():
            os.sched_yield()
        os.write(going, b"!")
        os.close(going)
        said = heard(readable)
    except BaseException:
        os.kill(child, signal.SIGKILL)
        raise
    finally:
        ending = os.WTERMSIG(os.waitpid(child, 0)[1])
        tracer.wait(timeout=30)
    return said, ending


def counted(act: Callable[[int], None]) -> tuple[list, Counter[str]]:
    """What `act` said, undisturbed, and how often each call was made."""
    with TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        said, _ = traced(act, [*WATCHED, "-o", str(log)])
        return said, Counter(call[1] for call in map(CALL.match, log.read_text().splitlines()) if call)


def failing(act: Callable[[int], None], name: str, kind: str, when: int) -> tuple[list, int]:
    """What `act` said, whose n-th call `name` failed (EIO, ENOSPC) or was its last (KILL), and the signal that ended it."""
    injection = f"inject={name}:{'signal' if kind == 'KILL' else 'error'}={kind}:when={when}"
    return traced(act, [*WATCHED, "-e", injection, "-o", "/dev/null"])


def recorded(act: Callable[[int], None]) -> tuple[list, list[tuple]]:
    """What `act` said, and (call, path, values) of what was called and, as "acknowledged", what lists it said, in order."""
    with TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        said, _ = traced(act, ["-xx", "-y", "-s", "200000", "-e", f"trace={','.join(SEEN)}", "-o", str(log)])
        return said, list(steps(log))


def steps(log: Path) -> Iterator[tuple]:
    """The calls that did something."""
    for line in log.read_text().splitlines():
        call = CALL.match(line)
        if call is None or int(call[3]) < 0:
            continue
        kind, rest = call[1], call[2]
        texts = [bytes.fromhex(text.replace("\\x", "")) for text in TEXT.findall(rest)]
        if kind == "write":
            if texts and texts[0].startswith(b"["):
                yield "acknowledged", Path(), json.loads(texts[0])
            continue
        if kind in {"rename", "openat", "unlink"}:
            paths = [Path(os.fsdecode(text)) for text in texts]
        elif at := PATH.match(rest):
            paths = [Path(os.fsdecode(bytes.fromhex(at[1].replace("\\x", ""))))]
        else:
            continue
        numbers = re.findall(r", (\d+)(?=,|$)", rest)
        if kind == "pwrite64":
            assert len(texts[0]) == int(call[3])
            yield kind, *paths, texts[0], int(numbers[-1])
        elif kind == "ftruncate":
            yield kind, *paths, int(numbers[-1])
        elif kind != "openat" or "O_CREAT" in rest:
            yield kind, *paths
