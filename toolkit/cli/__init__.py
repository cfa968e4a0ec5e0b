"""The command line: `toolkit COMMAND`, or `python -m toolkit COMMAND`. One file a command, imported when it is asked for."""

from __future__ import annotations

import argparse
import importlib
import importlib.metadata
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from toolkit.errors import ConfigError, InvalidParameter, ToolkitError

COMMANDS = {
    "run": "run a notebook as a program: parameters in, an executed notebook, its page and its ledger out",
    "report": "write the page of a run again: equity, trades, risk, telemetry, certificate, configuration, versions",
    "certify": "check the strategy of a config file for look-ahead, bar by bar, and keep the certificate",
    "cycle": "run trading cycles from a config file and print their reports",
    "risk": "report the risk of what an account holds, as text or as a page",
    "ledger": "show, verify, export or copy an account's books, or bring them into line with the broker's",
    "replay": "do a past cycle again and compare it bit for bit with what was kept",
    "halt": "stop one account, or all, before the next order",
    "resume": "lift a halt: say what it was, and let the account trade again",
    "arm": "allow trading with real money for some hours, or say what is missing",
    "fetch": "fetch bars into the cache, in parallel, and say what came",
    "cache": "show, clear or verify the cache of bars",
    "warmup": "compile every kernel ahead of its first use",
    "doctor": "check versions, folders, calendar, compiled kernels and cache",
}
LONGEST = 200  # characters of a name in an error
EXAMPLE = """\
example:
  toolkit run notebooks/02_paper_trading.ipynb
  toolkit COMMAND --help      arguments and examples of a command
"""


class Parser(argparse.ArgumentParser):
    """argparse whose complaint is one sentence."""

    def error(self, message: str) -> NoReturn:
        """Says what is wrong and where help is; exit status 2."""
        self.exit(2, f"error: {message}; see {self.prog} --help\n")


def parser(command: str | None) -> Parser:
    """The parser of the command line; of the commands only `command` is imported and knows its arguments."""
    version = f"toolkit {importlib.metadata.version('toolkit')}"
    top = Parser(prog="toolkit", description="Research and paper trading in notebooks.", epilog=EXAMPLE,
                 formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    top.add_argument("--version", action="version", version=version)
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, line in COMMANDS.items():
        sub = commands.add_parser(name, help=line, description=line[0].upper() + line[1:] + ".",
                                  formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
        if name == command:
            importlib.import_module(f"toolkit.cli.{name}").arguments(sub)
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; its exit status: 0 done, 1 failed, 2 wrong arguments or config, 130 interrupted, 141 unread."""
    argv = list(sys.argv[1:] if argv is None else argv)
    command = argv[0] if argv and argv[0] in COMMANDS else None
    try:
        if any("\0" in each for each in argv):
            raise InvalidParameter("an argument holds a zero byte, which no name of a file has", "leave it out")
        args = parser(command).parse_args(argv)
        return importlib.import_module(f"toolkit.cli.{args.command}").execute(args)
    except SystemExit as end:  # argparse: help, version or a wrong argument
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except ToolkitError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2 if isinstance(error, (InvalidParameter, ConfigError)) else 1
    except BrokenPipeError:  # who reads has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except OSError as error:  # of a name that is too long, a disk that fails
        print(f"error: {str(error.filename or command)[:LONGEST]}: {error.strerror or error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped by hand", file=sys.stderr)
        return 130
