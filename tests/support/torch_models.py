"""Small random models of transformers, and their weights as ours: what the parity tests share.

torch model ─state_dict─► a table of weights ─► our params          beside the loader, which has tests of its own
"""

import numpy as np
import pytest
from flax.traverse_util import unflatten_dict

from sift_jax.weights.key_table import LONE_AXES

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")


def shake(model, seed: int = 1):
    """Fresh biases are zero and fresh norms one: move everything, so that a lost tensor shows."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in model.named_parameters():
            if "embed_positions" not in name:
                tensor += 0.1 * torch.randn(tensor.shape, generator=generator)
    return model.eval()


def take_weights(
    rows, state: dict, layers: int, prefix: str = "", ignored: tuple[str, ...] = ()
) -> dict:
    """Our nested params from the tensors below `prefix`; one that no row takes is an error."""
    tensors = {key.removeprefix(prefix): x for key, x in state.items() if key.startswith(prefix)}
    found, used = {}, set(ignored)
    for path, key, change in rows:
        keys = [key.format(i=i) for i in range(layers)] if "{i}" in key else [key]
        if keys and keys[0] in tensors:
            arrays = [tensors[k].detach().float().numpy() for k in keys]
            arrays = [x.reshape(x.shape[: x.ndim - LONE_AXES.get(change, 0)]) for x in arrays]
            arrays = [x if change == "same" else x.T for x in arrays]
            found[path] = np.stack(arrays) if "{i}" in key else arrays[0]
            used |= set(keys)
    assert not set(tensors) - used, f"no row of the table takes {sorted(set(tensors) - used)}"
    return unflatten_dict(found, sep="/")


def run(model, *arguments, **named):
    """A forward pass without gradients, numpy in and out."""
    named = {
        key: torch.from_numpy(x) if isinstance(x, np.ndarray) else x for key, x in named.items()
    }
    with torch.no_grad():
        return model(*[torch.from_numpy(x) for x in arguments], **named)


def measure_difference(ours, theirs) -> float:
    """The largest difference, over the largest value."""
    ours, theirs = np.asarray(ours, np.float64), np.asarray(theirs, np.float64)
    assert ours.shape == theirs.shape
    return np.abs(ours - theirs).max() / np.abs(theirs).max()


def assert_equal(ours, theirs, bound: float = 1e-4) -> None:
    difference = measure_difference(ours, theirs)
    assert difference <= bound, f"differs by {difference:.2e} of the largest value"
