"""implicit's lists of ten for all users from given factors or neighbours, in its own environment.

    python implicit_lists.py DATA.npz OUT.npz

DATA: starts, items (histories), n_items, users [U, D], vectors [I, D], and the similarities of item-knn as CSR parts.
OUT: for `factors` and `neighbours`, the seconds of three runs, and lists [U, 10].
"""

import sys
import time

import numpy as np
from implicit.cpu.als import AlternatingLeastSquares
from implicit.nearest_neighbours import ItemItemRecommender, NearestNeighboursScorer
from scipy.sparse import csr_matrix


def main():
    data = np.load(sys.argv[1])
    starts, items, n_items = data["starts"], data["items"], int(data["n_items"])
    histories = csr_matrix((np.ones(len(items), dtype=np.float32), items, starts), shape=(len(starts) - 1, n_items))
    everyone = np.arange(histories.shape[0])
    factors = AlternatingLeastSquares(factors=data["users"].shape[1], num_threads=1)
    factors.user_factors, factors.item_factors = data["users"], data["vectors"]
    neighbours = ItemItemRecommender(K=100, num_threads=1)
    parts = data["data"].astype(np.float64), data["indices"], data["indptr"]
    neighbours.similarity = csr_matrix(parts, shape=(n_items, n_items))
    neighbours.scorer = NearestNeighboursScorer(neighbours.similarity)
    found = {}
    for name, model, given in [
        ("factors", factors, histories),
        ("neighbours", neighbours, histories.astype(np.float64)),
    ]:
        seconds = []
        for _ in range(3):
            started = time.perf_counter()
            lists, _ = model.recommend(everyone, given, N=10)
            seconds.append(time.perf_counter() - started)
        found |= {f"{name}_seconds": seconds, f"{name}_lists": lists}
    np.savez(sys.argv[2], **found)


if __name__ == "__main__":
    main()
