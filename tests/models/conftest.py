"""The fixture that several tests of checkpoints start from."""

import pytest


@pytest.fixture(scope="module")
def tiny():
    """timm's ViT tiny for 32 px with perturbed weights, and its tensors."""
    from tiny_vit import vit  # which needs torch, as not all tests here do

    oracle = vit(epsilon=1e-6)
    return oracle, {name: value.clone() for name, value in oracle.state_dict().items()}
