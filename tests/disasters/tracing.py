"""A forked process under strace: its system calls failed, killed at, or written down."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from campaigns import forked

from .world import heard

WRITES = "pwrite64", "fdatasync", "fsync", "ftruncate", "unlink", "rename"
CALL = re.compile(r"^\d+ +(\w+)\((.*)\) += (-?\d+)")


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
