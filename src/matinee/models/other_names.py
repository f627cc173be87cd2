"""Names that models have in papers and other libraries, and what they are called here."""

from collections.abc import Mapping

from matinee.errors import did_you_mean

SAME = {
    "ease": ("easer", "ease^r", "embarrassinglyshallow"),
    "ease --set dropout=0.5": ("edlae", "dlae", "denoisingease"),
    "ials": (
        "als",
        "alternatingleastsquares",
        "wrmf",
        "implicit",
        "implicitals",
        "implicitmf",
        "ialsplusplus",
        "ials++",
        "weightedmf",
        "wmf",
    ),
    "item-knn": (
        "itemknn",
        "itemcf",
        "ibcf",
        "knnitem",
        "implicititemknn",
        "itembasedcf",
        "knn",
        "cosine",
        "bm25",
        "tfidf",
    ),
    "sparse-ease": ("sparseeaser", "mrf", "markovrandomfield", "fsslim"),
    "svd-ae": ("svdae", "svdautoencoder"),
    "rp3beta": ("rp3", "rp3betarecommender"),
    "rp3beta --set beta=0": ("p3alpha", "p3"),
    "user-knn": ("userknn", "usercf", "ubcf", "knnuser", "userbasedcf"),
    "popularity": ("pop", "poprec", "mostpop", "mostpopular", "toppop", "popular", "toppopular"),
    "sasrec --set block=hstu": ("hstu", "generativerecommender", "hierarchicalsequentialtransductionunits"),
    "bpr": ("bprmf", "mfbpr", "bayesianpersonalizedranking"),
    "mult-vae": ("vae", "multvae", "multivae", "vaecf", "variationalautoencoder"),
    "mult-vae --set variational=false": ("dae", "multdae", "multidae"),
    "neumf": ("ncf", "neuralcf", "nmf++"),
    "item2vec": ("word2vec", "prod2vec", "skipgram"),
    "gru4rec": ("gru", "gru4rec+", "gru4rec++", "gru4recplus"),
    "sasrec": ("sas", "selfattention", "transformer"),
    "markov": ("markovchain", "firstordermarkov", "mc"),
}
"""What to write here -> the same model's names elsewhere, in lower case without hyphens and underscores."""
NEAREST = {
    "ials": (
        "svd",
        "funksvd",
        "svd++",
        "svdpp",
        "nmf",
        "mf",
        "pmf",
        "matrixfactorization",
        "logisticmatrixfactorization",
    ),
    "user-knn": ("knnbasic", "knnwithmeans", "knnwithzscore", "knnbaseline", "slopeone"),
    "vbmf": ("bias", "baselineonly", "biasedmf", "biasmf", "funksvdpp", "global", "itemavg", "useravg"),
    "ease": ("slim", "slimelastic", "fslim", "admmslim", "ridge", "recwalk"),
    "sparse-ease": ("sansa",),
    "svd-ae": ("gfcf", "puresvd", "plrec", "implicitslim", "sgde", "svdgcn", "turbocf"),
    "bpr": ("warp", "lightfm", "fm", "deepfm", "cml", "hinge"),
    "lightgcn": ("gcn", "gcmc", "sgl", "simgcl", "ultragcn", "dgcf", "gccf", "lrgccf", "simplex", "directau"),
    "mult-vae": ("recvae", "macridvae", "enmf", "diffrec", "rbm", "hvamp"),
    "neumf": ("dmf", "convncf", "widedeep", "deepmf", "fism", "nais"),
    "sasrec": ("bert4rec", "bert", "caser", "nextitnet", "tisasrec", "s3rec", "cl4srec", "duorec", "gsasrec"),
    "gru4rec": ("narm", "srgnn", "stamp", "lstm", "rnn"),
    "markov": ("fpmc", "fossil", "transrec", "sknn", "vsknn", "stan"),
}
"""A model of this package -> models that are not here, to which it is the nearest."""


SUFFIXES = ("recommender", "wrapper", "scorer", "model")
"""With which other libraries end the names of classes."""


def hint(name: str, known: tuple[str, ...]) -> str:
    """What to write instead of an unknown name, as the end of a message."""
    if (ours := same(name)) is not None:
        return f"; here it is {ours!r}"
    if (ours := nearest(name)) is not None:
        return f"; the nearest here is {ours!r}, and `matinee models` lists all"
    return did_you_mean(name, known)


def class_hint(name: str, classes: Mapping[str, str]) -> str:
    """The same for the name of a class. classes: class -> model."""
    class_of = {model: each for each, model in classes.items()}
    if (ours := same(name)) is not None:
        model, _, setting = ours.partition(" --set ")
        return f"; here it is {class_of[model]!r}{f' with {setting}' if setting else ''}"
    if (ours := nearest(name)) is not None:
        return f"; the nearest here is {class_of[ours]!r}, and mt.models() lists all"
    return did_you_mean(name, classes)


def same(name: str) -> str | None:
    """What a model of another library is called here, None if it is not here."""
    plain = _plain(name)
    return next((ours for ours, others in SAME.items() if plain in (*others, ours.replace("-", ""))), None)


def nearest(name: str) -> str | None:
    """The nearest to a model of another library that is not here, if one is known."""
    plain = _plain(name)
    return next((ours for ours, others in NEAREST.items() if plain in others), None)


def _plain(name: str) -> str:
    letters = name.lower().replace("-", "").replace("_", "").replace(" ", "")
    for suffix in SUFFIXES:
        letters = letters.removesuffix(suffix) or letters
    return letters.removesuffix("wrapper") or letters
