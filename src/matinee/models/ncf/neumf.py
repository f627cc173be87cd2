"""NeuMF: GMF's product and MLP's tower under one output layer (He et al. 2017)."""

import json
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import numpy as np
from pydantic import Field, PositiveFloat
from safetensors import SafetensorError, safe_open

from matinee import renamed
from matinee.arrays import FloatArray
from matinee.config import Search, configure
from matinee.errors import MatineeError
from matinee.histories import TrainingData
from matinee.models.ncf.base import NCFModel
from matinee.models.ncf.config import TowerConfig
from matinee.models.ncf.gmf import GMF
from matinee.models.ncf.inference import NCFWeights
from matinee.models.ncf.mlp import MLP
from matinee.training.run import Run

if TYPE_CHECKING:
    from matinee.models.ncf.network import NCFNetwork

ARRAYS = ("user_embeddings", "item_embeddings", "weights")
"""What NeuMF takes over from a trained GMF or MLP."""
SHAPES = {"gmf": ("dim",), "mlp": ("dim", "layers", "batch_norm")}
"""The settings that decide about the shapes of a part's arrays."""


class NeuMFConfig(TowerConfig):
    """Settings of NeuMF."""

    fold_in_scale: Annotated[PositiveFloat, Search(0.5, 1)] = 0.8
    """regression: factor on what sets a user apart from the mean of all; below 1 like a stronger L2 penalty."""
    pretrained_gmf: str | None = None
    """Artefact of a GMF, trained on the same data with the same dim: training starts from its weights. Or a config of
    one (.toml), by whose settings it is trained first; in a config its path begins at that config's folder or, where
    there is no such file, at the working folder."""
    pretrained_mlp: str | None = None
    """Artefact of an MLP, likewise, with the same layers."""
    alpha: Annotated[float, Field(ge=0, le=1)] = 0.5
    """With both: the factor on GMF's output weights; MLP's get 1 - alpha."""


class NeuMF(NCFModel):
    """score = hᵀ [p_u ⊙ q_i, tower([p'_u, q'_i])]; product and tower have embeddings of their own.

    Source: He et al. 2017, eq. 12; pre-trained, h = [alpha h_GMF, (1 - alpha) h_MLP], eq. 13. A visitor's p_u and p'_u
    are folded in from the history (see NCFModel).

    Differs from the paper: the loss is the softmax over the catalogue, not the binary cross-entropy of events and
    sampled negatives (`loss = "bce"`); an L2 penalty and dropout of 0.3, where the paper has neither; one hidden layer
    of 16, not three; no pre-training by default, and Adam after it, not SGD; embeddings start at N(0, 0.1²) and the
    tower as in He et al. 2015, not at N(0, 0.01²); the output is the logit, without sigmoid, which changes no order,
    and without a bias; the learning rate falls along a cosine.
    """

    name = "neumf"
    Config = NeuMFConfig
    has_product = True
    fold_in_tolerance: ClassVar[float] = 0.03
    """Most that scores from the history may differ from those of the stored embedding: 1 - correlation, users' mean."""
    config: NeuMFConfig

    def _initialise(self, network: "NCFNetwork", train: TrainingData, run: Run) -> None:
        """Take over pre-trained weights. Raises MatineeError where an artefact or a config does not fit, with why."""
        config = self.config
        both = config.pretrained_gmf is not None and config.pretrained_mlp is not None
        if config.pretrained_gmf is not None:
            arrays = self._part(Path(config.pretrained_gmf), GMF, train, run)
            weights = NCFWeights.unflatten(arrays["weights"], config.dim, config.dim, 0)
            _assign_embeddings(network, arrays, slice(0, config.dim))
            network.assign("product", weights.product * np.float32(config.alpha if both else 1.0))
        if config.pretrained_mlp is not None:
            arrays = self._part(Path(config.pretrained_mlp), MLP, train, run)
            weights = NCFWeights.unflatten(arrays["weights"], 0, config.dim, config.layers)
            _assign_embeddings(network, arrays, slice(config.dim, None))
            first = np.concatenate([weights.user_layer, weights.item_layer])
            for layer, (values, bias) in enumerate([(first, weights.bias), *weights.hidden]):
                network.assign(f"weights{layer}", values)
                network.assign(f"bias{layer}", bias)
            network.assign("output", weights.output * np.float32(1 - config.alpha if both else 1.0))

    def _part(self, path: Path, kind: type[NCFModel], train: TrainingData, run: Run) -> dict[str, FloatArray]:
        """The arrays of a GMF or MLP: of an artefact, or fitted here with the settings of a config."""
        if path.suffix != ".toml":
            return self._read(path, kind.name, train.fingerprint)
        setting = f"neumf: pretrained_{kind.name} = {path}"
        settings = _read_settings(path, kind.name, setting)
        shape = configure(kind.Config, settings, f"{path} [settings]").model_dump()
        self._require_same_shape(shape, setting, SHAPES[kind.name])
        part = kind(**settings).fit(train, Run.seeded(int(run.rng.integers(2**63)), run.on_epoch, run.device))
        return {name: getattr(part, name) for name in ARRAYS}

    def _read(self, path: Path, name: str, fingerprint: str) -> dict[str, FloatArray]:
        """The arrays of a GMF or MLP artefact. Raises MatineeError unless it fits this model and its data."""
        setting = f"neumf: pretrained_{name} = {path}"
        try:
            manifest = json.loads((path / "manifest.json").read_text("utf-8"))
            old_names = {new: old for old, new in renamed.ARRAYS[name].items()} if manifest["format"] == 1 else {}
            with safe_open(path / "arrays.safetensors", framework="numpy") as file:
                arrays = {key: file.get_tensor(old_names.get(key, key)) for key in ARRAYS}
            settings, values = manifest["config"], manifest["values"]
            found = values[old_names.get("fingerprint", "fingerprint")]
        except (OSError, SafetensorError, KeyError, TypeError, ValueError, RecursionError):
            raise MatineeError(f"{setting} is no artefact of {name}; make one with `matinee train {name}`") from None
        if manifest["model"] != name:
            raise MatineeError(f"{setting} is an artefact of {manifest['model']}; name one of {name}")
        self._require_same_shape(settings, setting, SHAPES[name])
        if found != fingerprint:
            raise MatineeError(f"{setting} was fitted on other data (fingerprint {found}, here {fingerprint})")
        return arrays

    def _require_same_shape(self, settings: dict[str, Any], setting: str, keys: tuple[str, ...]) -> None:
        for key in keys:
            # an artefact has batch normalisation multiplied into its weights, so training cannot go on from it
            wanted = False if key == "batch_norm" else getattr(self.config, key)
            if settings[key] != wanted or (key == "batch_norm" and self.config.batch_norm):
                raise MatineeError(
                    f"{setting} has {key} = {settings[key]}, pre-training needs {wanted}; set it in both"
                )


def _assign_embeddings(network: "NCFNetwork", arrays: dict[str, FloatArray], columns: slice) -> None:
    for side in ("user", "item"):
        network.assign(f"{side}s", arrays[f"{side}_embeddings"], columns)


def _read_settings(path: Path, name: str, setting: str) -> dict[str, Any]:
    """The settings of a config of GMF or MLP. Raises MatineeError if it is none."""
    try:
        found = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise MatineeError(
            f"{setting} is not there; its path begins at the folder of its config, or at the working folder"
        ) from None
    except (OSError, ValueError, RecursionError):
        raise MatineeError(
            f"{setting} cannot be read as TOML; name a config such as configs/paper/{name}.toml"
        ) from None
    if found.get("model") != name:
        raise MatineeError(f"{setting} is a config of {found.get('model')}; name one of {name}")
    settings = found.get("settings", {})
    if not isinstance(settings, dict):
        raise MatineeError(f"{setting} has no table of settings; write [settings] and a line for each")
    return settings
