"""Adam against torch's own, and what it does not import."""

import subprocess
import sys

import pytest
import torch

from matinee.memory import freed_memory_kept
from matinee.training.adam import Adam


@pytest.mark.parametrize("decay", [0.0, 0.01])
def test_steps_equal_those_of_torch_bit_for_bit(decay: float) -> None:
    generator = torch.Generator().manual_seed(1)
    shapes = {"users": (30, 8), "items": (7, 3), "bias": (5,)}
    start = {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}
    ours = {name: value.clone().requires_grad_() for name, value in start.items()}
    theirs = {name: value.clone().requires_grad_() for name, value in start.items()}
    optimizer = Adam(ours, 0.1, decay)
    slow, others = [theirs["items"]], [theirs["users"], theirs["bias"]]
    groups = [{"params": others}, {"params": slow, "lr": 0.1 * 0.3}]
    expected = torch.optim.Adam(groups, lr=0.1, weight_decay=decay, fused=True)
    optimizer.factors = {"items": 0.3}
    for step in range(6):
        optimizer.zero_grad()
        expected.zero_grad()
        for name, shape in shapes.items():
            if name != "bias" or step % 2:  # a parameter without a gradient stays, and counts no step
                gradient = torch.randn(shape, generator=generator)
                ours[name].grad, theirs[name].grad = gradient.clone(), gradient.clone()
        optimizer.step()
        expected.step()
        for name in shapes:
            assert torch.equal(ours[name], theirs[name])
    assert optimizer.state["bias"]["step"] == 3


@pytest.mark.slow
def test_a_training_does_not_import_the_compiler_of_torch() -> None:
    code = (
        "import sys; from matinee.histories import Histories, TrainingData; from matinee.models import create;"
        "from matinee.training.run import Run;"
        "create('bpr', dim=2, epochs=1).fit(TrainingData(Histories.of([[0, 1], [1, 2], [0, 2]]), 3), Run.seeded(0));"
        "sys.exit('torch._dynamo' in sys.modules or 'torch' not in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_errors_pass_through_where_freed_memory_is_kept() -> None:
    with pytest.raises(ValueError, match="seen"), freed_memory_kept(), freed_memory_kept():
        raise ValueError("seen")
