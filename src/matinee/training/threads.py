"""Independent blocks of a computation in numpy, on as many threads as its matrix products may use."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from threadpoolctl import ThreadpoolController

BlockT = TypeVar("BlockT")
ResultT = TypeVar("ResultT")


class BlockThreads:
    """As many threads as BLAS has when this is made: the machine's, or what OMP_NUM_THREADS or `thread_limit` say."""

    def __init__(self) -> None:
        self._products = ThreadpoolController().select(user_api="blas")
        self.n_threads = max((each["num_threads"] for each in self._products.info()), default=1)

    def map(self, work: Callable[[BlockT], ResultT], blocks: Iterable[BlockT]) -> list[ResultT]:
        """The results of the blocks in their order, the same for any number of threads.

        Products of small matrices gain nothing from the threads of BLAS, so each block has one. `work` may write to
        those parts of an array that no other block touches.
        """
        with self._products.limit(limits=1):
            if self.n_threads == 1:
                return [work(block) for block in blocks]
            with ThreadPoolExecutor(self.n_threads) as pool:
                return list(pool.map(work, blocks))
