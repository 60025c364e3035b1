"""Batch normalisation with fixed statistics, folded into the convolution before it.

The encoders never update ImageNet's batch statistics, so each normalisation is a fixed scale and shift per
channel. Folded, the network computes the same numbers, trains half as fast again, and exports as it is.
"""

from __future__ import annotations

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from training.kit.networks.backbone import EfficientNetLite0, InvertedResidual

PAIRS = (("_expand_conv", "_bn0"), ("_depthwise_conv", "_bn1"), ("_project_conv", "_bn2"))


def _fold(holder: nn.Module, convolution: str, normalisation: str) -> None:
    conv, norm = getattr(holder, convolution), getattr(holder, normalisation)
    conv.weight, conv.bias = fuse_conv_bn_weights(
        conv.weight, conv.bias, norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias
    )
    setattr(holder, normalisation, nn.Identity())


def fold_backbone(backbone: EfficientNetLite0) -> EfficientNetLite0:
    """Folds every normalisation of `backbone` in place and returns it; its classifier layer is dropped."""
    _fold(backbone, "_conv_stem", "_bn0")
    for block in backbone._blocks:
        assert isinstance(block, InvertedResidual)
        for convolution, normalisation in PAIRS:
            if hasattr(block, convolution):
                _fold(block, convolution, normalisation)
    if hasattr(backbone, "_conv_head"):
        del backbone._conv_head, backbone._bn1
    return backbone
