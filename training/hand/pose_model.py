"""hand_pose's network: a SimCC head (Li et al., 2022) on EfficientNet-Lite0, as RTMPose cuts it.

Each joint is placed by two classifications, over 512 bins of x and of y (two bins a pixel). They start from
the joint's own map, summed over rows or columns, so that a place in the picture is a place in the bins from
the first step on; one attention layer over the joints then corrects what the others know better. A third
output says whether the joint is in the picture at all; it scales the served scores, so that a joint that is
not there scores near 0.

The served graph halves its 256 pixels first: a joint is a place inside a finger, not an edge, and the
network is four times cheaper for it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.backbone import PYRAMID_CHANNELS, EfficientNetLite0, fold_batch_norm, freeze, imagenet_backbone
from training.hand.detect_model import halved
from training.seg.model import Separable, Up

JOINTS = 21
BINS = 512
SIZE = 256
MAP_SIDE = 32  # of the joints' maps: half the served side at stride 4
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
    """f32 [N,3,128,128], ImageNet mean and std -> logits x, y f32 [N,21,512], presence logits f32 [N,21]."""

    def __init__(self, backbone: EfficientNetLite0, *, width: int = 128, joint_width: int = 256) -> None:
        super().__init__()
        self.backbone = backbone
        self.register_buffer("gain", torch.tensor(POSE_STD).view(1, 3, 1, 1) / 128)
        self.register_buffer("shift", (torch.tensor(POSE_MEAN).view(1, 3, 1, 1) - 127) / 128)
        self.context = Separable(PYRAMID_CHANNELS[32], PYRAMID_CHANNELS[32])
        self.up16 = Up(PYRAMID_CHANNELS[32], PYRAMID_CHANNELS[16], width)
        self.up8 = Up(width, PYRAMID_CHANNELS[8], width)
        self.up4 = Up(width, PYRAMID_CHANNELS[4], width // 2)
        self.maps = nn.Conv2d(width // 2, JOINTS, 1)
        self.embed = nn.Linear((MAP_SIDE // 2) ** 2, joint_width)
        self.joint = nn.Parameter(torch.zeros(JOINTS, joint_width))
        self.attention = JointAttention(joint_width)
        self.norm = nn.LayerNorm(joint_width)
        self.to_x, self.to_y = nn.Linear(joint_width, BINS), nn.Linear(joint_width, BINS)
        self.to_presence = nn.Linear(joint_width, 1)
        for correction in (self.to_x, self.to_y):
            nn.init.zeros_(correction.weight)
            nn.init.zeros_(correction.bias)

    def forward(self, hands: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        levels = self.backbone.levels(hands * self.gain + self.shift)
        features = self.up8(self.up16(self.context(levels[32]), levels[16]), levels[8])
        maps = self.maps(self.up4(features, levels[4]))  # [N,21,32,32]
        joints = self.embed(functional.avg_pool2d(maps, 2).flatten(2)) + self.joint  # [N,21,D]
        joints = self.norm(self.attention(joints))
        x = spread(maps.logsumexp(dim=2)) + self.to_x(joints)
        y = spread(maps.logsumexp(dim=3)) + self.to_y(joints)
        return x, y, self.to_presence(joints).squeeze(-1)


def spread(cells: Tensor) -> Tensor:
    """Logits of map cells f32 [N,21,32] to bins f32 [N,21,512], linear between the cells' middles."""
    return functional.interpolate(cells, scale_factor=BINS / MAP_SIDE, mode="linear", align_corners=False)


class ServedPose(nn.Module):
    """What is exported: simcc_x, simcc_y f32 [N,21,512], their peak the joint's presence in [0, 1]."""

    def __init__(self, network: HandPose) -> None:
        super().__init__()
        self.network = network

    def forward(self, hands: Tensor) -> tuple[Tensor, Tensor]:
        x, y, presence = self.network(halved(hands))
        scale = presence.sigmoid().unsqueeze(-1)
        x = (x - x.max(dim=-1, keepdim=True).values).exp() * scale
        y = (y - y.max(dim=-1, keepdim=True).values).exp() * scale
        return x, y


def hand_pose(*, pretrained: bool = True) -> HandPose:
    """A new network as it is trained: folded backbone, frozen up to stride 8."""
    backbone = imagenet_backbone() if pretrained else EfficientNetLite0()
    network = HandPose(freeze(fold_batch_norm(backbone), stride=8))
    return network.to(memory_format=torch.channels_last)
