"""nail_seg's network: a U-Net of depthwise-separable blocks on EfficientNet-Lite0.

The decoder goes from stride 32 back to stride 2 and predicts three maps at half the input's resolution:
channel 0 is "nail", channel 1 is "interior", the eroded core of each nail. Two nails that touch share a
border in channel 0 but not in channel 1, which is what `nails.perception.nail_decode.decode_interior`
separates them by. Channel 2 is "body": hands with their nails, and nails that lie alone. It teaches the
network what a nail grows on, and takes nails back that lie where it sees no hand; it is not served itself.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from training.kit.networks.backbone import PYRAMID_CHANNELS, EfficientNetLite0, imagenet_backbone
from training.kit.networks.blocks import Separable, Up, fill_bias

MAPS = 3


class NailSeg(nn.Module):
    """f32 [N,3,S,S] in (x-127)/128 -> logits f32 [N,3,S/2,S/2]; S a multiple of 32.

    `widths` are the decoder's channels at strides 16, 8, 4 and 2.
    """

    def __init__(
        self, backbone: EfficientNetLite0, *, widths: tuple[int, int, int, int] = (96, 64, 32, 16)
    ) -> None:
        super().__init__()
        self.backbone = backbone
        coarse = PYRAMID_CHANNELS[32]
        self.context = Separable(coarse, coarse)
        self.ups = nn.ModuleList()
        for stride, width in zip((16, 8, 4, 2), widths, strict=True):
            # One block where the maps are large: it is there to place edges, not to understand.
            self.ups.append(Up(coarse, PYRAMID_CHANNELS[stride], width, blocks=2 if stride >= 8 else 1))
            coarse = width
        self.head = nn.Conv2d(coarse, MAPS, 1)
        # Nails cover a few per cent of a photo: start there instead of at one half.
        fill_bias(self.head, -3.0)

    def forward(self, images: Tensor) -> Tensor:
        levels = self.backbone.levels(images)
        x = self.context(levels[32])
        for up, stride in zip(self.ups, (16, 8, 4, 2), strict=True):
            x = up(x, levels[stride])
        logits: Tensor = self.head(x)
        return logits


class NailMaps(nn.Module):
    """What is exported: nail and interior maps f32 [N,2,S/2,S/2], probabilities in [0, 1].

    gated: where the network is more certain than not that there is no hand, nails lose their probability with
    it. Only for networks that have learnt the body map.
    """

    def __init__(self, network: nn.Module, *, gated: bool = False) -> None:
        super().__init__()
        self.network = network
        self.gated = gated

    def forward(self, images: Tensor) -> Tensor:
        maps = torch.sigmoid(self.network(images))
        if not self.gated:
            return maps[:, :2]
        return maps[:, :2] * (2 * maps[:, 2:]).clamp(max=1.0)


def nail_seg(*, pretrained: bool = True) -> NailSeg:
    """A new network, on ImageNet weights unless `pretrained` is false (tests)."""
    return NailSeg(imagenet_backbone() if pretrained else EfficientNetLite0())
