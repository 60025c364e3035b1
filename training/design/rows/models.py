"""The rows of paper N's table: what each system reads of a design and of a request, and with which loss.

All rows read the same cached features of one backbone, fine-tuned once on the training designs (whole photos
and crops), so that they differ in what the table is about: crop, intent, palette and loss.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.design.rows.design_fuse import DESIGN_DIM, INPUTS, DesignFuse
from training.design.rows.query_fuse import QueryFuse
from training.kit.losses import Temperature
from training.kit.networks.attention import is_present


@dataclass(frozen=True)
class Row:
    """One system. The inputs that it does not read are absent (all zero) in training and in evaluation.

    network: "dual" (two adapters), "beit3" (a multiway Transformer on patches and word pieces), "concat" (an
    MLP on the features of a design end to end) or "fusion" (typed tokens and a Transformer).
    style: which view image_style reads. written: v_n, a text that the describer wrote from the photo. intent:
    MDD and NNP beside the request. loss: "info_nce"; "drc", "crc" beside InfoNCE; "drc_alone", "crc_alone".
    """

    name: str
    title: str
    network: str = "fusion"
    loss: str = "drc"
    style: str = "photo"
    align: bool = True
    crop: bool = False
    written: bool = True
    intent: bool = True
    palette: bool = False


_CVFIM = Row("cvfim", "CVFIM: + v_crop", crop=True)
_OURS = replace(_CVFIM, name="ours", title="ours: CVFIM + palette, CRC", palette=True, loss="crc")
ROWS: dict[str, Row] = {
    row.name: row
    for row in (
        Row(
            "clip",
            "CLIP-like: dual encoder, fine-tuned",
            network="dual",
            loss="info_nce",
            style="",
            written=False,
            intent=False,
        ),
        Row(
            "beit3",
            "BEiT-3 (small multiway), fine-tuned",
            network="beit3",
            loss="info_nce",
            style="",
            written=False,
            intent=False,
        ),
        Row("nailia", "NaiLIA-like: v_s, v_a, v_n through an MLP; LIFM", network="concat"),
        Row("cvfim_no_crop", "CVFIM without v_crop"),
        _CVFIM,
        _OURS,
        # what each part is worth
        Row("nailia_crop", "NaiLIA-like with v_crop through the MLP", network="concat", crop=True),
        replace(
            _CVFIM,
            name="cvfim_crop_only",
            title="CVFIM, crop in place of the photo",
            align=False,
            style="crop",
        ),
        replace(_CVFIM, name="cvfim_info_nce", title="CVFIM with InfoNCE", loss="info_nce"),
        replace(_CVFIM, name="cvfim_drc_alone", title="CVFIM with DRC alone", loss="drc_alone"),
        replace(_CVFIM, name="cvfim_crc", title="CVFIM with CRC", loss="crc"),
        replace(_CVFIM, name="cvfim_palette", title="CVFIM with palette", palette=True),
        replace(_OURS, name="ours_info_nce", title="ours with InfoNCE", loss="info_nce"),
        replace(_OURS, name="ours_crc_alone", title="ours with CRC alone", loss="crc_alone"),
        replace(_OURS, name="ours_no_crop", title="ours without v_crop", crop=False),
        replace(
            _OURS, name="ours_crop_only", title="ours, crop in place of the photo", align=False, style="crop"
        ),
        replace(_OURS, name="ours_no_intent", title="ours without MDD and NNP", intent=False),
        replace(_OURS, name="ours_no_text", title="ours without v_n", written=False),
    )
}


class Adapter(nn.Module):
    """A residual MLP from one feature to the shared space: f32 [N,D] -> f32 [N,256] unit."""

    def __init__(self, size: int, hidden: int = 512, drop: float = 0.2) -> None:
        super().__init__()
        self.hidden = nn.Linear(size, hidden)
        self.drop = nn.Dropout(drop)
        self.out = nn.Linear(hidden, DESIGN_DIM)
        self.skip = nn.Linear(size, DESIGN_DIM)

    def forward(self, x: Tensor) -> Tensor:
        x = x * x.shape[1] ** 0.5  # unit vectors to entries of about 1
        return functional.normalize(
            self.out(self.drop(functional.gelu(self.hidden(x)))) + self.skip(x), dim=1
        )


class ConcatFuse(nn.Module):
    """NaiLIA-like: the features of a design end to end through an MLP. Inputs as DesignFuse."""

    def __init__(self, hidden: int = 512, drop: float = 0.2) -> None:
        super().__init__()
        size = sum(size for _, size in INPUTS)
        self.norm = nn.LayerNorm(size)
        self.hidden = nn.Linear(size, hidden)
        self.drop = nn.Dropout(drop)
        self.out = nn.Linear(hidden, DESIGN_DIM)
        self.skip = nn.Linear(size, DESIGN_DIM)

    def forward(self, style: Tensor, align: Tensor, crop: Tensor, text: Tensor) -> Tensor:
        """style [N,256], align [N,512], crop [N,512], text [N,512] -> f32 [N,256] unit."""
        x = torch.cat([part * part.shape[1] ** 0.5 for part in (style, align, crop, text)], dim=1)
        fused = self.out(self.drop(functional.gelu(self.hidden(self.norm(x))))) + self.skip(x)
        return functional.normalize(fused, dim=1)


class DualText(nn.Module):
    """A request by its sentence alone. Inputs as QueryFuse."""

    def __init__(self) -> None:
        super().__init__()
        self.adapter = Adapter(512)

    def forward(self, text: Tensor, *_: Tensor) -> Tensor:
        """text f32 [N,512]; the rest is not read -> f32 [N,256] unit."""
        return self.adapter(text)


class DualImage(nn.Module):
    """A design by one feature. Inputs as DesignFuse."""

    def __init__(self) -> None:
        super().__init__()
        self.adapter = Adapter(512)

    def forward(self, style: Tensor, align: Tensor, crop: Tensor, text: Tensor) -> Tensor:
        """align f32 [N,512]; the rest is not read -> f32 [N,256] unit."""
        assert not is_present(style).any() and not is_present(crop).any() and not is_present(text).any()
        return self.adapter(align)


class RowNetwork(nn.Module):
    """Both sides of a row over cached features, and a temperature for InfoNCE."""

    def __init__(self, row: Row) -> None:
        super().__init__()
        self.design: nn.Module = {"dual": DualImage, "concat": ConcatFuse, "fusion": DesignFuse}[
            row.network
        ]()
        self.query: nn.Module = DualText() if row.network == "dual" else QueryFuse()
        self.temperature = Temperature()
