"""Names that were retired, and what replaced them: for artefacts of format 1, and for errors that name the new one.

The one file in which a retired name may stand.
"""

SETTINGS = {
    "adventurous": "novelty",
    "refresh": "rebuild_graph",
    "restart": "restart_probability",
    "shown": "input_share",
    "spread": "initial_std",
    "start_gmf": "pretrained_gmf",
    "start_mlp": "pretrained_mlp",
    "steer": "rerank",
    "tower_start": "tower_init",
    "variety": "diversity",
    "watch": "monitor",
}
"""Settings, of models and of experiments, that have another name now: old name -> new name."""

VALUES: dict[tuple[str, str], str] = {
    ("tower_init", "likeness"): "similarity",
}
"""Values of settings that have another name now: (new name of the setting, old value) -> new value."""

MANIFEST = {"yardsticks": "baselines"}
"""Keys of an artefact's manifest: old name -> new name."""

EVENT_KINDS = {"hidden": "dismissed", "shown": "restored"}
"""Kinds of events, in databases before version 3 and from older clients of the API: old name -> new name."""

_NCF = {
    "users": "user_embeddings",
    "items": "projected_items",
    "embeddings": "item_embeddings",
    "data": "fingerprint",
}
_NODES = {
    "heard": "item_messages",
    "own": "user_embeddings",
    "own_rows": "user_rows",
    "first": "item_embeddings",
}
_BLOCKS = {"mixed": "out_proj", "up": "ffn_in", "down": "ffn_out", "shifts": "ffn_bias"}
ARRAYS: dict[str, dict[str, str]] = {
    "autorec": {"items": "item_factors", "users": "user_factors", "axes": "user_prior"},
    "cdae": {"nodes": "user_nodes"},
    "gmf": _NCF,
    "mlp": _NCF,
    "mult-vae": {"middle": "latent", "middle_bias": "latent_bias"},
    "neumf": _NCF,
    "gru4rec": {
        "first_input": "first_weights_ih",
        "inputs": "weights_ih",
        "recurrent": "weights_hh",
        "turn": "projection",
        "outputs": "output_vectors",
        **_BLOCKS,
    },
    "item2vec": {"contexts": "context_vectors"},
    "user-knn": {"known": "interactions", "lengths": "squared_norms"},
    "markov": {"trust": "prior_weights"},
    "movie-pairs": {"readings": "input_vectors"},
    "pmi": {"popularity": "popularity_factors"},
    "bpr": {"turn": "projection"},
    "lightgcn": _NODES | {"shares": "layer_weights"},
    "ngcf": _NODES | {"near": "W1", "across": "W2"},
    "sasrec": {"places": "position_embeddings", **_BLOCKS},
}
"""What a model learns and saves, by model: name in format 1 -> name in format 2."""
