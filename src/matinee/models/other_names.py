"""Names that models have in papers and other libraries, and what they are called here."""

from matinee.errors import did_you_mean

SAME = {
    "ease": ("easer", "ease^r", "embarrassinglyshallow"),
    "ease --set dropout=0.5": ("edlae", "dlae", "denoisingease"),
    "ials": ("als", "wrmf", "implicit", "implicitals", "implicitmf", "ialsplusplus", "ials++", "weightedmf"),
    "item-knn": ("itemknn", "itemcf", "ibcf", "knnitem", "itembasedcf", "knn"),
    "user-knn": ("userknn", "usercf", "ubcf", "knnuser", "userbasedcf"),
    "popularity": ("pop", "poprec", "mostpop", "mostpopular", "toppop", "popular", "toppopular"),
    "bpr": ("bprmf", "mfbpr"),
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
    "ials": ("svd", "puresvd", "funksvd", "svd++", "svdpp", "nmf", "mf", "pmf", "matrixfactorization", "logisticmf"),
    "ease": ("slim", "slimelastic", "fslim", "admmslim", "ridge", "rp3beta", "p3alpha", "recwalk"),
    "bpr": ("warp", "lightfm", "fm", "deepfm", "cml", "hinge"),
    "lightgcn": ("gcn", "gcmc", "sgl", "simgcl", "ultragcn", "dgcf", "gccf", "lrgccf", "simplex", "directau"),
    "mult-vae": ("recvae", "macridvae", "enmf", "diffrec", "rbm", "hvamp"),
    "neumf": ("dmf", "convncf", "widedeep", "deepmf", "fism", "nais"),
    "sasrec": ("bert4rec", "bert", "caser", "nextitnet", "tisasrec", "s3rec", "cl4srec", "duorec", "hstu", "gsasrec"),
    "gru4rec": ("narm", "srgnn", "stamp", "lstm", "rnn"),
    "markov": ("fpmc", "fossil", "transrec", "sknn", "vsknn", "stan"),
}
"""A model of this package -> models that are not here, to which it is the nearest."""


def hint(name: str, known: tuple[str, ...]) -> str:
    """What to write instead of an unknown name, as the end of a message."""
    plain = name.lower().replace("-", "").replace("_", "").replace(" ", "")
    for ours, others in SAME.items():
        if plain in others or plain == ours.replace("-", ""):
            return f"; here it is {ours!r}"
    close = did_you_mean(name, known)
    for ours, others in NEAREST.items():
        if plain in others:
            return f"; the nearest here is {ours!r}, and `matinee models` lists all"
    return close
