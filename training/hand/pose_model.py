"""hand_pose's network: a SimCC head (Li et al., 2022) on EfficientNet-Lite0, as RTMPose cuts it.

Each joint is placed by two classifications, over bins of x and of y (two bins a served pixel). They start
from the joint's own map, summed over rows or columns, so that a place in the picture is a place in the bins
from the first step on. Then the joints look at each other: a token for each joint, made of its map, of the
features under it and of the whole view, goes through attention and corrects the bins; which finger is which
is told by the hand as a whole. A third output says whether the joint is in the picture at all; it scales the
served scores, so that a joint that is not there scores near 0.

The served graph halves its 256 pixels first: a joint is a place inside a finger, not an edge, and the
network is four times cheaper for it. Its maps are at stride 8: a tenth of a hand, the measure of a right
joint, is more than a cell.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.hand.detect_model import halved
from training.hand.frozen_stem import StemFeatures, back_level, freeze_stem, stem_levels
from training.kit.compute import set_memory_format
from training.kit.networks.backbone import (
    PYRAMID_CHANNELS,
    EfficientNetLite0,
    fold_batch_norm,
    imagenet_backbone,
)
from training.kit.networks.blocks import Separable, Up

JOINTS = 21
BINS = 512
SIZE = 256
MAP_SIDE = 16  # of the joints' maps: half the served side at stride 8
COARSE_BINS = 128  # what the network classifies over; the served graph draws lines between them
# The contract's normalisation (paper N) to the backbone's own, (x - 127) / 128.
POSE_MEAN = (123.675, 116.28, 103.53)
POSE_STD = (58.395, 57.12, 57.375)


class JointAttention(nn.Module):
    """Pre-norm self-attention over the joints with a feed-forward layer: f32 [N,21,D] -> f32 [N,21,D]."""

    def __init__(self, width: int, heads: int = 4) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.feed = nn.Sequential(nn.Linear(width, 2 * width), nn.ReLU(), nn.Linear(2 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        parts = self.qkv(self.norm1(x)).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        query, key, value = parts[0], parts[1], parts[2]  # [N,heads,21,d]
        weights = (query @ key.transpose(-1, -2) * query.shape[-1] ** -0.5).softmax(-1)
        x = x + self.out((weights @ value).transpose(1, 2).flatten(2))
        return x + self.feed(self.norm2(x))


class HandPose(nn.Module):
    """f32 [N,3,128,128], ImageNet mean and std -> logits x, y f32 [N,21,128], presence logits f32 [N,21]."""

    def __init__(
        self, backbone: EfficientNetLite0, *, width: int = 128, joint_width: int = 192, layers: int = 2
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.gain: Tensor
        self.shift: Tensor
        self.register_buffer("gain", torch.tensor(POSE_STD).view(1, 3, 1, 1) / 128)
        self.register_buffer("shift", (torch.tensor(POSE_MEAN).view(1, 3, 1, 1) - 127) / 128)
        coarse = PYRAMID_CHANNELS[32]
        self.context = Separable(coarse, coarse)
        self.up16 = Up(coarse, PYRAMID_CHANNELS[16], width)
        self.up8 = Up(width, PYRAMID_CHANNELS[8], width)
        self.maps = nn.Conv2d(width, JOINTS, 1)
        self.place = nn.Linear(MAP_SIDE**2, joint_width)
        self.look = nn.Linear(width, joint_width)
        self.view = nn.Linear(coarse, joint_width)
        self.joint = nn.Parameter(torch.randn(JOINTS, joint_width) * 0.02)
        self.attention = nn.Sequential(*(JointAttention(joint_width) for _ in range(layers)))
        self.norm = nn.LayerNorm(joint_width)
        self.to_x, self.to_y = nn.Linear(joint_width, COARSE_BINS), nn.Linear(joint_width, COARSE_BINS)
        self.to_presence = nn.Linear(joint_width, 1)
        for correction in (self.to_x, self.to_y):
            nn.init.zeros_(correction.weight)
            nn.init.zeros_(correction.bias)

    def forward(self, hands: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return self.from_stem(stem_levels(self.backbone, hands * self.gain + self.shift))

    def from_stem(self, stem: StemFeatures) -> tuple[Tensor, Tensor, Tensor]:
        """The same from the frozen features of views of side 128."""
        context = self.context(back_level(self.backbone, stem.stride16))
        features = self.up8(self.up16(context, stem.stride16), stem.stride8)  # [N,W,16,16]
        maps = self.maps(features)  # [N,21,16,16]
        flat = maps.flatten(2)
        under = flat.softmax(-1) @ features.flatten(2).transpose(1, 2)  # [N,21,W]
        whole = context.mean(dim=(2, 3)).unsqueeze(1)  # [N,1,320]
        joints = self.place(flat) + self.look(under) + self.view(whole) + self.joint
        joints = self.norm(self.attention(joints))
        x = spread(maps.logsumexp(dim=2)) + self.to_x(joints)
        y = spread(maps.logsumexp(dim=3)) + self.to_y(joints)
        return x, y, self.to_presence(joints).squeeze(-1)


def spread(cells: Tensor, bins: int = COARSE_BINS) -> Tensor:
    """Logits f32 [N,21,k] to f32 [N,21,bins], linear between the middles of the k cells."""
    return functional.interpolate(cells, size=bins, mode="linear", align_corners=False)


class ServedPose(nn.Module):
    """What is exported: simcc_x, simcc_y f32 [N,21,512], their peak the joint's presence in [0, 1]."""

    def __init__(self, network: HandPose) -> None:
        super().__init__()
        self.network = network

    def forward(self, hands: Tensor) -> tuple[Tensor, Tensor]:
        x, y, presence = self.network(halved(hands))
        x, y = spread(x, BINS), spread(y, BINS)
        scale = presence.sigmoid().unsqueeze(-1)
        x = (x - x.max(dim=-1, keepdim=True).values).exp() * scale
        y = (y - y.max(dim=-1, keepdim=True).values).exp() * scale
        return x, y


def hand_pose(*, pretrained: bool = True) -> HandPose:
    """A new network as it is trained: folded backbone, frozen as `freeze_stem` says."""
    backbone = imagenet_backbone() if pretrained else EfficientNetLite0()
    network = HandPose(freeze_stem(fold_batch_norm(backbone)))
    return set_memory_format(network, torch.channels_last)
