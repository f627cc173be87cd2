"""What functions, settings and values are called in other libraries, and what they are called here."""

from collections.abc import Iterable

from matinee.errors import did_you_mean

_METRICS = ("ndcg", "recall", "precision", "map", "mrr", "hit", "hit_rate", "auc", "rmse", "mae")
_OF_METRICS = {
    called: f'mt.evaluate(model, split)["{name}@10"]'
    for name in _METRICS
    for called in (name, name.upper(), name.capitalize(), f"{name}_at_k", f"{name}_score")
}
_ONCE_A_FOLD = 'mt.split(data, "k-fold", fold=0), once a fold'
_ALL_LISTS = "mt.recommend_all(model, k=10)"
_MEASURED = "mt.evaluate(model, split), which has every metric"
_TIMED = 'mt.split(data, "time", at="2015-01-01")'
FUNCTIONS = _OF_METRICS | {
    **dict.fromkeys(("CrossValidation", "KFold", "crossfold_users", "partition_users"), _ONCE_A_FOLD),
    **dict.fromkeys(("full_sort_scores", "full_sort_topk", "predict_pipeline"), _ALL_LISTS),
    **dict.fromkeys(("calc_metrics", "classification_report", "ranking_metrics_at_k", "RunAnalysis"), _MEASURED),
    **dict.fromkeys(("IntraListDiversity", "MeanInvUserFreq", "RecipRank", "Serendipity"), _MEASURED),
    **dict.fromkeys(("TimeRangeSplitter", "TimeSeriesSplit", "TimeSplit"), _TIMED),
    **dict.fromkeys(("LastNSplitter", "leave_k_out_split", "LeaveOneOut"), 'mt.split(data, "leave-last")'),
    **dict.fromkeys(("StratifiedSplit", "ShuffleSplit", "RandomSplitter"), "mt.split(data)"),
    **dict.fromkeys(("dump", "save_pickle"), "mt.save_artefact(model, folder)"),
    **dict.fromkeys(("bm25_weight", "tfidf_weight"), 'mt.fit("item-knn", split, weighting="bm25")'),
    "Columns": 'mt.events(frame, user="user_id", item="item_id")',
    "DataFrame": "data.to_frame()",
    "ItemList": "mt.recommend(model, user=1), a list with ids, titles and scores",
    "clone": "model.config, or mt.fit with other settings",
    "concat": "mt.events(polars.concat([one.to_frame(), other.to_frame()]))",
    "continue_training": "mt.fit(..., checkpoint=path, resume=True)",
    "get_trainer": 'mt.fit("ease", split)',
    "load_data_and_model": "mt.load_artefact(folder)",
    "load_from_df": "mt.events(frame)",
    "make_scorer": '@mt.metric("rare-recall") above a function',
    "merge": "data.to_frame().join(...)",
    "quick_start": 'mt.evaluate("bpr", mt.split(mt.load("bundled")))',
    "sample_users": "mt.keep(data, sample_users=100)",
    "similar_users": "mt.similar(model, item=1) for items; people are compared by no model",
    "to_frame": "data.to_frame()",
    "Config": 'each setting as an argument, such as mt.fit("ease", split, l2=200)',
    "Experiment": 'mt.compare(["ease", "popularity"], split)',
    "Dataset": 'mt.events(frame, user="user_id", item="item_id")',
    "GridSearchCV": 'mt.tune("ease", split)',
    "Interactions": 'mt.events(frame, user="user_id", item="item_id")',
    "Pipeline": 'mt.fit("ease", split)',
    "RatioSplit": "mt.split(data, ratios=(0.7, 0.1, 0.2))",
    "Reader": 'mt.load("ratings.csv")',
    "Trainer": 'mt.fit("ease", split)',
    "accuracy": 'mt.evaluate(model, split)["rmse"], for a model that predicts ratings, such as vbmf',
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
    "get_model": 'mt.fit("bpr", split), or its class mt.BPR',
    "get_movielens": 'mt.load("ml-1m"), after `matinee data fetch ml-1m`',
    "get_similar_items": "mt.similar(model, item=1)",
    "grid_search": 'mt.tune("ease", split)',
    "help": "help(mt), or mt.models() for a table of models",
    "hyperopt": 'mt.tune("ease", split)',
    "init_seed": 'seed=1 in mt.split(data, seed=1) and mt.fit("ease", split, seed=1)',
    "k_core": 'mt.keep(data, min_user_events=5, min_item_events=5, filter_order="fixed-point")',
    "kcore": 'mt.keep(data, min_user_events=5, min_item_events=5, filter_order="fixed-point")',
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
    "topn_pipeline": 'mt.fit("ease", split)',
    "topk": "mt.recommend_all(model, k=10)",
    "train": 'mt.fit("ease", split)',
    "train_test_split": "mt.split(data)",
}
"""Functions and classes of other libraries -> the call that works here."""

_PARTS = ("train", "valid", "test")
MODEL = {
    "evaluate": "mt.evaluate({}, split)",
    "fit_predict": "mt.fit({}, split), then mt.recommend",
    "fit_transform": "mt.fit({}, split)",
    "get_params": "model.config",
    "predict": "mt.fit({}, split), then mt.recommend(model, user=1)",
    "recommend": "mt.fit({}, split), then mt.recommend(model, user=1)",
    "recommend_all": "mt.fit({}, split), then mt.recommend_all(model)",
    "save": "mt.fit({}, split), then mt.save_artefact(model, folder)",
    "set_params": "mt.fit({}, split, ...) with other settings",
    "similar_items": "mt.fit({}, split), then mt.similar(model, item=1)",
    "test": "mt.evaluate({}, split)",
    "train": "mt.fit({}, split)",
}
"""Methods of models of other libraries -> the call that works here, with {} for the model."""
ARTEFACT = {
    **dict.fromkeys(
        ("components_", "coef_", "get_params_", "state_dict"), "model.model, whose `learned` names its arrays"
    ),
    **dict.fromkeys(
        ("estimate", "predict_proba", "rank_items", "full_sort_predict"), "mt.recommend(model, user=1, k=10)"
    ),
    **dict.fromkeys(("fit_transform", "partial_fit", "transform"), 'mt.fit("ease", split)'),
    **dict.fromkeys(("get_vectors", "item_vectors"), "model.model.item_vectors()"),
    "get_config": "model.model.config",
    "loss": "model.curves_to_frame()",
    "recommend_to_items": "mt.similar(model, item=1)",
    "run": "mt.recommend(model, user=1, k=10)",
    "similar_users": "mt.similar(model, item=1) for items; people are compared by no model",
    "to_gpu": 'mt.fit("bpr", split, device="cuda")',
    "config": "model.model.config",
    "curves": "model.curves_to_frame()",
    "evaluate": "mt.evaluate(model, split)",
    "explain": 'mt.recommend(model, liked=["Alien (1979)"], explain=True)',
    "fit": 'mt.fit("ease", split)',
    "get_params": "model.model.config",
    "history": "model.curves_to_frame()",
    "item_embeddings": "model.model.item_vectors()",
    "item_factors": "model.model.item_vectors()",
    "params": "model.model.config",
    "predict": "mt.recommend(model, user=1, k=10)",
    "rank": "mt.recommend(model, user=1, k=10)",
    "recommend": "mt.recommend(model, user=1, k=10)",
    "recommend_all": "mt.recommend_all(model, k=10)",
    "recommend_k_items": "mt.recommend_all(model, k=10)",
    "save": "mt.save_artefact(model, folder)",
    "score": "mt.evaluate(model, split)",
    "settings": "model.model.config",
    "similar": "mt.similar(model, item=1)",
    "similar_items": "mt.similar(model, item=1)",
    "summary": "print(model)",
    "test": "mt.evaluate(model, split)",
    "to_frame": "mt.recommend_all(model, k=10) for its lists, model.curves_to_frame() for its training",
    "train": 'mt.fit("ease", split)',
    "user_factors": "model.model.user_vectors(...), of histories: no user is stored",
}
DATASET = {
    "build_full_trainset": 'mt.fit("ease", data), which learns from all of it',
    "columns": "data.to_frame().columns",
    "df": "data.to_frame()",
    "dtypes": "data.to_frame().schema",
    "filter": "mt.keep(data, min_user_events=5)",
    "group_by": "data.to_frame().group_by(...)",
    "groupby": "data.to_frame().group_by(...)",
    "head": "data.to_frame().head()",
    "iloc": "data.to_frame()[...]",
    "info": "mt.audit(data)",
    "interactions": "data.to_frame()",
    "item": 'data["item"]',
    "item_ids": "data.items.ids",
    "item_num": "len(data.items)",
    "loc": "data.to_frame().filter(...)",
    "matrix": "mt.split(data).training().histories, or data.to_frame()",
    "merge": "data.to_frame().join(...)",
    "n_items": "len(data.items)",
    "n_ratings": "len(data)",
    "n_users": "len(data.users)",
    "num_items": "len(data.items)",
    "num_users": "len(data.users)",
    "query": "data.to_frame().filter(...)",
    "ratings": "data.to_frame()",
    "sample": "data.to_frame().sample(5)",
    "shape": "len(data.users), len(data.items), len(data)",
    "split": 'mt.split(data, "random", seed=42)',
    "tail": "data.to_frame().tail()",
    "time": 'data["time"]',
    "titles": "data.catalogue.titles",
    "to_csv": 'data.to_frame().write_csv("log.csv")',
    "to_parquet": 'data.to_frame().write_parquet("log.parquet")',
    "train_test_split": "mt.split(data)",
    "user": 'data["user"]',
    "user_ids": "data.users.ids",
    "user_num": "len(data.users)",
    "value": 'data["value"]',
}
OF_ITEMS = ("genre", "genres", "tags", "title", "titles", "year")
"""Columns that people ask a log for, but that are of its items."""
SPLIT = {
    part: f'split.to_frame().filter(pl.col("part") == "{part}") for its events; mt.fit learns from train, '
    "mt.evaluate asks for test"
    for part in _PARTS
} | {"shape": "split.sizes()"}
SPLIT |= {
    name: SPLIT[part]
    for part in _PARTS
    for name in (f"{part}_set", f"{part}set", f"{part}_data", f"X_{part}", f"y_{part}")
}
REPORT = {
    "get": 'report.metrics["ndcg@10"].mean',
    "items": "report.metrics.items()",
    "keys": "report.metrics.keys()",
    "results": "report.metrics, or report.to_frame()",
    "save": 'report.to_frame().write_csv("report.csv"), or report.plot("report.svg")',
    "scores": "report.metrics, or report.to_frame()",
    "summary": "print(report.table())",
    "to_csv": 'report.to_frame().write_csv("report.csv")',
    "to_dict": "report.to_json()",
    **{name: f'report.metrics["{name}@10"].mean' for name in _METRICS},
}
COMPARISON = {
    "best": "comparison.rows[0].label",
    "metrics": "comparison.to_frame(), or comparison.reports[0].metrics",
    "results": "comparison.to_frame()",
    "scores": "comparison.to_frame()",
    "summary": "print(comparison)",
    "p_values": 'comparison.to_frame()["p_adjusted"]',
    "table": "print(comparison), or comparison.to_frame()",
    "to_csv": 'comparison.to_frame().write_csv("comparison.csv")',
    "to_dict": "comparison.to_json()",
    "to_latex": "matinee compare ... --report table.tex, in a shell",
    "winner": "comparison.rows[0].label",
}
MOVIE_LIST = {
    "head": "movies[:5]",
    "ids": "[movie.item_id for movie in movies]",
    "items": "[movie.item_id for movie in movies]",
    "scores": "[movie.score for movie in movies]",
    "titles": "[movie.title for movie in movies]",
    "to_csv": 'movies.to_frame().drop("genres", "because").write_csv("list.csv")',
    "to_dict": "movies.to_json()",
    "to_list": "list(movies)",
}
"""Attributes of objects of other libraries -> the call that works here."""

_KEYS = {
    "at": (
        *("time_point", "timestamp_threshold", "timestamp", "time", "timestamp_col", "time_col", "time_field"),
        *("datetime", "date", "cutoff", "split_date"),
    ),
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
    "item": ("item_col", "item_id", "item_field", "itemid", "items", "movie_id", "movieid", "movie", "iid"),
    "k": ("n", "top_k", "topk", "topn", "top_n", "n_items", "num_items", "size", "limit", "K", "ks"),
    "l2": ("regularization", "reg", "reg_weight", "reg_lambda", "lambda_", "lam", "weight_decay", "alpha"),
    "layers": ("n_layers", "num_layers", "num_blocks"),
    "learning_rate": ("lr", "eta", "step_size"),
    "max_length": ("maxlen", "max_len", "max_seq_length", "session_max_len"),
    "min_item_events": ("min_item", "item_min", "min_ratings_per_item"),
    "min_value": ("min_rating", "min_score", "rating_threshold", "threshold"),
    "min_user_events": ("min_ratings", "k", "min_user", "user_min", "min_ratings_per_user", "min_events"),
    "n_negatives": ("neg_sampling", "num_negatives", "negative_samples", "n_neg"),
    "neighbours": ("k", "n_neighbors", "num_neighbors", "nnbrs", "max_nbrs", "topk"),
    "patience": ("stopping_step", "early_stopping_rounds", "early_stopping_patience", "early_stop"),
    "ratios": ("test_size", "test_ratio", "train_size", "split_ratio"),
    "seed": ("random_state", "random_seed", "rng"),
    "shrinkage": ("shrink", "beta"),
    "split": ("method", "strategy"),
    "trials": ("n_iter", "n_trials", "n_iter_search", "max_evals"),
    "validate_every": ("eval_step", "eval_every", "valid_every"),
    "threads": ("n_jobs", "num_threads", "nthreads", "workers"),
    "time": ("timestamp", "timestamp_col", "time_col", "time_field", "datetime"),
    "user": ("user_id", "users", "user_ids", "userid", "user_col", "user_field", "uid"),
    "value": ("rating", "ratings", "rating_col", "rating_field", "weight", "score"),
}
KEYS = {(other.lower(), ours) for ours, others in _KEYS.items() for other in others}
"""Arguments and settings: (name in other libraries in lower case, name here)."""

_BY_ITSELF = "; leave it out: the file shows it by itself"
_NONE_HERE = {
    **dict.fromkeys(("verbose", "show_progress", "progress_bar", "disp"), "; leave it out: nothing is printed"),
    **dict.fromkeys(("callback", "callbacks"), "; write on_epoch=function"),
    **dict.fromkeys(
        ("params", "settings", "hyperparameters", "config", "parameter_dict"),
        "; write each setting as an argument, such as l2=200",
    ),
    **dict.fromkeys(("validation_data", "eval_set", "valid"), "; leave it out: the valid part of the split is used"),
    **dict.fromkeys(("shuffle", "stratify"), "; leave it out: a random split draws from each user's events"),
    **dict.fromkeys(("train", "test", "train_ratio"), "; write ratios=(0.7, 0.1, 0.2)"),
    **dict.fromkeys(("sep", "delimiter", "header", "engine", "dtype", "decimal"), _BY_ITSELF),
    **dict.fromkeys(
        ("usecols", "columns", "names", "index_col"), '; write user="...", item="...", value="...", at="..."'
    ),
    **dict.fromkeys(("nrows", "n_rows"), "; write mt.keep(data, sample_users=100) for a part"),
    **dict.fromkeys(("n_trials", "n_iter_search", "max_evals", "n_iter"), "; write trials=20"),
    **dict.fromkeys(("cv", "n_splits"), "; leave it out: settings are chosen on the valid part of the split"),
    **dict.fromkeys(("gpu", "use_gpu", "gpu_id", "cuda"), '; write device="cuda"'),
    **dict.fromkeys(("per_user", "per_user_metrics"), "; leave it out: report.per_user_to_frame() has them"),
    **dict.fromkeys(("repeat", "k_core", "kcore"), '; write filter_order="fixed-point"'),
    **dict.fromkeys(("param_grid", "param_distributions", "params_grid"), '; write fields=["l2"]: ranges are known'),
    **dict.fromkeys(
        ("filter_seen", "filter_already_liked_items", "remove_seen", "exclude_seen"),
        "; leave it out: lists have nothing of the history",
    ),
    **dict.fromkeys(("genre", "genres"), '; write rerank="genres=Comedy|Drama"'),
    **dict.fromkeys(("exclude", "blacklist"), "; write without=[...] with ids"),
    **dict.fromkeys(("candidates", "items_to_recommend", "whitelist"), "; write among=[...] with ids"),
}
"""Arguments of other libraries that are not needed here, or that are something else: what to write, as an ending."""
_OF_A_FIT = ("seed", "threads")
_ALL_METRICS = ("metric", "metrics", "eval_metric", "scoring", *_METRICS)
METRICS = {
    "hit-rate": ("hr", "hit", "hits", "hitrate", "hit_rate", "hit_ratio", "hitratio"),
    "map": ("mean_average_precision", "averageprecision"),
    "mrr": ("reciprocal_rank", "rr"),
    "ndcg": ("nDCG",),
    "precision": ("prec", "p"),
    "recall": ("rec", "r"),
}
"""Metric -> its names in other libraries."""

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
    if not same and name.lower() in _NONE_HERE:
        return _NONE_HERE[name.lower()]
    for ours in _OF_A_FIT if "mask" not in known else ():  # those of an evaluation have no threads of their own
        if not same and (name.lower(), ours) in KEYS:
            return f"; that is no setting of a model: write {ours}="
    return f"; here it is {same[0]!r}" if same else did_you_mean(name, known)


def value_hint(value: str, known: Iterable[str]) -> str:
    """What to write instead of an unknown word, such as the method of a split, as the end of a message."""
    known = list(known)
    letters = "".join(filter(str.isalpha, value.lower()))
    same = [ours for ours in known if letters in SPLITS.get(ours, ())]
    return f"; here it is {same[0]!r}" if same else did_you_mean(value, known)


def metric_hint(name: object, known: Iterable[str]) -> str:
    """What to write instead of a metric that was not measured, as the end of a message."""
    known = list(known)
    base, _, k = str(name).lower().partition("@")
    same = [f"{ours}@{k}" for ours, others in METRICS.items() if base in others and f"{ours}@{k}" in known]
    if base in ("rmse", "mae"):
        return "; that is of models that predict ratings, such as vbmf"
    return f"; here it is {same[0]!r}" if same else did_you_mean(str(name), known)
