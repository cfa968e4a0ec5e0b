"""%%phases prints one line of what was measured and nothing else, whatever becomes of the cell; data.work is what measures."""

import re
import threading
import traceback
from pathlib import Path

import pytest
from IPython.core.interactiveshell import InteractiveShell
from nbval.plugin import get_sanitize_patterns
from traitlets.config import Config

from toolkit.data import MarketData
from toolkit.data.work import Work, carried, count, phase, report, waiting, watch
from toolkit.errors import DataUnavailable
from toolkit.plots import phases as magic

SANITIZE = Path(__file__).parent / "nbval.cfg"


class Ticking:
    """A clock of which a test says how many seconds pass."""

    namespace = "replay"

    def __init__(self):
        self.seconds = 0.0

    def monotonic(self):
        return self.seconds

    def sleep(self, seconds):
        self.seconds += seconds


@pytest.fixture
def clock():
    return Ticking()


@pytest.fixture
def shell(tmp_path):
    config = Config({"HistoryManager": {"enabled": False}})
    shell = InteractiveShell.instance(config=config, ipython_dir=str(tmp_path))
    magic.load_ipython_extension(shell)
    shell.user_ns.update(phase=phase, count=count, report=report)
    yield shell
    InteractiveShell.clear_instance()


# --------------------------------------------------------------------------------------------------------------- watching
def test_time_within_a_phase_belongs_to_the_inner_one_alone(clock):
    with watch(clock) as work:
        clock.sleep(1.0)
        with phase("signals"):
            clock.sleep(2.0)
            with phase("kernels"):
                clock.sleep(4.0)
            with phase("signals"):
                clock.sleep(8.0)
            clock.sleep(16.0)
    assert work.seconds == {"signals": 26.0, "kernels": 4.0} and work.total == 31.0


def test_a_phase_that_fails_has_taken_its_time_and_the_one_around_it_goes_on(clock):
    with pytest.raises(ZeroDivisionError), watch(clock) as work, phase("signals"):
        try:
            with phase("fetch"):
                clock.sleep(1.0)
                raise DataUnavailable("nothing", "wait")
        except DataUnavailable:
            clock.sleep(2.0)
        with phase("kernels"):
            clock.sleep(4.0)
            1 / 0  # noqa: B018
    assert work.seconds == {"fetch": 1.0, "signals": 2.0, "kernels": 4.0} and work.total == 7.0


def test_those_who_watch_within_each_other_both_see_what_is_done_within(clock):
    with watch(clock) as outer, phase("execution"):
        clock.sleep(1.0)
        with watch(clock) as inner:
            with phase("fetch"):
                clock.sleep(2.0)
            count(hits=3)
    assert inner.seconds == {"fetch": 2.0} and inner.total == 2.0
    assert outer.seconds == {"execution": 1.0, "fetch": 2.0} and outer.counts == inner.counts == {"hits": 3}


def test_a_thread_is_not_timed_and_counts_for_those_who_carried_its_function_there(clock):
    def fetch():
        with phase("fetch"), waiting("IBM"):
            count(calls=1)
            clock.sleep(5.0)

    with watch(clock) as work:
        for function in (fetch, carried(fetch)):
            thread = threading.Thread(target=function)
            thread.start()
            thread.join()
    assert (work.seconds, work.counts, work.waits, work.total) == ({}, {"calls": 1}, {"IBM": 5.0}, 10.0)


def test_a_wait_that_ends_in_an_error_is_a_wait_and_the_longest_is_kept(clock):
    with watch(clock) as work:
        for seconds in (1.0, 3.0, 2.0):
            with pytest.raises(DataUnavailable), waiting("AAPL", "IBM"):
                clock.sleep(seconds)
                raise DataUnavailable("the source did not answer", "ask again later")
    assert work.waits == {"AAPL": 3.0, "IBM": 3.0}


def test_a_report_fills_in_what_no_layer_has_measured_itself(clock):
    with watch(clock) as work:
        for _ in range(2):
            with phase("fetch"):
                clock.sleep(1.0)
            count(hits=5)
            report({"fetch": 1.5, "risk": 0.5}, {"hits": 5, "calls": 2})
    assert work.seconds == {"fetch": 2.0, "risk": 1.0} and work.counts == {"hits": 10, "calls": 4}


def test_where_nobody_watches_nothing_is_kept(clock):
    work = Work(clock)
    with phase("fetch"), waiting("IBM"):
        count(hits=1)
    report({"risk": 1.0}, {})
    assert (work.seconds, work.counts, work.waits) == ({}, {}, {})


# ---------------------------------------------------------------------------------------------------------------- the line
def test_the_line_has_what_was_measured_in_the_order_of_the_pipeline(clock):
    with watch(clock) as work:
        for name in ("execution", "risk", "signals", "kernels", "fetch"):
            with phase(name):
                clock.sleep(0.5)
        count(hits=4, misses=1, calls=1)
    assert magic.line(work) == (
        "fetch ≈500 ms · hits 4 of 5 · kernels ≈500 ms · signals ≈500 ms · risk ≈500 ms · execution ≈500 ms"
        " · calls 1 · total ≈2.5 s"
    )


def test_what_was_not_measured_is_not_printed(clock):
    with watch(clock) as work:
        clock.sleep(0.25)
        count(calls=0)
    assert magic.line(work) == "calls 0 · total ≈250 ms"


def blanked(text):
    for pattern, replacement in get_sanitize_patterns(SANITIZE.read_text()):
        text = re.sub(pattern, replacement, text)
    return text


def test_nbval_blanks_the_timings_of_a_line_and_compares_its_counts(clock):
    def one(seconds, hits):
        with watch(clock) as work, phase("fetch"):
            clock.sleep(seconds)
            count(hits=hits, calls=0)
        return blanked(magic.line(work))

    assert one(0.000012, 5) == one(7.1, 5) == "fetch <TIMING> · hits 5 of 5 · calls 0 · total <TIMING>" != one(7.1, 4)


# --------------------------------------------------------------------------------------------------------------- the magic
def test_the_line_stands_under_the_output_and_the_value_of_the_cell(shell, capsys):
    ran = shell.run_cell("%%phases\nwith phase('fetch'):\n    print('working')\ncount(hits=1)\n6 * 7")
    printed = capsys.readouterr().out.strip().splitlines()
    assert ran.result == 42 and printed[0] == "working" and printed[-2].endswith("42")
    assert re.fullmatch(r"fetch ≈\S+ \S+ · hits 1 of 1 · total ≈\S+ \S+", printed[-1])


def test_names_of_the_cell_are_those_of_the_notebook(shell):
    shell.run_cell("%%phases\nkept = 1")
    shell.run_cell("%%phases\nkept += 1")
    assert shell.user_ns["kept"] == 2


def test_a_semicolon_hides_the_value(shell, capsys):
    assert shell.run_cell("%%phases\n6 * 7;").result is None
    assert blanked(capsys.readouterr().out) == "total <TIMING>\n"


FAILING = "def twice(x):\n    return x / 0\n\ntwice(1)"


def where(error):
    """Function and line number of the frames of the cell, the outermost first."""
    frames = traceback.extract_tb(error.__traceback__)
    return [
        (frame.name, frame.lineno) for frame in frames if "ipython" in frame.filename and "site-packages" not in frame.filename
    ]


def test_an_error_keeps_its_type_and_its_frames_and_the_line_is_printed(shell, capsys):
    plain = shell.run_cell(FAILING).error_in_exec
    capsys.readouterr()
    error = shell.run_cell(f"%%phases\n{FAILING}").error_in_exec
    assert type(error) is ZeroDivisionError and error.args == plain.args
    assert where(error)[-2:] == where(plain) == [("<module>", 4), ("twice", 2)]
    assert blanked(capsys.readouterr().out).startswith("total <TIMING>\n")


@pytest.mark.parametrize("kind", ["KeyboardInterrupt", "SystemExit", "DataUnavailable('no answer', 'wait')"])
def test_an_interrupt_and_a_typed_error_go_on_as_well(shell, capsys, kind):
    shell.user_ns["DataUnavailable"] = DataUnavailable
    shell.run_cell(
        f"try:\n    get_ipython().run_cell_magic('phases', '', '''raise {kind}''')\nexcept BaseException as e:\n    seen = e"
    )
    assert type(shell.user_ns["seen"]).__name__ == kind.partition("(")[0]
    assert "total ≈" in capsys.readouterr().out


def test_a_syntax_error_is_the_cells_own_and_nothing_is_run(shell, capsys):
    error = shell.run_cell("%%phases\nran = True\n1 +").error_in_exec
    assert type(error) is SyntaxError and error.lineno == 2 and "ran" not in shell.user_ns
    assert "total" not in capsys.readouterr().out


def test_a_cell_within_a_cell_prints_its_line_and_the_outer_one_knows_of_it(shell, capsys):
    inner = "get_ipython().run_cell_magic('phases', '', 'count(hits=2)')"
    shell.run_cell(f"%%phases\ncount(hits=1)\n{inner}")
    assert blanked(capsys.readouterr().out) == "hits 2 of 2 · total <TIMING>\nhits 3 of 3 · total <TIMING>\n"
    shell.run_cell("%%phases\n%%phases\ncount(hits=1)")
    assert blanked(capsys.readouterr().out) == "hits 1 of 1 · total <TIMING>\n" * 2


def test_options_are_refused(shell, capsys):
    shell.run_cell("%%phases fast\n1")
    assert "takes no options, it is given 'fast'" in "".join(capsys.readouterr())


def test_a_fetch_gives_the_same_bars_whether_it_is_watched_or_not(tmp_path, shell):
    shell.user_ns["market"] = market = MarketData()
    shell.run_cell("%%phases\nbars = market.bars('IBM')")
    assert shell.user_ns["bars"].fingerprint == market.bars("IBM").fingerprint
