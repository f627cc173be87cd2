"""Where each model comes from: the paper that it was written after. Titles stay as they were printed."""

PAPERS = {
    "popularity": (
        "Paolo Cremonesi, Yehuda Koren and Roberto Turrin. 2010. Performance of Recommender Algorithms on Top-N "
        "Recommendation Tasks. RecSys."
    ),
    "item-knn": (
        "Mukund Deshpande and George Karypis. 2004. Item-Based Top-N Recommendation Algorithms. ACM TOIS 22(1)."
    ),
    "user-knn": (
        "Paul Resnick et al. 1994. GroupLens: An Open Architecture for Collaborative Filtering of Netnews. CSCW."
    ),
    "ease": "Harald Steck. 2019. Embarrassingly Shallow Autoencoders for Sparse Data. WWW.",
    "ials": (
        "Yifan Hu, Yehuda Koren and Chris Volinsky. 2008. Collaborative Filtering for Implicit Feedback Datasets. ICDM."
    ),
    "bpr": "Steffen Rendle et al. 2009. BPR: Bayesian Personalized Ranking from Implicit Feedback. UAI.",
    "item2vec": (
        "Oren Barkan and Noam Koenigstein. 2016. Item2Vec: Neural Item Embedding for Collaborative Filtering. MLSP."
    ),
    "movie-pairs": "Tomas Mikolov et al. 2013. Efficient Estimation of Word Representations in Vector Space. ICLR.",
    "pmi": "Omer Levy and Yoav Goldberg. 2014. Neural Word Embedding as Implicit Matrix Factorization. NeurIPS.",
    "lightgcn": (
        "Xiangnan He et al. 2020. LightGCN: Simplifying and Powering Graph Convolution Network for Recommendation. "
        "SIGIR."
    ),
    "ngcf": "Xiang Wang et al. 2019. Neural Graph Collaborative Filtering. SIGIR.",
    "gmf": "Xiangnan He et al. 2017. Neural Collaborative Filtering. WWW.",
    "mlp": "Xiangnan He et al. 2017. Neural Collaborative Filtering. WWW.",
    "neumf": "Xiangnan He et al. 2017. Neural Collaborative Filtering. WWW.",
    "autorec": "Suvash Sedhain et al. 2015. AutoRec: Autoencoders Meet Collaborative Filtering. WWW.",
    "cdae": "Yao Wu et al. 2016. Collaborative Denoising Auto-Encoders for Top-N Recommender Systems. WSDM.",
    "mult-vae": "Dawen Liang et al. 2018. Variational Autoencoders for Collaborative Filtering. WWW.",
    "gru4rec": "Balázs Hidasi et al. 2016. Session-based Recommendations with Recurrent Neural Networks. ICLR.",
    "sasrec": "Wang-Cheng Kang and Julian McAuley. 2018. Self-Attentive Sequential Recommendation. ICDM.",
    "markov": "Guy Shani, David Heckerman and Ronen I. Brafman. 2005. An MDP-Based Recommender System. JMLR 6.",
}
