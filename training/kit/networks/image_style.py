"""image_style: colour, texture and shape statistics of early features, with a trained head.

    images f32 [N,3,224,224] -> embedding f32 [N,256] unit

Statistics under the nail map or around it: soft counts of named colours, CIELAB moments, contrast of
lightness at two scales, means and deviations of the features at strides 4, 8 and 16, and the map's own
spread. Beside them one Transformer block over the cells of stride 16 with their colours, read by a few
learned queries: averages cannot tell four grey nails and a gold one from nails of grey and gold, a cell that
compares itself with others can. Needs the backbone only up to stride 16 (the role of DINOv2 in paper N).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from nails.vocabulary import COLOURS
from training.kit.networks.attention import Attention, Block
from training.kit.networks.backbone import PYRAMID_CHANNELS, EfficientNetLite0
from training.kit.networks.nail_colour import NamedColourBins, srgb_to_lab, weighted_deviation, weighted_mean
from training.kit.networks.nail_map import NailMap

STYLE_DIM = 256
COLOUR_STATISTICS = 2 * len(COLOURS) + 4 * 3
CONTRAST_STATISTICS = 4
FEATURE_STATISTICS = 2 * (PYRAMID_CHANNELS[4] + PYRAMID_CHANNELS[8] + PYRAMID_CHANNELS[16])
SHAPE_STATISTICS = 4
CELL_WIDTH = 128
CELL_QUERIES = 6
DESCRIPTION = (
    COLOUR_STATISTICS
    + CONTRAST_STATISTICS
    + FEATURE_STATISTICS
    + SHAPE_STATISTICS
    + CELL_QUERIES * CELL_WIDTH
)


def lightness_steps(lightness: Tensor) -> Tensor:
    """Mean absolute difference to the right and lower neighbour: f32 [N,1,H,W] -> f32 [N,1,H,W]."""
    right = functional.pad(lightness[:, :, :, 1:] - lightness[:, :, :, :-1], (0, 1, 0, 0)).abs()
    down = functional.pad(lightness[:, :, 1:] - lightness[:, :, :-1], (0, 0, 0, 1)).abs()
    return (right + down) / 2


def map_shape(nails: Tensor) -> Tensor:
    """Area, edge length against area, and spread along both axes: f32 [N,1,H,W] in [0, 1] -> f32 [N,4]."""
    height, width = nails.shape[2:]
    area = nails.mean(dim=(2, 3))
    edges = lightness_steps(nails).mean(dim=(2, 3)) / (area + 1e-3)
    rows = (
        torch.linspace(-1, 1, height, device=nails.device).view(1, 1, height, 1).expand(1, 1, height, width)
    )
    columns = (
        torch.linspace(-1, 1, width, device=nails.device).view(1, 1, 1, width).expand(1, 1, height, width)
    )
    places = torch.cat([rows, columns], dim=1)  # [1,2,H,W]
    mean = weighted_mean(places, nails)  # [N,2]
    spread = weighted_mean((places - mean[:, :, None, None]).square(), nails)
    return torch.cat([area, edges, spread], dim=1)


class NailCells(nn.Module):
    """What a few learned queries read off the cells of stride 16, after these have looked at each other."""

    def __init__(self, width: int = CELL_WIDTH, queries: int = CELL_QUERIES) -> None:
        super().__init__()
        self.project = nn.Linear(PYRAMID_CHANNELS[16] + 2 * len(COLOURS) + 1, width)
        self.block = Block(width, heads=4, feed=2 * width, drop=0.0)
        self.norm = nn.LayerNorm(width)
        self.queries = nn.Parameter(torch.randn(queries, width) * 0.02)
        self.read = Attention(width, heads=4)

    def forward(self, stride16: Tensor, colours: Tensor, nails: Tensor) -> Tensor:
        """stride16 f32 [N,112,h,w], colours f32 [N,2C,h,w], nails f32 [N,1,h,w] in [0, 1] -> f32 [N,Q*d]."""
        cells = torch.cat([stride16, colours, nails], dim=1).flatten(2).transpose(1, 2)  # [N,hw,112+2C+1]
        tokens = self.project(cells)
        # cells without nail have hardly a say: absence is a matter of degree here
        present = 0.999 * nails.flatten(1) + 0.001
        tokens = self.norm(self.block(tokens, present, soft=True))
        queries = self.queries.expand(tokens.shape[0], -1, -1)
        return self.read(queries, tokens, present, soft=True).flatten(1)


class StyleHead(nn.Module):
    """From early backbone levels and pixels to the unit embedding."""

    def __init__(self, hidden: int = 512, drop: float = 0.1) -> None:
        super().__init__()
        self.nails = NailMap()
        self.colours = NamedColourBins()
        self.cells = NailCells()
        self.standardise = nn.BatchNorm1d(DESCRIPTION, eps=1e-2)
        self.hidden = nn.Linear(DESCRIPTION, hidden)
        self.drop = nn.Dropout(drop)
        self.out = nn.Linear(hidden, STYLE_DIM)

    def describe(self, images: Tensor, levels: dict[int, Tensor]) -> tuple[Tensor, Tensor]:
        """images f32 [N,3,S,S], levels 4, 8, 16 -> description f32 [N,D], nail logits [N,1,S/8,S/8]."""
        logits = self.nails(levels[8], levels[16])
        nail8 = logits.sigmoid()
        nail4 = functional.interpolate(nail8, scale_factor=2.0, mode="nearest")
        nail16 = functional.avg_pool2d(nail8, 2)
        around4 = 1 - nail4
        lab = srgb_to_lab(functional.avg_pool2d(images * (128 / 255) + 127 / 255, 4))
        scaled = lab / 50
        fine = lightness_steps(scaled[:, :1])
        coarse = lightness_steps(functional.avg_pool2d(scaled[:, :1], 2))
        parts = [
            (self.colours(lab, nail4) + 1e-4).sqrt(),
            (self.colours(lab, around4) + 1e-4).sqrt(),
            weighted_mean(scaled, nail4),
            weighted_deviation(scaled, nail4),
            weighted_mean(scaled, around4),
            weighted_deviation(scaled, around4),
            weighted_mean(fine, nail4),
            weighted_deviation(fine, nail4),
            weighted_mean(coarse, nail8),
            weighted_deviation(coarse, nail8),
        ]
        for features, weights in ((levels[4], nail4), (levels[8], nail8), (levels[16], nail16)):
            parts += [weighted_mean(features, weights), weighted_deviation(features, weights)]
        parts.append(map_shape(nail8))
        members = self.colours.soften(lab.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)  # [N,C,S/4,S/4]
        painted = functional.avg_pool2d(members * nail4, 4) / (functional.avg_pool2d(nail4, 4) + 0.05)
        unpainted = functional.avg_pool2d(members, 4)
        parts.append(self.cells(levels[16], torch.cat([painted, unpainted], dim=1), nail16))
        return torch.cat(parts, dim=1), logits

    def forward(self, description: Tensor) -> tuple[Tensor, Tensor]:
        """f32 [N,D] -> hidden f32 [N,512], embedding f32 [N,256] unit."""
        hidden = functional.gelu(self.hidden(self.standardise(description)))
        return hidden, functional.normalize(self.out(self.drop(hidden)), dim=1)


class ImageStyle(nn.Module):
    """The whole model as it is exported; `backbone` may be cut at stride 16."""

    def __init__(self, backbone: EfficientNetLite0, head: StyleHead) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head

    def forward(self, images: Tensor) -> Tensor:
        """images f32 [N,3,224,224] -> embedding f32 [N,256] unit."""
        description, _ = self.head.describe(images, self.backbone.levels(images))
        _, embedding = self.head(description)
        return embedding
