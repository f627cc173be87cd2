"""NeuMF: the product of GMF and the tower of MLP under one output layer (He et al. 2017)."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Self

import numpy as np
from pydantic import Field
from safetensors import SafetensorError, safe_open

from matinee.arrays import FloatArray, IntArray
from matinee.errors import MatineeError
from matinee.histories import Histories, TrainingData
from matinee.models.base import Recommender
from matinee.models.ncf.config import TowerConfig
from matinee.models.ncf.inference import PairWeights
from matinee.models.ncf.ncf import LEARNED, fit_pairs, pair_scores, user_parts
from matinee.training.run import Run

if TYPE_CHECKING:
    from matinee.models.ncf.network import PairNetwork


class NeuMFConfig(TowerConfig):
    """Settings of NeuMF."""

    start_gmf: str | None = None
    """Artefact of a GMF, fitted on the same data with the same dim, whose weights training starts from."""
    start_mlp: str | None = None
    """Artefact of an MLP, likewise, with the same layers."""
    alpha: Annotated[float, Field(ge=0, le=1)] = 0.5
    """With both: the share of GMF's output layer; MLP's has the rest."""


class NeuMF(Recommender[FloatArray]):
    """score = hᵀ [p_u ⊙ q_i, tower([p'_u, q'_i])], each half with embeddings of its own.

    Source: He et al. 2017, eq. 12; started from both halves, h = [alpha h_GMF, (1 - alpha) h_MLP], eq. 13.
    Solved, blocked and ranked as MLP is.
    """

    name = "neumf"
    Config = NeuMFConfig
    learned = LEARNED
    has_product = True
    fold_in_tolerance: ClassVar[float] = 0.03
    """How far (1 - correlation, mean over users) scores from the history may lie from those of the stored row."""
    config: NeuMFConfig
    users: FloatArray  # [U, D + E], p and p'
    user_rows: IntArray  # [U] ascending
    items: FloatArray  # [I, D + W], q and W_i q'
    embeddings: FloatArray  # [I, D + E], q and q'
    weights: FloatArray  # of both output layers and the tower, flat
    popularity: FloatArray  # [I]
    data: str

    def fit(self, train: TrainingData, run: Run) -> Self:
        """See Recommender. Raises MatineeError where a start does not fit, and names the difference."""
        fit_pairs(self, train, run, lambda network: self._start(network, train.fingerprint))
        return self

    def fold_in(self, histories: Histories) -> FloatArray:
        """What each user brings to a score, h ⊙ p and W_u p' + b. [B, D + W]; zero without a history."""
        return user_parts(self, histories)

    def score(self, state: FloatArray) -> FloatArray:
        """See Recommender."""
        return pair_scores(self, state)

    def _start(self, network: "PairNetwork", fingerprint: str) -> None:
        """Put what the artefacts learned in the place of the first values."""
        config = self.config
        both = config.start_gmf is not None and config.start_mlp is not None
        for name, path, share in (
            ("gmf", config.start_gmf, config.alpha if both else 1.0),
            ("mlp", config.start_mlp, 1 - config.alpha if both else 1.0),
        ):
            if path is None:
                continue
            arrays = self._read(Path(path), name, fingerprint)
            columns = slice(0, config.dim) if name == "gmf" else slice(config.dim, None)
            values = {"users": arrays["users"], "items": arrays["embeddings"]}
            for side, own in values.items():
                network.assign(side, own, columns)
            weights = PairWeights.of_flat(
                arrays["weights"], config.dim if name == "gmf" else 0, config.dim, config.layers if name == "mlp" else 0
            )
            if name == "gmf":
                network.assign("product", weights.product * np.float32(share))
                continue
            network.assign("weights0", np.concatenate([weights.by_user, weights.by_item]))
            network.assign("bias0", weights.offset)
            for layer, (upper, bias) in enumerate(weights.upper, start=1):
                network.assign(f"weights{layer}", upper)
                network.assign(f"bias{layer}", bias)
            network.assign("output", weights.output * np.float32(share))

    def _read(self, path: Path, name: str, fingerprint: str) -> dict[str, FloatArray]:
        """What an artefact of a half learned. Raises MatineeError unless it belongs to this run."""
        where = f"neumf: start_{name} = {path}"
        try:
            manifest = json.loads((path / "manifest.json").read_text("utf-8"))
            with safe_open(path / "arrays.safetensors", framework="numpy") as file:
                arrays = {key: file.get_tensor(key) for key in ("users", "embeddings", "weights")}
            settings, data = manifest["config"], manifest["values"]["data"]
        except (OSError, SafetensorError, KeyError, ValueError):
            raise MatineeError(f"{where} is no artefact of {name}; make one with `matinee train {name}`") from None
        if manifest["model"] != name:
            raise MatineeError(f"{where} is an artefact of {manifest['model']}; name one of {name}")
        for key in ("dim",) if name == "gmf" else ("dim", "layers", "batch_norm"):
            # normalisation is multiplied into what an artefact keeps, so it cannot be taken up again
            wanted = False if key == "batch_norm" else getattr(self.config, key)
            if settings[key] != wanted or (key == "batch_norm" and self.config.batch_norm):
                raise MatineeError(f"{where} has {key} = {settings[key]}, the start needs {wanted}; set it in both")
        if data != fingerprint:
            raise MatineeError(f"{where} was fitted on other data (fingerprint {data}, here {fingerprint})")
        return arrays
