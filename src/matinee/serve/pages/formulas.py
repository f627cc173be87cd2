r"""The models' formulas: how each scores a movie i for a history h, and what it learns by."""

from matinee.serve.pages.mathml import mathml

_TEX: dict[str, tuple[str, ...]] = {
    "popularity": (r"s(i) = \sum_{e \in i} 0.5^{a_e / t}",),
    "item-knn": (
        r"s(h, i) = \sum_{j \in h \cap N_i} S_{ji}",
        r"S_{ji} = \frac{x_j^T x_i}{\norm x_j \norm \norm x_i \norm + c}",
    ),
    "user-knn": (r"s(h, i) = \sum_{v \in N_h} \similarity(h, v) x_{vi}",),
    "ease": (
        r"s(h, i) = \sum_{j \in h} B_{ji}",
        r"\min \norm X - X B \norm^2 + \lambda \norm B \norm^2 , \diag(B) = 0",
    ),
    "ials": (
        r"s(h, i) = w_h^T v_i",
        r"\min \sum_{u, i} c_{ui} (x_{ui} - w_u^T v_i)^2 + \lambda (\norm W \norm^2 + \norm V \norm^2)",
    ),
    "bpr": (r"s(h, i) = w_h^T v_i + b_i", r"\max \sum_{u, i, j} \ln \sigma(s_{ui} - s_{uj})"),
    "item2vec": (r"s(h, i) = \sum_{j \in h} v_j^T v_i", r"\max \sum_{i, j} \ln \sigma(v_j^T c_i)"),
    "movie-pairs": (r"s(h, i) = \sum_{j \in h} \ln P(i | j)", r"P(i | j) = \softmax(W v_j + b)_i"),
    "pmi": (r"s(h, i) = \sum_{j \in h} \max(0, \ln \frac{P(i, j)}{P(i) P(j)})",),
    "lightgcn": (
        r"e_u^{k + 1} = \sum_{i \in N_u} \frac{e_i^k}{\sqrt{| N_u | | N_i |}}",
        r"s(u, i) = e_u \cdot e_i , e = \frac{1}{K + 1} \sum_k e^k",
    ),
    "ngcf": (r"e_u^{k + 1} = \sigma(\sum_{i \in N_u} \frac{W_1 e_i + W_2 (e_i \odot e_u)}{\sqrt{| N_u | | N_i |}})",),
    "gmf": (r"s(h, i) = \sigma(a^T (w_h \odot v_i))",),
    "mlp": (r"s(h, i) = \sigma(a^T \ReLU_L(\ldots \ReLU_1(w_h, v_i)))",),
    "neumf": (r"s(h, i) = \sigma(a^T (w_h \odot v_i) + b^T \MLP(w_h, v_i))",),
    "autorec": (r"s(h, i) = (W g(V h + \mu) + b)_i",),
    "cdae": (r"s(h, i) = (W g(V \tilde{h} + w_h + \mu) + b)_i",),
    "mult-vae": (
        r"z \sim N(\mu(h), \sigma^2(h)) , s = \softmax(f(z))",
        r"\max \sum_{j \in h} \ln s_j - \beta \KL(z)",
    ),
    "gru4rec": (r"h_t = (1 - z_t) h_{t - 1} + z_t \hat{h}_t", r"s(h, i) = h_t^T v_i"),
    "sasrec": (r"f = \softmax(\frac{Q K^T}{\sqrt{d}}) V", r"s(h, i) = f_L^T v_i"),
    "markov": (
        r"s(h, i) = \sum_d \alpha^{d - 1} P(i | j_d)",
        r"P(i | j) = \frac{C_{ji} + c p_i}{C_j + c}",
    ),
}

FORMULAS = {name: tuple(map(mathml, lines)) for name, lines in _TEX.items()}
