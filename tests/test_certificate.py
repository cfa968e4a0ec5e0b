"""A certificate reads well, is kept whole under the identity of its strategy, and no damage reads as another verdict."""

import functools
import json
import logging
import stat
from dataclasses import replace

import numpy as np
import pytest

from conftest import random_bars
from toolkit.data.places import state_folder
from toolkit.errors import InvalidParameter
from toolkit.signals.causality.certificate import Certificate, Leak, packed, unpacked
from toolkit.signals.causality.certification import certify
from toolkit.signals.causality.identity import identity


def leaking(bars):
    return np.sign(bars.close.shift(-1) - bars.close)


def honest(bars):
    return np.sign(bars.close.diff())


@pytest.fixture(scope="module")
def bars():
    return random_bars(1, n_symbols=5, n_bars=60)


@pytest.fixture(scope="module")
def found(bars):
    return certify(leaking, bars, state=False, progress=False)


@pytest.fixture(scope="module")
def passed(bars):
    return certify(honest, bars, state=False, progress=False)


def test_it_is_kept_under_the_identity_and_read_back_equal(bars, tmp_path, found):
    for strategy in leaking, honest:
        certificate = certify(strategy, bars, state=tmp_path, progress=False)
        assert (tmp_path / "certificates" / f"{identity(strategy)}.json").is_file()
        assert Certificate.read(tmp_path, identity(strategy)) == certificate
    assert Certificate.read(tmp_path, identity(leaking)) == found
    assert found.leaking.any() and not certificate.leaking.any()


def test_by_default_it_is_kept_in_the_state_of_the_project(bars, tmp_path, monkeypatch):
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "notebooks").mkdir()
    monkeypatch.chdir(tmp_path / "notebooks")
    certificate = certify(honest, bars, progress=False)
    assert Certificate.read(state_folder(), certificate.identity) == certificate
    assert (tmp_path / "state" / "certificates").is_dir()


def test_nothing_is_kept_if_nothing_is_to_be_kept(bars, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    certify(honest, bars, state=False, progress=False)
    assert list(tmp_path.iterdir()) == []


def test_a_changed_strategy_has_no_certificate(bars, tmp_path):
    def strategy(bars, window):
        return np.sign(bars.close.diff(window))

    certify(functools.partial(strategy, window=3), bars, state=tmp_path, progress=False)
    assert Certificate.read(tmp_path, identity(functools.partial(strategy, window=3))).passed
    assert Certificate.read(tmp_path, identity(functools.partial(strategy, window=4))) is None


def test_another_check_of_the_same_strategy_takes_its_place_and_leaves_one_file(tmp_path, passed):
    path = passed.write(tmp_path)
    assert replace(passed, n_bars=61).write(tmp_path) == path
    assert Certificate.read(tmp_path, passed.identity).n_bars == 61
    assert list(path.parent.iterdir()) == [path] and stat.S_IMODE(path.stat().st_mode) == 0o644


def test_without_a_certificate_there_is_none_and_nothing_is_said(tmp_path, caplog):
    assert Certificate.read(tmp_path, "0" * 32) is None and not caplog.records


def test_no_damage_raises_or_reads_as_another_verdict(tmp_path, found, caplog):
    path, rng = found.write(tmp_path), np.random.default_rng(1)
    whole = path.read_bytes()
    for cut in (0, 1, len(whole) // 2, len(whole) - 2):
        path.write_bytes(whole[:cut])
        assert Certificate.read(tmp_path, found.identity) is None
    for at in rng.choice(len(whole), 300, replace=False):
        damaged = bytearray(whole)
        damaged[at] ^= 1 << int(rng.integers(8))
        path.write_bytes(damaged)
        with caplog.at_level(logging.CRITICAL):
            assert Certificate.read(tmp_path, found.identity) in (None, found)


BROKEN = ["", "null", "[]", "{}", '{"certificate": 3}', '{"certificate": {}, "checksum": ""}', "[" * 9999, "\x00"]


@pytest.mark.parametrize("text", BROKEN, ids=range(len(BROKEN)))
def test_what_is_no_certificate_is_none_and_the_log_says_so(tmp_path, text, caplog):
    path = tmp_path / "certificates" / f"{'1' * 32}.json"
    path.parent.mkdir()
    path.write_text(text)
    assert Certificate.read(tmp_path, "1" * 32) is None
    assert "certify the strategy again" in caplog.text


def test_leaks_taken_out_by_hand_do_not_make_it_pass(tmp_path, found):
    path = found.write(tmp_path)
    kept = json.loads(path.read_text())
    kept["certificate"]["leaks"] = []
    path.write_text(json.dumps(kept))
    assert Certificate.read(tmp_path, found.identity) is None


def test_a_file_under_another_identity_is_none(tmp_path, passed):
    path = passed.write(tmp_path)
    path.rename(path.with_name(f"{'2' * 32}.json"))
    assert Certificate.read(tmp_path, "2" * 32) is None


def test_one_of_an_earlier_toolkit_with_other_fields_is_none(tmp_path, passed):
    from toolkit.signals.causality.certificate import sealed

    path = passed.write(tmp_path)
    values = json.loads(path.read_text())["certificate"]
    path.write_text(sealed({name: value for name, value in values.items() if name != "settled"}))
    assert Certificate.read(tmp_path, passed.identity) is None


def test_a_path_cannot_be_smuggled_in(tmp_path):
    with pytest.raises(InvalidParameter, match="32 hex digits"):
        Certificate.read(tmp_path, "../../etc/passwd")


def test_a_folder_that_cannot_be_written_is_said_and_the_certificate_is_not_lost(tmp_path, bars, passed, caplog):
    (tmp_path / "state").touch()
    with pytest.raises(InvalidParameter, match="cannot be written"):
        passed.write(tmp_path / "state")
    assert certify(honest, bars, state=tmp_path / "state", progress=False).passed
    assert "is not kept" in caplog.text


# ---------------------------------------------------------------------------------------------------------------- words
def test_a_leak_reads_as_a_sentence():
    leak = Leak("2011-03-04", "IBM", 0.0, 1.0, "FUTURE")
    assert str(leak) == "FUTURE IBM 2011-03-04: 0.0 when it was the last bar, 1.0 once later bars were known"
    assert str(Leak("2011-03-04", "IBM", float("nan"), -0.25)).endswith(
        "no opinion when it was the last bar, -0.25 once later bars were known"
    )


def test_a_difference_in_the_last_digits_is_shown_and_called_rounding():
    text = str(Leak("2011-03-04", "IBM", 0.1 + 0.2, 0.3))
    assert "0.30000000000000004 when it was the last bar, 0.3 once" in text and "(rounding:" in text


def test_it_says_verdict_first_leak_cure_and_what_cannot_be_seen(found, passed):
    lines = str(found).splitlines()
    assert lines[0] == "LEAKS leaking: it uses bars that come later"
    assert lines[1].startswith("  checked  60 bars of S0, S1, S2, S3, S4, 2011-01-03 to 2011-03-25: history cut after each bar")
    assert sum(line.startswith("  FUTURE S") for line in lines) == 3 and "  FUTURE and 2 more symbols" in lines
    assert lines[-2].startswith("  cure     FUTURE: look for shift(-n)") and lines[-1].startswith("  unseen   ")
    assert str(passed).splitlines()[0] == "PASSED honest: no bar of 60 sees a later one"
    history = "  history  1 bar, then its scores no longer depend on where history starts (of the starts tried)"
    assert history in str(passed).splitlines()


def test_the_table_has_the_verdict_on_top_and_escapes_names(found, passed):
    assert ">LEAKS</b> leaking: it uses bars that come later</caption>" in found._repr_html_()
    assert ">PASSED</b>" in passed._repr_html_() and "cure" not in passed._repr_html_()
    assert "&lt;lambda&gt;" in replace(passed, strategy="<lambda>")._repr_html_()


def test_words_do_not_change_with_versions_and_identity(passed):
    other = replace(passed, identity="f" * 32, versions={"numpy": "9"})
    assert str(other) == str(passed) and other._repr_html_() == passed._repr_html_()


def test_marks_come_back_as_they_were_and_are_short():
    rng = np.random.default_rng(1)
    for shape in (1, 1), (3, 7), (5, 5000):
        marks = rng.random(shape) < 0.3
        assert (unpacked(packed(marks), shape) == marks).all()
    assert packed(np.zeros((5, 5000), bool)) == "" and len(packed(np.ones((5, 5000), bool))) < 100
