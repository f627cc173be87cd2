"""Blocks on several threads give what they give on one."""

import numpy as np
from threadpoolctl import threadpool_info, threadpool_limits

import matinee as mt
from matinee.training.threads import BlockThreads


def products() -> set[int]:
    return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}


def test_results_come_in_the_order_of_the_blocks_each_with_one_thread_of_products() -> None:
    with threadpool_limits(3, user_api="blas"):
        threads = BlockThreads()
        assert threads.n_threads == 3
        found = threads.map(lambda block: (block, products()), range(50))
        assert found == [(block, {1}) for block in range(50)]
        assert products() == {3}


def test_ials_is_the_same_on_any_number_of_threads() -> None:
    split = mt.split(mt.synthesize(users=300, items=120, events=6_000, seed=3))
    learned = []
    for threads in (1, 3):
        model = mt.fit("ials", split, dim=16, epochs=3, threads=threads).model
        learned.append((model.items, [row["loss"] for row in model.curves]))
    assert np.array_equal(learned[0][0], learned[1][0])
    assert learned[0][1] == learned[1][1]
