"""A slice of the soak, and the counts that execution promises; `python -m tests.promises` prints all of them."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor

import measures
import soak


def test_every_cycle_of_a_loop_with_faulty_fetches_ends_in_a_status_and_no_descriptor_leaks(tmp_path):
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as own:  # other tests leave descriptors, too
        found = own.submit(soak.soak, 200, 1, tmp_path).result(timeout=300)
    assert found.cycles == 200 and found.without_status == 0 and found.descriptors == 0 and found.unsound == []
    assert found.faulty > 20


def test_a_cycle_asks_for_what_is_due_and_for_little_else(bundled, tmp_path):
    found = measures.requests(bundled, tmp_path)
    assert found.idle == 0 and (found.yahoo, found.alpaca, found.same) == (len(measures.SYMBOLS), 2, 1)
    assert found.reconcile <= 6 and 0 < found.order <= 2


def test_account_and_positions_are_asked_for_a_fifth_as_often_as_by_the_plain_loop(bundled, tmp_path):
    ours, plain = measures.questions(bundled, tmp_path)
    assert 0 < ours <= 0.2 * plain


def test_an_engine_with_100_000_orders_behind_it_is_ready_in_two_seconds(tmp_path):
    assert measures.seconds_to_ready(measures.filled(tmp_path, 100_000)) < 2.0


def test_so_is_one_with_its_account_at_a_broker(bundled, tmp_path):
    assert measures.seconds_to_ready_at_a_broker(tmp_path, bundled, 100_000) < 2.0
