"""A configuration that does not fit is said in one sentence: file, key, value, what is allowed."""

import pytest

from toolkit.cycle.config import checked_config, read_config
from toolkit.errors import ConfigError

GOOD = "symbols: [AAPL, IBM]\n"


@pytest.mark.parametrize(
    "text, said",
    [
        ("symbols: [AAPL\n", ["is not YAML at line 2"]),
        (GOOD + "cash: 1.0\ncash: 2.0\n", ["is not YAML", "key 'cash' stands twice"]),
        (GOOD + "start: 2012-02-30\n", ["day is out of range"]),
        (GOOD + "state: 5\n", ["state is 5"]),
        ("- AAPL\n", ["holds list", "symbols: [AAPL, IBM]"]),
        ("", ["holds NoneType"]),
        ("cash: 1000.0\n", ["key 'symbols' is missing"]),
        (GOOD + "simbols: 3\n", ["unknown key 'simbols'", "did you mean 'symbols'"]),
        (GOOD + "risk: {max_positon: 0.2}\n", ["unknown key 'risk.max_positon'", "did you mean 'max_position'"]),
        (GOOD + "operations: {turnover_day: 2.0}\n", ["unknown key 'operations.turnover_day'", "under risk, as max_turnover"]),
        (GOOD + "operations: {max_net: 1.0}\n", ["unknown key 'operations.max_net'", "under risk, as max_net"]),
        (GOOD + "operations: {daily_loss: 0.1}\n", ["'operations.daily_loss'", "under risk, as daily_loss"]),
        (GOOD + "operations: {max_drawdown: 0.1}\n", ["'operations.max_drawdown'", "under risk, as max_drawdown"]),
        (GOOD + "operations: {drawdown_halts: 1}\n", ["operations.drawdown_halts is 1"]),
        ("symbols: []\n", ["symbols is []", "at least one"]),
        ("symbols: IBM\n", ["symbols is 'IBM'", "a list, such as [AAPL, IBM]"]),
        (GOOD + "strategy: trend_and_rsi\n", ["strategy is 'trend_and_rsi'", "keys below it; allowed are name, parameters"]),
        ("symbols: [BRK/B]\n", ["BRK/B", "BRK-B"]),
        ("symbols: [../../x]\n", ["../../x"]),
        (GOOD + "interval_minutes: -5\n", ["interval_minutes is -5", "greater than 0"]),
        (GOOD + "cash: lots\n", ["cash is 'lots'", "valid number"]),
        (GOOD + "cash: .nan\n", ["cash is nan"]),
        (GOOD + "mode: lives\n", ["mode is 'lives'", "'broker-paper' or 'live'"]),
        (GOOD + "risk: {max_position: -0.1}\n", ["risk.max_position is -0.1"]),
        (GOOD + "cache: {ttl: 0}\n", ["cache.ttl is 0"]),
        (GOOD + "account: ../x\n", ["account is '../x'"]),
        (GOOD + "x: !!python/object/apply:os.system [echo]\n", ["is not YAML"]),
    ],
)
def test_one_sentence_with_file_key_value_and_cure(tmp_path, text, said):
    path = tmp_path / "c.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        read_config(path)
    sentence = str(caught.value)
    assert "c.yaml" in sentence and "\n" not in sentence and "; " in sentence
    for part in said:
        assert part in sentence


def test_a_missing_file_is_said_too(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        read_config(tmp_path / "none.yaml")


def test_limits_that_are_not_written_are_those_of_the_mode(tmp_path):
    (tmp_path / "c.yaml").write_text(GOOD + "risk: {daily_loss: 0.03, max_net: 0.5}\n")
    for mode, turnover, drawdown in (
        ("replay", 2.0, 0.20),
        ("paper", 2.0, 0.20),
        ("broker-paper", 2.0, 0.20),
        ("live", 0.5, 0.10),
    ):
        _, limits, _, _ = read_config(tmp_path / "c.yaml", mode=mode).economics()
        assert (limits.max_net, limits.daily_loss) == (0.5, 0.03)
        assert (limits.max_turnover, limits.max_drawdown, limits.max_gross) == (turnover, drawdown, 1.0)


def test_real_money_moves_in_small_orders_unless_the_configuration_says_otherwise(tmp_path):
    """Section 5 of the facts on execution: min(2%, $5,000) an order, 10% a symbol, 10 orders a cycle."""
    (tmp_path / "c.yaml").write_text(GOOD + "risk: {max_order_share: 0.03}\n")
    live, paper = (read_config(tmp_path / "c.yaml", mode=mode) for mode in ("live", "paper"))
    found = [(limits.max_order_notional, limits.max_order_share, limits.max_position)
             for _, limits, _, _ in (live.economics(), paper.economics())]  # fmt: skip
    assert found == [(5_000.0, 0.03, 0.10), (25_000.0, 0.03, 0.20)]
    assert (live.operational().orders_cycle, paper.operational().orders_cycle) == (10, 50)
    assert checked_config({"symbols": ["IBM"], "mode": "live"}).economics()[1].max_order_share == 0.02


def test_overrides_win_and_folders_are_relative_to_the_file(tmp_path):
    (tmp_path / "c.yaml").write_text(GOOD + "state: ../state\ncash: 5000\ncache: {directory: here}\n")
    config = read_config(tmp_path / "c.yaml", cash=7000.0)
    assert config.cash == 7000.0 and config.state == str(tmp_path / "../state")
    assert config.cache.directory == str(tmp_path / "here")
