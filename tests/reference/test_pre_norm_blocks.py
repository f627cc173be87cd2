"""SASRec's lists in float32: the states of torch's own layers, with the same bits alone and in a batch."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from matinee.histories import Histories
from matinee.models.sequences.sasrec import SASRec

N_ITEMS, LONGEST = 40, 50


def model_of(dim: int, layers: int, heads: int, *, size: float = 1.0) -> SASRec:
    """A model with random arrays; size: of queries and keys, whose products are scores of attention."""
    rng = np.random.default_rng(dim + layers + heads)

    def normal(*shape: int) -> np.ndarray:
        return rng.standard_normal(shape).astype(np.float32)

    model = SASRec(dim=dim, layers=layers, heads=heads, max_length=LONGEST)
    model.items, model.position_embeddings = normal(N_ITEMS, dim), normal(LONGEST, dim) + 1
    model.qkv = normal(layers, dim, 3 * dim) * np.float32(dim**-0.5)
    model.qkv[..., : 2 * dim] *= size
    model.out_proj, model.ffn_in, model.ffn_out = normal(3, layers, dim, dim) * np.float32(dim**-0.5)
    model.ffn_bias, model.norms, model.last_norm = normal(layers, 2, dim), normal(layers, 2, 2, dim), normal(2, dim)
    model.uqkv, model.distance_bias = normal(0, dim, 4 * dim), normal(0, heads, LONGEST)
    return model


def histories_of(*lengths: int) -> Histories:
    rng = np.random.default_rng(7)
    return Histories.of([rng.integers(N_ITEMS, size=length).tolist() for length in lengths])


def state_by_torch(model: SASRec, items: np.ndarray) -> np.ndarray:
    """The state after some items, by torch's own layers in float64."""
    config, kept = model.config, items[-LONGEST:]
    values = model.items[kept].astype(float) * config.dim**0.5 + model.position_embeddings[: len(kept)][::-1]
    states = torch.from_numpy(values)[None]
    for block in range(config.layers):
        layer = torch.nn.TransformerEncoderLayer(config.dim, config.heads, config.dim, 0.0, norm_first=True).double()
        arrays = {
            "self_attn.in_proj_weight": model.qkv[block].T, "self_attn.out_proj.weight": model.out_proj[block].T,
            "linear1.weight": model.ffn_in[block].T, "linear2.weight": model.ffn_out[block].T,
            "linear1.bias": model.ffn_bias[block, 0], "linear2.bias": model.ffn_bias[block, 1],
            "norm1.weight": model.norms[block, 0, 0], "norm1.bias": model.norms[block, 0, 1],
            "norm2.weight": model.norms[block, 1, 0], "norm2.bias": model.norms[block, 1, 1],
        }  # fmt: skip
        zero = {name: value for name, value in layer.state_dict().items() if name not in arrays}
        assert set(zero) == {"self_attn.in_proj_bias", "self_attn.out_proj.bias"}
        tensors = {name: torch.from_numpy(value.astype(float)) for name, value in arrays.items()}
        layer.load_state_dict(tensors | {name: torch.zeros_like(value) for name, value in zero.items()})
        later = torch.ones(len(kept), len(kept), dtype=torch.bool).triu(1)
        states = layer(states.transpose(0, 1), src_mask=later).transpose(0, 1)
    last = functional.layer_norm(states[0, -1], (config.dim,), *torch.from_numpy(model.last_norm.astype(float)), 1e-5)
    return last.detach().numpy()


@pytest.mark.parametrize("size", [1.0, 6.0], ids=["few scores", "large scores"])
@pytest.mark.parametrize(("dim", "layers", "heads"), [(8, 2, 1), (8, 3, 4), (6, 1, 2), (3, 0, 1), (1, 2, 1)])
def test_states_are_those_of_torchs_layers(dim: int, layers: int, heads: int, size: float) -> None:
    model = model_of(dim, layers, heads, size=size)
    histories = histories_of(1, 2, 5, 7, 8, 9, 23, 48, 49, 50, 77)
    found = model.fold_in(histories)
    for row, start in enumerate(histories.starts[:-1].tolist()):
        expected = state_by_torch(model, histories.items[start : histories.starts[row + 1]])
        np.testing.assert_allclose(found[row], expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("size", [1.0, 3.0])
@pytest.mark.parametrize(("dim", "heads"), [(64, 1), (32, 2), (10, 1)])
def test_a_history_has_the_same_bits_alone_and_in_a_batch(dim: int, heads: int, size: float) -> None:
    model = model_of(dim, 3, heads, size=size)
    histories = histories_of(*range(1, 60), *[50] * 30, *[13] * 30)
    together = model.fold_in(histories)
    some = np.arange(len(histories))[::-3]
    np.testing.assert_array_equal(model.fold_in(histories.take(some)), together[some])
    for row in some.tolist():
        np.testing.assert_array_equal(model.fold_in(histories.take(np.array([row])))[0], together[row])


def test_a_history_without_liked_events_has_zeros_and_others_are_unchanged() -> None:
    model = model_of(8, 2, 1)
    found = model.fold_in(histories_of(0, 3, 0))
    assert not found[[0, 2]].any()
    np.testing.assert_array_equal(found[1], model.fold_in(histories_of(3))[0])
