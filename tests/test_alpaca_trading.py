"""The trading half of the loopback Alpaca: the real alpaca-py over real sockets, against prices of the bundled bars."""

import json
import re
import threading
import uuid

import numpy as np
import pandas as pd
import pytest
import requests
from alpaca.common.exceptions import APIError
from alpaca.trading.client import TradingClient
from alpaca.trading.enums import OrderStatus, QueryOrderStatus
from alpaca.trading.models import NonTradeActivity, TradeActivity
from alpaca.trading.requests import (
    GetAssetsRequest,
    GetCalendarRequest,
    GetCorporateAnnouncementsRequest,
    GetOrdersRequest,
    LimitOrderRequest,
    MarketOrderRequest,
    ReplaceOrderRequest,
    StopOrderRequest,
)
from alpaca.trading.stream import TradingStream

from toolkit.cycle.backtest import backtest
from toolkit.data import Bars
from toolkit.data.bars import FIELDS
from toolkit.errors import InvalidParameter
from toolkit.execution.costs import Costs, Policy
from toolkit.risk.sizing import equal_weight
from toolkit.testing.alpaca_faults import FAULTS, TRANSPORT, UNBOOKED
from toolkit.testing.alpaca_server import AlpacaServer
from toolkit.testing.exchange import BUY, SELL, UNIT, Exchange, Refusal, Ticket

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # alpaca-py uses websockets' older client


def at(text: str) -> pd.Timestamp:
    """An instant of New York."""
    return pd.Timestamp(text, tz="America/New_York").tz_convert("UTC")


EVENING, MORNING = at("2012-03-01 18:00"), at("2012-03-02 10:00")


@pytest.fixture
def alpaca(bundled):
    with AlpacaServer(bundled, EVENING) as server:
        yield server


@pytest.fixture
def client(alpaca) -> TradingClient:
    return client_of(alpaca)


def client_of(server: AlpacaServer) -> TradingClient:
    """alpaca-py, made safe: it tries once, and waits two seconds at most."""
    client = TradingClient(server.key, server.secret, url_override=server.url)
    client._retry_codes = []
    plain = client._session.request
    client._session.request = lambda method, url, **options: plain(method, url, timeout=2.0, **options)
    return client


def market(symbol="AAPL", qty=10, side="buy", tif="opg", name=None) -> MarketOrderRequest:
    return MarketOrderRequest(symbol=symbol, qty=qty, side=side, time_in_force=tif, client_order_id=name)


def traded(bars: Bars, symbol: str, day: str, field: str) -> float:
    return float(bars.traded[FIELDS.index(field), bars.symbols.index(symbol), bars.index.get_loc(day)])


def refused(call, *arguments) -> tuple[int, int, str]:
    """Status, code and message of the refusal."""
    with pytest.raises(APIError) as caught:
        call(*arguments)
    return caught.value.status_code, caught.value.code, caught.value.message


# --- orders and fills


def test_market_on_open_fills_at_the_next_open(alpaca, client, bundled):
    order = client.submit_order(market(name="mine"))
    assert (order.status, order.qty, order.filled_qty, order.client_order_id) == ("accepted", "10", "0", "mine")
    alpaca.now = at("2012-03-02 09:29")
    assert client.get_order_by_id(order.id).status == OrderStatus.ACCEPTED
    alpaca.now = MORNING
    order, price = client.get_order_by_client_id("mine"), traded(bundled, "AAPL", "2012-03-02", "open")
    assert (order.status, order.filled_qty, float(order.filled_avg_price)) == (OrderStatus.FILLED, "10", price)
    assert order.filled_at == at("2012-03-02 09:30")
    position, account = client.get_open_position("AAPL"), client.get_account()
    assert (position.qty, float(position.avg_entry_price)) == ("10", price)
    assert account.cash == f"{100_000 - 10 * price:.6f}".rstrip("0").rstrip(".")


@pytest.mark.parametrize("arrival, session", [("09:28", "2012-03-02"), ("09:28:01", "2012-03-05"), ("12:00", "2012-03-05")])
def test_what_arrives_after_the_cutoff_waits_for_the_next_session(alpaca, client, bundled, arrival, session):
    alpaca.now = at(f"2012-03-02 {arrival}")
    client.submit_order(market(name="mine", tif="opg"))
    alpaca.now = at("2012-03-06 20:00")
    order = client.get_order_by_client_id("mine")
    assert order.filled_at == at(f"{session} 09:30")
    assert float(order.filled_avg_price) == traded(bundled, "AAPL", session, "open")


def test_for_the_close_fills_at_the_close(alpaca, client, bundled):
    client.submit_order(market(tif="cls", name="mine"))
    alpaca.now = at("2012-03-02 16:00")
    assert float(client.get_order_by_client_id("mine").filled_avg_price) == traded(bundled, "AAPL", "2012-03-02", "close")


def test_limits_and_stops_fill_inside_the_bar_once_the_session_is_over(alpaca, client, bundled):
    start, high, low = (traded(bundled, "IBM", "2012-03-02", field) for field in ("open", "high", "low"))
    inside, above = round((start + low) / 2, 2), round((start + high) / 2, 2)
    about = {"symbol": "IBM", "qty": 5, "side": "buy"}
    client.submit_order(LimitOrderRequest(limit_price=inside, client_order_id="in", time_in_force="day", **about))
    client.submit_order(LimitOrderRequest(limit_price=low - 1, client_order_id="out", time_in_force="day", **about))
    client.submit_order(LimitOrderRequest(limit_price=high + 1, client_order_id="gap", time_in_force="day", **about))
    client.submit_order(LimitOrderRequest(limit_price=low - 1, client_order_id="gtc", time_in_force="gtc", **about))
    client.submit_order(StopOrderRequest(stop_price=above, client_order_id="stop", time_in_force="day", **about))
    alpaca.now = at("2012-03-02 15:59")
    assert {order.status for order in client.get_orders()} == {OrderStatus.ACCEPTED}
    alpaca.now = at("2012-03-02 16:00")
    found = {name: client.get_order_by_client_id(name) for name in ("in", "out", "gap", "gtc", "stop")}
    assert {name: order.status.value for name, order in found.items()} == {
        "in": "filled", "out": "expired", "gap": "filled", "gtc": "accepted", "stop": "filled"
    }  # fmt: skip
    assert [float(found[name].filled_avg_price) for name in ("in", "gap", "stop")] == [inside, start, above]


def test_an_id_is_taken_for_ever(alpaca, client):
    order = client.submit_order(market(name="mine"))
    client.cancel_order_by_id(order.id)
    assert client.get_order_by_id(order.id).status == OrderStatus.CANCELED
    assert refused(client.submit_order, market(name="mine")) == (422, 40010001, "client_order_id must be unique")
    assert len(alpaca.exchange.orders) == 1


def test_what_the_exchange_refuses_has_its_code(alpaca, client):
    alpaca.exchange.untradable.add("FB")
    assert refused(client.submit_order, market("FB"))[:2] == (422, 42210000)
    assert refused(client.submit_order, market("ZZZZ")) == (422, 42210000, 'asset "ZZZZ" not found')
    assert refused(client.submit_order, market(qty=0.5)) == (422, 42210000, "fractional orders must be DAY orders")
    assert refused(client.submit_order, market(qty=1e6)) == (403, 40310000, "insufficient buying power")
    assert refused(client.submit_order, market(side="sell"))[:2] == (403, 40310000)
    assert refused(client.get_order_by_client_id, "none")[:2] == (404, 40410000)
    assert refused(client.get_order_by_id, uuid.uuid4())[:2] == (404, 40410000)
    assert refused(client.get_open_position, "AAPL") == (404, 40410000, "position does not exist")
    assert refused(client.get_asset, "ZZZZ")[:2] == (404, 40410000)
    assert alpaca.exchange.orders == {}


def test_it_can_be_as_strict_as_alpaca(alpaca, client):
    message = "opg orders must be submitted after 7:00pm and before 9:28am"  # as quoted in QuantConnect/Lean issue 8374
    alpaca.exchange.auction_hours = alpaca.exchange.wash_trades = True
    assert refused(client.submit_order, market()) == (422, 42210000, message)  # at 18:00
    alpaca.now = at("2012-03-01 19:00")
    client.submit_order(market(name="mine"))
    client.submit_order(market(tif="day"))
    alpaca.now = at("2012-03-02 09:28")
    assert refused(client.submit_order, market())[2] == message
    alpaca.now = MORNING
    sale = {"symbol": "AAPL", "side": "sell", "time_in_force": "gtc"}
    client.submit_order(LimitOrderRequest(qty=5, limit_price=900, **sale))
    assert refused(client.submit_order, market(tif="day"))[:2] == (403, 40310000)
    buy = {"symbol": "AAPL", "side": "buy", "time_in_force": "gtc", "qty": 1}
    assert refused(client.submit_order, LimitOrderRequest(limit_price=900, **buy))[1] == 40310000
    assert client.submit_order(LimitOrderRequest(limit_price=899.99, **buy)).status == OrderStatus.NEW
    assert "sub-penny" in refused(client.submit_order, LimitOrderRequest(limit_price=1.005, **buy))[2]
    assert client.submit_order(LimitOrderRequest(limit_price=0.1234, **buy)).limit_price == "0.1234"


def test_waiting_orders_take_their_buying_power(alpaca, client):
    assert client.get_account().buying_power == "200000"
    client.submit_order(LimitOrderRequest(symbol="IBM", qty=100, side="buy", time_in_force="gtc", limit_price=150.25))
    assert client.get_account().buying_power == "184975"


def test_cancelling_and_replacing(alpaca, client):
    first = client.submit_order(LimitOrderRequest(symbol="IBM", qty=5, side="buy", time_in_force="gtc", limit_price=100))
    second = client.replace_order_by_id(first.id, ReplaceOrderRequest(qty=7, limit_price=101.5, client_order_id="second"))
    first = client.get_order_by_id(first.id)
    assert (first.status, first.replaced_by, second.replaces) == (OrderStatus.REPLACED, second.id, first.id)
    assert (second.qty, second.limit_price, second.client_order_id) == ("7", "101.5", "second")
    assert refused(client.cancel_order_by_id, first.id)[:2] == (422, 42210000)
    client.submit_order(market())
    assert {answer.status for answer in client.cancel_orders()} == {200}
    assert client.get_orders() == []


def test_orders_are_listed_by_state_time_and_symbol(alpaca, client):
    for n in range(5):
        client.submit_order(market("AAPL" if n % 2 else "IBM", 1, name=f"n{n}"))
    client.cancel_order_by_id(client.get_order_by_client_id("n0").id)

    def listed(**filters) -> list[str]:
        return [order.client_order_id for order in client.get_orders(GetOrdersRequest(**filters))]

    everything = QueryOrderStatus.ALL
    assert listed() == ["n4", "n3", "n2", "n1"]
    assert listed(status=QueryOrderStatus.CLOSED) == ["n0"]
    assert listed(status=everything, direction="asc") == ["n0", "n1", "n2", "n3", "n4"]
    assert listed(status=everything, symbols=["AAPL"]) == ["n3", "n1"]
    assert listed(status=everything, limit=2) == ["n4", "n3"]
    third = client.get_order_by_client_id("n2").submitted_at
    assert listed(status=everything, after=third) == ["n4", "n3"] and listed(status=everything, until=third) == ["n1", "n0"]


def test_partial_fills_follow_the_plan(alpaca, client):
    alpaca.exchange.plan["AAPL"] = [(3, 2), 4]
    client.submit_order(market(tif="gtc", name="mine"))
    alpaca.now = MORNING
    order = client.get_order_by_client_id("mine")
    assert (order.status, order.filled_qty) == (OrderStatus.PARTIALLY_FILLED, "5")
    alpaca.now = at("2012-03-06 10:00")
    rows = client.get("/account/activities/FILL", {"direction": "asc"})
    assert [(row["qty"], row["cum_qty"], row["leaves_qty"]) for row in rows] == [
        ("3", "3", "7"), ("2", "5", "5"), ("4", "9", "1"), ("1", "10", "0")
    ]  # fmt: skip
    assert [row["type"] for row in rows] == ["partial_fill"] * 3 + ["fill"]


def test_what_the_auction_leaves_of_an_order_expires_with_its_fills(alpaca, client):
    alpaca.exchange.plan["AAPL"] = [4]
    client.submit_order(market(name="mine"))
    alpaca.now = MORNING
    order = client.get_order_by_client_id("mine")
    assert (order.status, order.filled_qty) == (OrderStatus.EXPIRED, "4") and order.expired_at is not None


def test_a_share_of_the_volume_is_the_most_that_fills(bundled):
    exchange = Exchange(bundled, 1e9)
    exchange.turn(EVENING)
    exchange.volume_share = 1e-6
    order = exchange.submit(Ticket("AAPL", BUY, 1000 * UNIT, tif="gtc"))
    exchange.turn(MORNING)
    assert order.filled == int(traded(bundled, "AAPL", "2012-03-02", "volume") * 1e-6) * UNIT > 0


def test_the_volume_of_each_session_is_its_own(bundled):
    exchange = Exchange(bundled, 1e9)
    exchange.turn(EVENING)
    exchange.volume_share = 1e-6
    order = exchange.submit(Ticket("AAPL", BUY, 1000 * UNIT, tif="gtc"))
    exchange.turn(at("2012-03-05 10:00"))
    volumes = [traded(bundled, "AAPL", day, "volume") for day in ("2012-03-02", "2012-03-05")]
    assert order.filled == sum(int(volume * 1e-6) for volume in volumes) * UNIT


def holding(bars: Bars, shares: int = 10, **options) -> Exchange:
    """An exchange on the morning after it bought shares of IBM."""
    exchange = Exchange(bars, **options)
    exchange.turn(EVENING)
    exchange.submit(Ticket("IBM", BUY, shares * UNIT))
    exchange.turn(MORNING)
    return exchange


def test_what_reduces_a_position_comes_first(bundled):
    exchange = holding(bundled)
    tickets = Ticket("AAPL", BUY, UNIT), Ticket("IBM", BUY, UNIT), Ticket("IBM", SELL, 2 * UNIT), Ticket("IBM", SELL, 3 * UNIT)
    for ticket in tickets:
        exchange.submit(ticket)
    exchange.turn(at("2012-03-05 10:00"))
    assert [one.qty // UNIT for one in exchange.account.activities] == [10, -2, -3, 1, 1]


def test_what_was_paid_for_a_position_is_an_average_that_sales_leave_alone(bundled):
    exchange = holding(bundled, 10)
    for session, side, shares in (("03-05", BUY, 30), ("03-06", SELL, 5), ("03-07", SELL, 35)):
        exchange.submit(Ticket("IBM", side, shares * UNIT))
        exchange.turn(at(f"2012-{session} 10:00"))
        if shares < 35:
            first, second = (traded(bundled, "IBM", f"2012-{day}", "open") for day in ("03-02", "03-05"))
            assert exchange.account.entry["IBM"] == pytest.approx((10 * first + 30 * second) / 40, rel=1e-15)
    assert exchange.account.shares == exchange.account.entry == {}


def test_shares_are_sold_once_and_not_short(bundled):
    exchange = holding(bundled)
    exchange.submit(Ticket("IBM", SELL, 6 * UNIT))
    with pytest.raises(Refusal, match=r"requested: 5, available: 4"):
        exchange.submit(Ticket("IBM", SELL, 5 * UNIT))
    exchange.short = exchange.crosses = True
    order = exchange.submit(Ticket("IBM", SELL, 5 * UNIT))
    exchange.short = False
    exchange.turn(at("2012-03-05 10:00"))
    assert (order.status, order.filled) == ("expired", 4 * UNIT) and "IBM" not in exchange.account.shares


def test_no_order_crosses_from_one_side_to_the_other(bundled):
    """As Alpaca's: a position is closed before the other side is opened, whoever may sell short."""
    exchange = holding(bundled)
    exchange.short = True
    with pytest.raises(Refusal, match=r"insufficient qty available for order \(requested: 11, available: 10\)"):
        exchange.submit(Ticket("IBM", SELL, 11 * UNIT))
    exchange.submit(Ticket("IBM", SELL, 10 * UNIT))
    exchange.turn(at("2012-03-05 10:00"))
    exchange.submit(Ticket("IBM", SELL, 7 * UNIT))
    exchange.turn(at("2012-03-06 10:00"))
    assert exchange.account.shares["IBM"] == -7 * UNIT
    with pytest.raises(Refusal, match=r"requested: 8, available: 7"):
        exchange.submit(Ticket("IBM", BUY, 8 * UNIT))


def test_slippage_never_goes_beyond_a_limit(bundled):
    start, low = (traded(bundled, "IBM", "2012-03-05", field) for field in ("open", "low"))
    exchange, limit = holding(bundled, slippage_bps=100.0), round((start + low) / 2, 2)
    order = exchange.submit(Ticket("IBM", BUY, UNIT, "limit", "day", limit=limit))
    exchange.turn(at("2012-03-05 17:00"))
    assert exchange.account.activities[-1].price == limit and order.worth == limit * UNIT


def test_a_replacement_that_is_refused_leaves_the_order(bundled):
    exchange = holding(bundled)
    order = exchange.submit(Ticket("IBM", SELL, UNIT))
    with pytest.raises(Refusal):
        exchange.replace(order, {"qty": 11 * UNIT})
    assert (order.status, order.replaced_by, exchange.waiting()) == ("new", None, [order])
    exchange.turn(at("2012-03-05 10:00"))
    assert order.status == "filled"


# --- money


def test_slippage_and_commission_are_those_of_the_account_to_the_micro_dollar(bundled):
    exchange = Exchange(bundled, slippage_bps=5.0, fee_bps=1.0, per_share=0.005, per_order=1.0)
    with AlpacaServer(bundled, EVENING, exchange=exchange) as server:
        client = client_of(server)
        client.submit_order(market("IBM", 7))
        server.now = MORNING
        paid = traded(bundled, "IBM", "2012-03-02", "open") * 1.0005
        fee = round((0.005 * 7 + 1e-4 * 7 * paid + 1.0) * 1e6)
        rows = client.get("/account/activities", {"direction": "asc"})
        assert [row["activity_type"] for row in rows] == ["FILL", "FEE"]
        assert (float(rows[0]["price"]), round(float(rows[1]["net_amount"]) * 1e6)) == (paid, -fee)
        assert exchange.account.cash == 100_000 * UNIT - round(7_000_000 * paid) - fee


def actions_of(bars: Bars, symbol: str, column: str) -> list[tuple[str, float]]:
    rows = bars.actions[bars.actions["symbol"] == bars.symbols.index(symbol)]
    rows = rows[(rows[column] != 1.0) if column == "split" else (rows[column] > 0.0)]
    return [(f"{bars.index[row['bar']]:%Y-%m-%d}", float(row[column])) for row in rows]


def test_a_split_multiplies_shares_and_orders_at_midnight(bundled):
    day, ratio = actions_of(bundled, "AAPL", "split")[-1]
    assert (day, ratio) == ("2005-02-28", 2.0)
    with AlpacaServer(bundled, at("2005-02-23 18:00")) as server:
        client = client_of(server)
        client.submit_order(market("AAPL", 10))
        server.now = at("2005-02-27 18:00")
        before = client.get_account().cash
        client.submit_order(LimitOrderRequest(symbol="AAPL", qty=3, side="sell", time_in_force="gtc", limit_price=500))
        server.now = at("2005-02-28 08:00")
        position, order = client.get_open_position("AAPL"), client.get_orders()[0]
        assert (position.qty, order.qty, order.limit_price, client.get_account().cash) == ("20", "6", "250.0", before)
        assert float(position.avg_entry_price) == traded(bundled, "AAPL", "2005-02-24", "open") / 2
        (row,) = client.get("/account/activities/SPLIT")
        assert (row["symbol"], row["qty"], row["net_amount"], row["date"]) == ("AAPL", "10", "0", "2005-02-28")
        assert row["id"].startswith("20050228000000000::")


def test_a_dividend_is_credited_on_the_ex_date(bundled):
    day, dollars = actions_of(bundled, "IBM", "dividend")[-1]
    assert (day, dollars) == ("2013-02-06", 0.85)
    with AlpacaServer(bundled, at("2013-02-04 18:00")) as server:
        client = client_of(server)
        client.submit_order(market("IBM", 11))
        server.now = at("2013-02-05 23:59")
        assert client.get("/account/activities/DIV") == []
        before = server.exchange.account.cash
        server.now = at("2013-02-06 00:00")
        (row,) = client.get("/account/activities/DIV")
        assert (row["symbol"], row["qty"], row["net_amount"], row["per_share_amount"]) == ("IBM", "11", "9.35", "0.85")
        assert server.exchange.account.cash - before == 9_350_000
        assert NonTradeActivity(**row, account_id=str(uuid.uuid4())).net_amount == 9.35


def test_cash_comes_and_goes(alpaca, client):
    alpaca.exchange.move("CSD", 500.25)
    alpaca.exchange.move("INT", -0.000001)
    rows = client.get("/account/activities", {"activity_types": "CSD,INT", "direction": "asc"})
    assert [(row["activity_type"], row["net_amount"]) for row in rows] == [("CSD", "500.25"), ("INT", "-0.000001")]
    assert client.get_account().cash == "100500.249999"


def test_activities_come_page_by_page_and_sort_by_their_ids(alpaca, client):
    for n in range(7):
        client.submit_order(market(["AAPL", "IBM"][n % 2], 1, name=f"n{n}"))
    alpaca.now = MORNING
    pages, token = [], None
    while page := client.get("/account/activities/FILL", {"page_size": 3, "direction": "asc", "page_token": token}):
        pages.append(page)
        token = page[-1]["id"]
    ids = [row["id"] for page in pages for row in page]
    assert [len(page) for page in pages] == [3, 3, 1] and ids == sorted(set(ids))
    assert all(re.fullmatch(r"20120302093000\d{3}::[0-9a-f-]{36}", each) for each in ids)
    assert [row["id"] for row in client.get("/account/activities")] == ids[::-1]
    fills = [TradeActivity(**row, account_id=str(uuid.uuid4())) for page in pages for row in page]
    assert [str(fill.order_id) for fill in fills] == list(alpaca.exchange.orders)
    after = {"after": "2012-03-02T14:30:00.003Z", "direction": "asc"}
    assert [row["id"] for row in client.get("/account/activities", after)] == ids[4:]
    assert client.get("/account/activities", {"until": "2012-03-02"}) == []


# --- what else there is to ask


def test_clock_and_calendar_are_those_of_new_york(alpaca, client):
    alpaca.now = at("2012-11-23 12:00")  # the day after Thanksgiving closes at one
    clock = client.get_clock()
    assert (clock.is_open, clock.timestamp) == (True, alpaca.now)
    assert (clock.next_close, clock.next_open) == (at("2012-11-23 13:00"), at("2012-11-26 09:30"))
    days = client.get_calendar(GetCalendarRequest(start="2012-11-21", end="2012-11-26"))
    assert [(f"{day.date:%d}", f"{day.close:%H:%M}") for day in days] == [("21", "16:00"), ("23", "13:00"), ("26", "16:00")]
    alpaca.now = at("2012-11-24 12:00")
    assert client.get_clock().is_open is False and client.get_clock().next_close == at("2012-11-26 16:00")


def test_assets_are_the_symbols_of_the_bars(alpaca, client):
    alpaca.exchange.untradable.add("FB")
    assert [asset.symbol for asset in client.get_all_assets(GetAssetsRequest(status="active"))] == [
        "AAPL",
        "GOOG",
        "IBM",
        "MSFT",
    ]
    asset = client.get_asset("IBM")
    assert asset.tradable and asset.fractionable and not asset.shortable and client.get_asset(asset.id).symbol == "IBM"
    assert not client.get_asset("FB").tradable


def test_an_account_that_is_blocked_trades_nothing(alpaca, client):
    alpaca.exchange.blocked = True
    assert client.get_account().trading_blocked is True
    assert refused(client.submit_order, market())[:2] == (403, 40310000)


def test_two_runs_are_the_same_to_the_last_id(bundled):
    told = []
    for _ in range(2):
        with AlpacaServer(bundled, EVENING) as server:
            client = client_of(server)
            client.submit_order(market(name="a"))
            client.submit_order(market("IBM"))
            server.now = at("2012-03-09 10:00")
            told.append([client.get("/account/activities"), client.get("/orders", {"status": "all"}), client.get("/positions")])
    assert told[0] == told[1] and len(told[0][0]) == 2


def test_cash_and_shares_are_the_sum_of_the_activities(bundled):
    exchange = Exchange(bundled, 1e6, slippage_bps=5.0, fee_bps=1.0, short=True)
    exchange.turn(at("2004-12-31 18:00"))
    rng = np.random.default_rng(7)
    for day in pd.bdate_range("2005-01-03", "2005-12-30"):
        exchange.turn(at(f"{day:%Y-%m-%d} 18:00"))
        try:
            exchange.submit(
                Ticket(str(rng.choice(["AAPL", "IBM", "MSFT"])), int(rng.choice([BUY, SELL])), 50 * UNIT, tif="day")
            )
        except Refusal:
            continue
    own = exchange.account
    assert own.cash == 1_000_000 * UNIT + sum(one.cash for one in own.activities)
    for symbol in ("AAPL", "IBM", "MSFT"):
        moved = sum(one.qty for one in own.activities if one.symbol == symbol and one.kind in {"FILL", "SPLIT"})
        assert moved == own.shares.get(symbol, 0)
    assert {one.kind for one in own.activities} == {"FILL", "FEE", "DIV", "SPLIT"}
    ids = [one.id for one in own.activities]
    assert ids == sorted(set(ids))


def swinging(bars: Bars) -> pd.DataFrame:
    """Long when the price is above its mean of 50 sessions: a few hundred trades in all."""
    return (bars.close > bars.close.rolling(50).mean()).astype(float)


@pytest.mark.parametrize("whole", [True, False])
def test_the_exchange_books_what_the_compiled_step_of_a_backtest_books(bundled, whole):
    charges = {"slippage_bps": 5.0, "fee_bps": 1.0, "per_share": 0.005, "minimum": 1.0, "per_order": 0.25}
    costs, policy = Costs(**charges), Policy(whole_shares=whole)
    result = backtest(swinging, bundled, equal_weight(0.5), costs=costs, policy=policy, start="2003-01-02", state=False)
    exchange = Exchange(bundled, whole_shares=whole, **charges)
    for t in range(result.first, len(bundled)):
        exchange.turn(at(f"{bundled.index[t]:%Y-%m-%d} 18:00"))
        for order in result.placed[result.placed["bar"] == t]:
            side, qty = int(np.sign(order["qty"])), abs(int(order["qty"]))
            exchange.submit(Ticket(bundled.symbols[order["symbol"]], side, qty, tif="opg" if whole else "day"))
    own, moved = exchange.account, result.log[(result.log["qty"] != 0) | (result.log["cash"] != 0)]
    fills = [one for one in own.activities if one.kind == "FILL"]
    booked = moved[moved["price"] * moved["fee"] > 0]
    assert len(fills) == len(booked) > 300
    days, names = bundled.index.strftime("%Y-%m-%d"), bundled.symbols  # within a session the order may be another
    expected = [(days[row["bar"]], names[row["symbol"]], row["qty"], row["price"]) for row in booked]
    assert sorted((f"{one.at:%Y-%m-%d}", one.symbol, one.qty, one.price) for one in fills) == sorted(expected)
    assert own.cash == 100_000 * UNIT + int(moved["cash"].sum())
    assert {one.kind for one in own.activities} >= {"FILL", "FEE", "DIV", "SPLIT"}


def test_one_id_sent_by_many_threads_at_once_is_one_order(alpaca):
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(sent(client_of(alpaca)))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert sorted(answers) == [200] + [422] * 7 and len(alpaca.exchange.orders) == 1


def sent(client: TradingClient) -> int:
    try:
        return 200 if client.submit_order(market(name="mine")) else 0
    except APIError as error:
        return error.status_code


# --- faults

LOST = [kind for kind in TRANSPORT if kind not in {"429", "stall", "drip"}]


def test_there_are_twenty_ways_to_fail():
    assert len(set(FAULTS)) == len(FAULTS) >= 20


@pytest.mark.parametrize("kind", LOST)
def test_a_lost_reply_leaves_one_order_and_a_lost_request_none(alpaca, client, kind):
    for fault, orders in (kind, 1), (kind + UNBOOKED, 1):
        alpaca.fault(fault, method="POST", path="/v2/orders")
        client.get_clock()  # is not a POST
        with pytest.raises((APIError, requests.RequestException, TypeError)):
            client.submit_order(market(name=fault))
        assert len(alpaca.exchange.orders) == orders
    assert client.get_order_by_client_id(kind).qty == "10"
    assert refused(client.get_order_by_client_id, kind + UNBOOKED)[:2] == (404, 40410000)
    assert client.submit_order(market(name=kind + UNBOOKED)).status == OrderStatus.ACCEPTED


@pytest.mark.parametrize("kind, booked", [("stall", 1), ("stall-unbooked", 0)])
def test_a_stall_comes_after_the_booking_or_before_it(alpaca, kind, booked):
    alpaca.fault(kind, method="POST")
    keys = {"APCA-API-KEY-ID": alpaca.key, "APCA-API-SECRET-KEY": alpaca.secret}
    order = {"symbol": "IBM", "qty": "1", "side": "buy", "type": "market", "time_in_force": "opg"}
    with pytest.raises(requests.Timeout):
        requests.post(f"{alpaca.url}/v2/orders", json=order, headers=keys, timeout=0.1)
    assert len(alpaca.exchange.orders) == booked


def test_plain_alpaca_py_orders_once_with_an_id_and_hears_that_it_is_taken(alpaca):
    client = TradingClient(alpaca.key, alpaca.secret, url_override=alpaca.url)
    client._retry_wait = 0
    alpaca.fault("504", times=1, method="POST")
    assert refused(client.submit_order, market(name="mine"))[1] == 40010001
    alpaca.fault("504", times=3, method="POST")
    client.submit_order(market())
    assert len(alpaca.exchange.orders) == 1 + 4  # without an id, each try is an order


@pytest.mark.parametrize("kind, status", [("401", 401), ("403", 403), ("429", 429), ("422", 422), ("blocked", 403)])
def test_a_refusal_books_nothing(alpaca, client, kind, status):
    alpaca.fault(kind, method="POST", headers={"X-RateLimit-Reset": "1330700000"})
    with pytest.raises(APIError) as caught:
        client.submit_order(market())
    assert caught.value.status_code == status and alpaca.exchange.orders == {}
    if kind == "429":
        assert caught.value.response.headers["X-RateLimit-Reset"] == "1330700000"
    assert client.get_account().trading_blocked is False


def test_an_accepted_order_may_be_rejected_or_replaced_later(alpaca, client):
    for kind in ("rejected-later", "replaced"):
        alpaca.fault(kind, method="POST")
        assert client.submit_order(market(name=kind)).status == OrderStatus.ACCEPTED
    assert client.get_order_by_client_id("rejected-later").status == OrderStatus.REJECTED
    gone = client.get_order_by_client_id("replaced")
    assert gone.status == OrderStatus.REPLACED and client.get_order_by_id(gone.replaced_by).replaces == gone.id


def test_an_order_may_fill_although_its_cancellation_was_accepted(alpaca, client):
    order = client.submit_order(market())
    alpaca.fault("cancel-race", method="DELETE")
    client.cancel_order_by_id(order.id)
    assert client.get_order_by_id(order.id).status == OrderStatus.PENDING_CANCEL
    alpaca.now = MORNING
    assert client.get_order_by_id(order.id).status == OrderStatus.FILLED


def test_a_new_order_may_be_hidden_from_lookups(alpaca, client):
    order = client.submit_order(market(name="mine"))
    alpaca.fault("hidden", times=2, method="GET", path="orders")
    assert refused(client.get_order_by_client_id, "mine")[:2] == (404, 40410000)
    assert client.get_orders() == []
    assert client.get_order_by_client_id("mine").id == order.id
    alpaca.exchange.delay = pd.Timedelta(seconds=5)
    alpaca.now += pd.Timedelta(minutes=1)
    client.submit_order(market(name="late"))
    assert refused(client.get_order_by_client_id, "late")[0] == 404 and len(client.get_orders()) == 1
    alpaca.now += pd.Timedelta(seconds=5)
    assert client.get_order_by_client_id("late").qty == "10"


def test_a_reply_may_say_what_it_should_not(alpaca, client):
    client.submit_order(market(name="mine"))
    client.submit_order(market("IBM", name="other"))
    alpaca.now = MORNING
    raw = {
        kind: faulty(alpaca, client, kind, "/orders", {"status": "all"}) for kind in ("strange-status", "wrong-id", "reorder")
    }
    assert {row["status"] for row in raw["strange-status"]} == {"held_for_review"}
    assert [row["client_order_id"] for row in raw["wrong-id"]] == ["other-other", "mine-other"]
    assert [row["client_order_id"] for row in raw["reorder"]] == ["mine", "other"]
    fills = {kind: faulty(alpaca, client, kind, "/account/activities") for kind in ("duplicate", "overfill", "negative-price")}
    assert len(fills["duplicate"]) == 4 and len({row["id"] for row in fills["duplicate"]}) == 2
    assert {row["qty"] for row in fills["overfill"]} == {"10000"}
    assert all(float(row["price"]) < 0 for row in fills["negative-price"])
    assert [row["qty"] for row in client.get("/account/activities")] == ["10", "10"]


def faulty(alpaca, client, kind, path, query=None):
    alpaca.fault(kind, path=path)
    return client.get(path, query)


def test_what_is_no_order_is_refused_with_a_sentence(alpaca):
    keys = {"APCA-API-KEY-ID": alpaca.key, "APCA-API-SECRET-KEY": alpaca.secret}
    sound = {"symbol": "IBM", "qty": "1", "side": "buy", "type": "market", "time_in_force": "opg"}
    spoiled = [{"qty": "-1"}, {"qty": "nan"}, {"qty": "x"}, {"side": "hold"}, {"type": "limit"}, {"client_order_id": "x" * 129}]
    for body in [json.dumps({**sound, **change}) for change in spoiled] + ["[]", "{"]:
        answer = requests.post(f"{alpaca.url}/v2/orders", data=body, headers=keys, timeout=2)
        assert answer.status_code in {400, 422} and answer.json()["message"]
    assert requests.get(f"{alpaca.url}/v2/orders", params={"limit": "x"}, headers=keys, timeout=2).status_code == 422
    assert alpaca.exchange.orders == {}


def test_unknown_faults_and_a_server_without_daily_bars_say_so(alpaca, bundled):
    for kind, path in ("flood", ""), ("504", "/stream"):
        with pytest.raises(InvalidParameter, match="pass one of"):
            alpaca.fault(kind, path=path)
    with pytest.raises(InvalidParameter, match="interval '1d'"):
        _ = AlpacaServer([]).exchange


# --- the stream


class Listener:
    """alpaca-py's stream in a thread; `until` waits for a number of updates."""

    def __init__(self, server: AlpacaServer) -> None:
        self.updates, self._more = [], threading.Condition()
        self.stream = TradingStream(server.key, server.secret, url_override=server.stream.url)
        self.stream.subscribe_trade_updates(self._told)
        self._thread = threading.Thread(target=self.stream.run, daemon=True)
        self._thread.start()
        assert server.stream.listening.wait(10)

    async def _told(self, update) -> None:
        with self._more:
            self.updates.append(update)
            self._more.notify_all()

    def stop(self, server: AlpacaServer) -> None:
        self.stream.stop()
        server.stream.drop()
        self._thread.join(10)
        assert not self._thread.is_alive()

    def until(self, count: int) -> list:
        with self._more:
            assert self._more.wait_for(lambda: len(self.updates) >= count, 10), self.updates
        return self.updates


@pytest.fixture
def listener(alpaca):
    listener = Listener(alpaca)
    yield listener
    listener.stop(alpaca)


def test_the_stream_tells_what_becomes_of_orders(alpaca, client, listener, bundled):
    alpaca.exchange.plan["AAPL"] = [(4, 6)]
    client.submit_order(market(name="mine"))
    client.cancel_order_by_id(client.submit_order(market("IBM")).id)
    client.submit_order(LimitOrderRequest(symbol="MSFT", qty=1, side="buy", time_in_force="day", limit_price=1))
    alpaca.fault("rejected-later", method="POST")
    client.submit_order(market("GOOG", 1))
    alpaca.now = at("2012-03-02 18:00")
    updates = listener.until(9)
    assert [update.event for update in updates] == [
        "new", "new", "canceled", "new", "new", "rejected", "partial_fill", "fill", "expired"
    ]  # fmt: skip
    fill = updates[7]
    assert (fill.qty, fill.position_qty, fill.order.filled_qty, fill.order.client_order_id) == (6.0, 10.0, "10", "mine")
    assert fill.price == traded(bundled, "AAPL", "2012-03-02", "open")


def test_the_stream_repeats_reorders_and_loses_events(alpaca, client, listener):
    for kind in ("duplicate", "reorder", "lost"):
        alpaca.fault(kind, path="/stream")
    names = ["twice", "late", "never", "early"]
    for name in names:
        client.submit_order(market(name=name, qty=1))
    assert [update.order.client_order_id for update in listener.until(4)] == ["twice", "twice", "late", "early"]


def test_a_stream_that_is_cut_is_opened_again(alpaca, client, listener):
    listener.stream._reconnect_min_backoff = 0.01
    alpaca.fault("reset", path="/stream")
    client.submit_order(market(name="before"))
    assert alpaca.stream.listening.wait(10)
    client.submit_order(market(name="after"))
    names = [update.order.client_order_id for update in listener.until(2)]
    assert names[-1] == "after"


def test_splits_are_announced_by_their_dates_and_alpaca_py_reads_them(alpaca, client):
    days = dict(ca_types=["split"], since="2005-02-01", until="2005-03-31", date_type="ex_date")
    [split] = client.get_corporate_announcements(GetCorporateAnnouncementsRequest(**days))
    assert (split.initiating_symbol, f"{split.ex_date}", split.old_rate, split.new_rate) == ("AAPL", "2005-02-28", 1.0, 2.0)
    for other in (dict(until="2005-02-27"), dict(since="2005-03-01"), dict(ca_types=["dividend"]), dict(symbol="IBM")):
        assert client.get_corporate_announcements(GetCorporateAnnouncementsRequest(**days | other)) == []
    far = {"ca_types": "split", "since": "2005-01-01", "until": "2005-12-31"}
    assert refused(client.get, "/corporate_actions/announcements", far)[0] == 422
