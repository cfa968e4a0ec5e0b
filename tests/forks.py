"""Processes that a campaign forks: what they say, line by line, and how they ended.

Fork in a process that has no threads.
"""

from __future__ import annotations

import json
import logging
import os
import select
import signal
import traceback
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from toolkit.data import barfile

DEADLINE = 30.0  # seconds after which a process counts as hung


def forked(act: Callable[[int], None]) -> tuple[int, int]:
    """Process that runs `act` with a descriptor to write to, and the one to read from; it ends without any tidying up."""
    readable, writable = os.pipe()
    child = os.fork()
    if child:
        os.close(writable)
        return child, readable
    try:
        os.close(readable)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        logging.disable(logging.CRITICAL)
        barfile._verified.clear()
        act(writable)
    except BaseException:
        os.write(writable, json.dumps({"raised": traceback.format_exc()[-2000:]}).encode() + b"\n")
    finally:
        os._exit(0)


def lines(readable: int, deadline: float = DEADLINE) -> Iterator[str]:
    """What comes, line by line, until the other end is closed; TimeoutError where nothing comes for `deadline` seconds."""
    rest = b""
    while select.select([readable], [], [], deadline)[0]:
        more = os.read(readable, 65536)
        if not more:
            return
        *whole, rest = (rest + more).split(b"\n")
        yield from (line.decode() for line in whole)
    raise TimeoutError


def isolated(act: Callable[[], Any]) -> Any:
    """What `act` returns, from a process of its own; a text that says how it ended otherwise."""
    return in_turn([act])[0]


def in_turn(acts: Sequence[Callable[[], Any]]) -> list[Any]:
    """What each of `acts` returns, one after the other from a process of their own; a text for one that ended it otherwise.

    Those that come after such a one have another process.
    """

    def say(writable: int) -> None:
        for act in acts:
            os.write(writable, json.dumps(act()).encode() + b"\n")

    (child, readable), answers, ended = forked(say), list[Any](), ""
    try:
        for line in lines(readable):
            answer = json.loads(line)
            if isinstance(answer, dict) and "raised" in answer:
                ended = answer["raised"]
            else:
                answers.append(answer)
    except TimeoutError:
        os.kill(child, signal.SIGKILL)
        ended = "hung"
    os.close(readable)
    status = os.waitpid(child, 0)[1]
    if ended or len(answers) < len(acts):
        answers = [*answers[: len(acts) - 1], ended or f"crashed with status {status}"]
    rest = acts[len(answers) :]
    return answers + in_turn(rest) if rest else answers
