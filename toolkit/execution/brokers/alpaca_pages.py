"""Alpaca's lists, which come page by page, and the first requests of what is asked at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import pandas as pd

from toolkit.data.clock import utc
from toolkit.data.symbols import checked_symbol
from toolkit.errors import BrokerUnavailable
from toolkit.execution.brokers.alpaca_words import EASTERN, listed, report_of
from toolkit.execution.brokers.values import Report

ORDERS, ACTIVITIES = 500, 100  # the most that Alpaca puts on a page
MOMENT = pd.Timedelta(microseconds=1)
EPOCH = pd.Timestamp(0, tz="UTC")
Query = dict[str, Any]
Get = Callable[..., Any]
"""From a path and a query to the value of the answer."""


def first_pages(since: pd.Timestamp) -> list[tuple[str, Query | None]]:
    """Path and query of the first page of activities, orders that wait, orders since, and of the positions."""
    lists = [("/orders", orders_query("open", EPOCH)), ("/orders", orders_query("all", utc(since)))]
    return [("/account/activities", activities_query(since)), *lists, ("/positions", None)]


def asset_path(symbol: str) -> str:
    return f"/assets/{quote(checked_symbol(symbol), safe='')}"


def orders_query(which: str, since: pd.Timestamp) -> Query:
    """Orders from an instant on, oldest first."""
    return {"status": which, "limit": ORDERS, "direction": "asc", "nested": "false", "after": text_of(since - MOMENT)}


def orders_of(get: Get, which: str, since: pd.Timestamp) -> Iterator[Report]:
    """Orders from an instant on; each page begins where the last one ended, with the same instant once more."""
    seen: set[str] = set()
    while True:
        page = [report_of(each) for each in listed(get("/orders", orders_query(which, since)))]
        fresh = [each for each in page if each.broker_id not in seen]
        seen |= {each.broker_id for each in fresh}
        yield from fresh
        if len(page) < ORDERS:
            return
        if not fresh:
            raise BrokerUnavailable("Alpaca sent the same page of orders twice", "ask again later")
        since = max(each.at for each in page if each.at is not None).floor("us")


def day_of(since: pd.Timestamp) -> pd.Timestamp:
    """The beginning of the day in New York: what is no trade has a day, and no hour."""
    return utc(since).tz_convert(EASTERN).normalize().tz_convert("UTC")


def activities_query(since: pd.Timestamp) -> Query:
    """Activities from the day of an instant on, oldest first."""
    return {"after": text_of(day_of(since) - MOMENT), "direction": "asc", "page_size": ACTIVITIES}


def activities_of(get: Get, since: pd.Timestamp) -> Iterator[Any]:
    """Activities from the day of an instant on, as Alpaca says them."""
    token: dict[str, str] = {}
    seen: set[str] = set()
    while True:
        page = listed(get("/account/activities", {**activities_query(since), **token}))
        yield from page
        if len(page) < ACTIVITIES:
            return
        last = str(page[-1].get("id")) if isinstance(page[-1], dict) else ""
        if not last or last in seen:
            raise BrokerUnavailable("Alpaca sent the same page of activities twice", "ask again later")
        seen.add(last)
        token = {"page_token": last}


def splits_page(since: pd.Timestamp, until: pd.Timestamp) -> tuple[str, Query]:
    """Path and query of the announced splits with an ex-date from one day to another; Alpaca answers for at most 90 days."""
    days = {"since": f"{since:%Y-%m-%d}", "until": f"{until:%Y-%m-%d}", "date_type": "ex_date"}
    return "/corporate_actions/announcements", {"ca_types": "split", **days}


def text_of(instant: pd.Timestamp) -> str:
    return f"{instant:%Y-%m-%dT%H:%M:%S.%f}Z"
