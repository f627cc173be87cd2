"""One peer library, in its own environment: fits on the arrays it is given, writes lists and seconds.

    python peer.py NAME DATA.npz OUT.npz SETTINGS_JSON

DATA: starts, items (training histories, oldest first), shown_starts, shown_items (what is shown and masked at test).
OUT: lists [checkpoints, U, 10], seconds [checkpoints] of training until each.
"""

import contextlib
import itertools
import json
import sys
import time

import numpy as np
from scipy.sparse import csr_matrix

K = 10


def matrix(starts, items, n_items):
    return csr_matrix((np.ones(len(items), dtype=np.float32), items, starts), shape=(len(starts) - 1, n_items))


def best(scores, shown):
    scores = np.array(scores, dtype=np.float32)
    scores[np.repeat(np.arange(shown.shape[0]), np.diff(shown.indptr)), shown.indices] = -np.inf
    top = np.argpartition(-scores, K, axis=1)[:, :K]
    order = np.argsort(-np.take_along_axis(scores, top, axis=1), axis=1, kind="stable")
    return np.take_along_axis(top, order, axis=1).astype(np.int32)


def implicit_als(train, shown, sentences, settings):
    from implicit.cpu.als import AlternatingLeastSquares

    model = AlternatingLeastSquares(
        factors=settings["dim"],
        regularization=settings["l2"],
        alpha=settings["alpha"],
        iterations=settings["epochs"],
        num_threads=1,
        random_state=1,
    )
    taken = []
    started = time.process_time()
    model.fit(train, show_progress=False, callback=lambda *_: taken.append(time.process_time() - started))
    users = model.recalculate_user(np.arange(shown.shape[0]), shown)
    return [(taken[-1], best(users @ model.item_factors.T, shown))]


def irspack_ials(train, shown, sentences, settings):
    from irspack.recommenders import IALSRecommender

    model = IALSRecommender(
        train,
        n_components=settings["dim"],
        alpha0=settings["alpha0"],
        reg=settings["l2"],
        train_epochs=settings["epochs"],
        n_threads=1,
    )
    started = time.process_time()
    model.learn()
    seconds = time.process_time() - started
    return [(seconds, best(model.get_score_cold_user(shown), shown))]


def quicker(build, fit, scores, shown):
    """The quicker of two fits: the first one also loads what the library needs."""
    taken = []
    for _ in range(2):
        model = build()
        started = time.process_time()
        fit(model)
        taken.append(time.process_time() - started)
    return [(min(taken), best(scores(model), shown))]


def irspack_closed(train, shown, sentences, settings):
    import irspack.recommenders

    of = dict(settings)
    kind = getattr(irspack.recommenders, of.pop("recommender"))
    return quicker(
        lambda: kind(train, **of), lambda model: model.learn(), lambda model: model.get_score_cold_user(shown), shown
    )


def implicit_knn(train, shown, sentences, settings):
    import implicit.nearest_neighbours

    of = dict(settings)
    kind = getattr(implicit.nearest_neighbours, of.pop("recommender"))
    return quicker(
        lambda: kind(num_threads=1, **of),
        lambda model: model.fit(train, show_progress=False),
        lambda model: (shown @ model.similarity).toarray(),
        shown,
    )


def cornac_bpr(train, shown, sentences, settings):
    from cornac.data import Dataset
    from cornac.models import BPR

    coo = train.tocoo()
    triples = [(int(u), int(i), 1.0) for u, i in zip(coo.row, coo.col, strict=True)]
    data = Dataset.build(triples)
    model = BPR(
        k=settings["dim"],
        max_iter=settings["epochs"],
        learning_rate=settings["learning_rate"],
        lambda_reg=settings["l2"],
        num_threads=1,
        seed=1,
        verbose=False,
    )
    started = time.process_time()
    model.fit(data)
    seconds = time.process_time() - started
    scores = np.full(train.shape, -np.inf, dtype=np.float32)
    columns = np.array([data.iid_map[i] for i in range(train.shape[1]) if i in data.iid_map])
    known = np.array([i for i in range(train.shape[1]) if i in data.iid_map])
    rows = np.array([data.uid_map[u] for u in range(train.shape[0])])
    scores[:, known] = (model.u_factors[rows] @ model.i_factors.T + model.i_biases)[:, columns]
    return [(seconds, best(scores, shown))]


def gensim_word2vec(train, shown, sentences, settings):
    from gensim.models import Word2Vec
    from gensim.models.callbacks import CallbackAny2Vec

    found = []
    clock = {"spent": 0.0, "since": 0.0}

    class Enough(Exception):
        pass

    class Look(CallbackAny2Vec):
        def on_epoch_begin(self, model):
            clock["since"] = time.process_time()

        def on_epoch_end(self, model):
            clock["spent"] += time.process_time() - clock["since"]
            words = np.array([int(word) for word in model.wv.index_to_key])
            inner = np.zeros((train.shape[1], settings["dim"]), dtype=np.float32)
            outer = inner.copy()
            inner[words], outer[words] = model.wv.vectors, model.syn1neg
            unit = inner / np.maximum(np.linalg.norm(inner, axis=1, keepdims=True), 1e-9)
            means = shown @ inner
            contexts = (means / np.maximum(np.diff(shown.indptr), 1)[:, None]) @ outer.T
            found.append((clock["spent"], best((shown @ unit) @ unit.T, shown)))
            found.append((clock["spent"], best(contexts, shown)))
            if clock["spent"] > settings["seconds"]:
                raise Enough

    with contextlib.suppress(Enough):
        Word2Vec(
            [[str(item) for item in sentence] for sentence in sentences],
            vector_size=settings["dim"],
            window=settings["window"],
            negative=settings["negatives"],
            min_count=1,
            sg=1,
            sample=settings["sample"],
            epochs=settings["epochs"],
            workers=1,
            seed=1,
            callbacks=[Look()],
        )
    return found


PEERS = {
    "implicit": implicit_als,
    "implicit-knn": implicit_knn,
    "irspack": irspack_ials,
    "irspack-closed": irspack_closed,
    "cornac": cornac_bpr,
    "gensim": gensim_word2vec,
}


def main() -> None:
    name, data_path, out, settings = sys.argv[1:5]
    data = np.load(data_path)
    n_items = int(data["n_items"])
    starts, items = data["starts"], data["items"]
    sentences = [items[a:b].tolist() for a, b in itertools.pairwise(starts)]
    train = matrix(starts, items, n_items)
    shown = matrix(data["shown_starts"], data["shown_items"], n_items)
    for sparse in (train, shown):
        sparse.sort_indices()
    found = PEERS[name](train, shown, sentences, json.loads(settings))
    np.savez(out, seconds=[seconds for seconds, _ in found], lists=np.stack([lists for _, lists in found]))


if __name__ == "__main__":
    main()
