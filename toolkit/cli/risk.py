"""`toolkit risk`: what the account holds, and what it may lose."""

from __future__ import annotations

import argparse
import math
from contextlib import closing
from pathlib import Path

from toolkit.cli.account import configured, place_of
from toolkit.cycle.breaches import breaches_of
from toolkit.cycle.config import Config
from toolkit.cycle.flows import curve_of
from toolkit.cycle.incident import bars_at, market_at
from toolkit.errors import InvalidParameter, LedgerError
from toolkit.execution.ledger import Ledger
from toolkit.kernels.account import UNIT
from toolkit.risk.limits import Limit
from toolkit.risk.report import RiskReport, risk_report

EXAMPLE = """\
examples:
  toolkit risk notebooks/trading_config.yaml
  toolkit risk notebooks/trading_config.yaml --html risk.html
  toolkit risk notebooks/trading_config.yaml --benchmark AAPL --window 252

The holdings are those of the ledger after the last settled session, at the closes of that session as they are stored; it works
while a loop runs. Drawdowns are net of deposits and withdrawals. Limits are those of the config that measure the whole account;
when they were broken before is told from the events of the ledger, close by close.

exit status: 0 within every limit, 1 a limit is broken, or there is nothing to report on, 2 wrong arguments or config
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments."""
    parser.epilog = EXAMPLE
    parser.add_argument("config", type=Path, metavar="CONFIG", help="a YAML file, e.g. notebooks/trading_config.yaml")
    parser.add_argument(
        "--html", type=Path, metavar="FILE", help="write the report as a page as well; an existing file is kept"
    )
    parser.add_argument("--benchmark", metavar="SYMBOL", help="for the beta, e.g. SPY")
    parser.add_argument("--window", type=int, default=504, metavar="N", help="returns looked at (default 504)")
    parser.add_argument("--ledger", type=Path, metavar="PLACE", help="another ledger than the newest of the config's account")


def execute(args: argparse.Namespace) -> int:
    """Prints the report; 1 if a limit is broken."""
    config = configured(args.config)
    if args.html is not None and args.html.exists():
        raise InvalidParameter(f"{args.html} is there already", "name another file, or move it away")
    report = report_of(config, place_of(args.ledger or args.config).ledger, args.benchmark, args.window)
    print(report)
    if args.html is not None:
        page = f'<!doctype html><meta charset="utf-8"><title>risk of {config.account}</title>{report._repr_html_()}\n'
        try:
            args.html.write_text(page, encoding="utf-8")
        except OSError as error:
            raise InvalidParameter(f"{args.html} cannot be written ({error.strerror})", "choose another place") from error
        print(f"page in {args.html}")
    return 1 if len(report.headroom) and report.headroom["breached"].any() else 0


def report_of(config: Config, path: Path, benchmark: str | None, window: int) -> RiskReport:
    """The report of the account in a ledger, at its last settled session."""
    limits = limits_of(config)
    with closing(Ledger.read(path)) as ledger:
        account, curve = ledger.account(), curve_of(ledger)
        if account.session is None:
            raise LedgerError(f"{path} has settled no session yet", "run a cycle first")
        held = {symbol: p.value / UNIT for symbol, p in account.positions.items() if p.qty}
        asked = list(dict.fromkeys([*config.symbols, *held, *([benchmark] if benchmark else [])]))
        bars = bars_at(market_at(config), asked, account.session)
        breaches = breaches_of(ledger, bars, limits, curve)
    return risk_report(
        bars, held, account.equity, benchmark=benchmark, curve=curve if len(curve) else None, limits=limits,
        breaches=breaches, window=window,
    )  # fmt: skip


def limits_of(config: Config) -> list[Limit]:
    """Limits of the config that measure the whole account; those that are infinite are none."""
    _, limits, _, _ = config.economics()
    most = {
        "leverage": limits.max_gross, "largest": limits.max_position, "net": limits.max_net, "drawdown": limits.max_drawdown,
    }  # fmt: skip
    return [Limit(measure, value) for measure, value in most.items() if value < math.inf]
