"""What functions, settings and values are called in other libraries, and what they are called here."""

from collections.abc import Iterable

from matinee.errors import did_you_mean

_METRICS = ("ndcg", "recall", "precision", "map", "mrr", "hit", "hit_rate", "auc", "rmse", "mae")
_OF_METRICS = {
    called: f'mt.evaluate(model, split)["{name}@10"]'
    for name in _METRICS
    for called in (name, name.upper(), f"{name}_at_k", f"{name}_score")
}
FUNCTIONS = _OF_METRICS | {
    "Dataset": 'mt.events(frame, user="user_id", item="item_id")',
    "GridSearchCV": 'mt.tune("ease", split)',
    "Interactions": 'mt.events(frame, user="user_id", item="item_id")',
    "Reader": 'mt.load("ratings.csv")',
    "Trainer": 'mt.fit("ease", split)',
    "batch_recommend": "mt.recommend_all(model, k=10)",
    "bundled": 'mt.load("bundled")',
    "create_dataset": 'mt.load("ratings.csv"), or mt.events(frame)',
    "cross_val_score": 'mt.split(data, "k-fold", fold=0), once a fold',
    "cross_validate": 'mt.split(data, "k-fold", fold=0), once a fold',
    "data_preparation": "mt.split(data)",
    "dataset": 'mt.load("bundled")',
    "datasets": 'mt.load("bundled"); `matinee data list` names the others',
    "download": "matinee data fetch NAME, in a shell",
    "explain": 'mt.recommend(model, liked=["Alien (1979)"], explain=True)',
    "fetch": "matinee data fetch NAME, in a shell",
    "filter": "mt.keep(data, min_user_events=5)",
    "from_dataframe": "mt.events(frame)",
    "from_pandas": "mt.events(frame)",
    "get_movielens": 'mt.load("ml-1m"), after `matinee data fetch ml-1m`',
    "get_similar_items": "mt.similar(model, item=1)",
    "grid_search": 'mt.tune("ease", split)',
    "help": "help(mt), or mt.models() for a table of models",
    "hyperopt": 'mt.tune("ease", split)',
    "k_core": "mt.keep(data, min_user_events=5, min_item_events=5, repeat=True)",
    "kcore": "mt.keep(data, min_user_events=5, min_item_events=5, repeat=True)",
    "leave_one_out": 'mt.split(data, "leave-last")',
    "list_models": "mt.models()",
    "load_data": 'mt.load("ratings.csv")',
    "load_dataset": 'mt.load("bundled")',
    "load_model": "mt.load_artefact(folder)",
    "load_movielens": 'mt.load("ml-1m"), after `matinee data fetch ml-1m`',
    "metrics": "mt.evaluate(model, split).to_frame()",
    "movielens": 'mt.load("bundled")',
    "plot": "mt.evaluate(model, split).plot(); data, splits, audits, comparisons and artefacts have .plot() too",
    "predict": 'mt.recommend(model, liked=["Alien (1979)"])',
    "read_csv": 'mt.load("ratings.csv")',
    "recommend_k_items": "mt.recommend_all(model, k=10)",
    "run": 'mt.evaluate("ease", split)',
    "run_recbole": 'mt.evaluate("bpr", mt.split(mt.load("bundled")))',
    "save": "mt.save_artefact(model, folder)",
    "save_model": "mt.save_artefact(model, folder)",
    "score": "mt.evaluate(model, split)",
    "serve": "mt.save_artefact(model, folder), then `matinee serve FOLDER` in a shell",
    "set_seed": 'seed=1 in mt.split(data, seed=1) and mt.fit("ease", split, seed=1)',
    "similar_items": "mt.similar(model, item=1)",
    "topk": "mt.recommend_all(model, k=10)",
    "train": 'mt.fit("ease", split)',
    "train_test_split": "mt.split(data)",
}
"""Functions and classes of other libraries -> the call that works here."""

_PARTS = ("train", "valid", "test")
ARTEFACT = {
    "evaluate": "mt.evaluate(model, split)",
    "explain": 'mt.recommend(model, liked=["Alien (1979)"], explain=True)',
    "fit": 'mt.fit("ease", split)',
    "get_params": "model.model.config",
    "item_embeddings": "model.model.item_vectors()",
    "item_factors": "model.model.item_vectors()",
    "params": "model.model.config",
    "predict": "mt.recommend(model, user=1, k=10)",
    "recommend": "mt.recommend(model, user=1, k=10)",
    "recommend_all": "mt.recommend_all(model, k=10)",
    "recommend_k_items": "mt.recommend_all(model, k=10)",
    "save": "mt.save_artefact(model, folder)",
    "score": "mt.evaluate(model, split)",
    "similar": "mt.similar(model, item=1)",
    "similar_items": "mt.similar(model, item=1)",
    "test": "mt.evaluate(model, split)",
    "train": 'mt.fit("ease", split)',
}
DATASET = {
    "columns": "data.to_frame().columns",
    "df": "data.to_frame()",
    "filter": "mt.keep(data, min_user_events=5)",
    "head": "data.to_frame().head()",
    "info": "mt.audit(data)",
    "interactions": "data.to_frame()",
    "item_num": "len(data.items)",
    "n_items": "len(data.items)",
    "n_users": "len(data.users)",
    "num_items": "len(data.items)",
    "num_users": "len(data.users)",
    "ratings": "data.to_frame()",
    "shape": "len(data.users), len(data.items)",
    "split": 'mt.split(data, "random", seed=42)',
    "user_num": "len(data.users)",
}
SPLIT = {
    part: f'split.to_frame().filter(pl.col("part") == "{part}") for its events; mt.fit learns from train, '
    "mt.evaluate asks for test"
    for part in _PARTS
}
REPORT = {
    "get": 'report.metrics["ndcg@10"].mean',
    "results": "report.metrics, or report.to_frame()",
    "scores": "report.metrics, or report.to_frame()",
    "to_dict": "report.to_json()",
    **{name: f'report.metrics["{name}@10"].mean' for name in _METRICS},
}
MOVIE_LIST = {
    "ids": "[movie.item_id for movie in movies]",
    "items": "[movie.item_id for movie in movies]",
    "scores": "[movie.score for movie in movies]",
    "titles": "[movie.title for movie in movies]",
    "to_dict": "movies.to_json()",
}
"""Attributes of objects of other libraries -> the call that works here."""

_KEYS = {
    "at": ("time_point", "timestamp_threshold"),
    "batch_size": ("train_batch_size", "batch"),
    "dim": (
        *("factors", "n_factors", "num_factors", "embedding_size", "embedding_dim", "emb_size", "embed_dim", "rank"),
        *("hidden_size", "hidden_units", "latent_dim", "no_components", "n_components", "features", "size"),
    ),
    "dropout": ("dropout_prob", "dropout_rate", "hidden_dropout_prob", "drop_rate"),
    "epochs": ("n_epochs", "num_epochs", "max_epochs", "max_iter", "n_iter", "iterations", "num_iterations"),
    "folds": ("n_splits", "cv", "n_folds"),
    "gap": ("session_gap", "inactivity"),
    "heads": ("n_heads", "num_heads"),
    "item": ("item_col", "item_id", "item_field", "itemid", "movie_id", "iid"),
    "k": ("n", "top_k", "topk", "topn", "top_n", "n_items", "num_items", "size", "limit", "K", "ks"),
    "l2": ("regularization", "reg", "reg_weight", "reg_lambda", "lambda_", "lam", "weight_decay", "alpha"),
    "layers": ("n_layers", "num_layers", "num_blocks"),
    "learning_rate": ("lr", "eta", "step_size"),
    "max_length": ("maxlen", "max_len", "max_seq_length", "session_max_len"),
    "min_item_events": ("min_item", "item_min", "min_ratings_per_item"),
    "min_user_events": ("min_user", "user_min", "min_ratings_per_user", "min_events"),
    "n_negatives": ("neg_sampling", "num_negatives", "negative_samples", "n_neg"),
    "neighbours": ("k", "n_neighbors", "num_neighbors", "nnbrs", "max_nbrs", "topk"),
    "ratios": ("test_size", "test_ratio", "train_size", "split_ratio"),
    "seed": ("random_state", "random_seed", "rng"),
    "shrinkage": ("shrink", "beta"),
    "split": ("method", "strategy"),
    "threads": ("n_jobs", "num_threads", "nthreads", "workers"),
    "time": ("timestamp", "timestamp_col", "time_col", "time_field", "datetime"),
    "user": ("user_id", "users", "user_ids", "userid", "user_col", "user_field", "uid"),
    "value": ("rating", "rating_col", "rating_field", "weight", "score"),
}
KEYS = {(other.lower(), ours) for ours, others in _KEYS.items() for other in others}
"""Arguments and settings: (name in other libraries in lower case, name here)."""

_OF_A_FIT = ("seed", "threads")
_ALL_METRICS = ("metric", "metrics", "eval_metric", "scoring")

SPLITS = {
    "leave-last": ("leaveoneout", "loo", "lastevent", "lastitem", "ls"),
    "random": ("holdout", "ratio", "rs", "row"),
    "time": ("temporal", "chronological", "to", "global", "globaltime", "timebased"),
    "k-fold": ("kfold", "cv", "crossvalidation", "crossfold"),
    "new-users": ("users", "strong", "stronggeneralization", "coldusers", "user"),
}
"""Method of a split -> its names in other libraries, in lower case, letters only."""


def key_hint(name: str, known: Iterable[str]) -> str:
    """What to write instead of an unknown argument or setting, as the end of a message."""
    known = list(known)
    same = [ours for ours in known if (name.lower(), ours) in KEYS]
    if name.lower() in _ALL_METRICS and "k" in known:
        return "; a report has every metric: write k=10, and ask the report for one"
    for ours in _OF_A_FIT:
        if not same and (name.lower(), ours) in KEYS:
            return f"; that is no setting of a model: write {ours}="
    return f"; here it is {same[0]!r}" if same else did_you_mean(name, known)


def value_hint(value: str, known: Iterable[str]) -> str:
    """What to write instead of an unknown word, such as the method of a split, as the end of a message."""
    known = list(known)
    letters = "".join(filter(str.isalpha, value.lower()))
    same = [ours for ours in known if letters in SPLITS.get(ours, ())]
    return f"; here it is {same[0]!r}" if same else did_you_mean(value, known)
