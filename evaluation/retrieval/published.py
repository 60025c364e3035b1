"""The table that paper N prints, for reading beside ours. Other photos, other requests, other sizes of
models: nothing here may be compared with a figure of synthetic photos."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

COLUMNS: Final = ("MRR", "R@1", "R@5", "R@10")


@dataclass(frozen=True)
class PublishedRow:
    """A method with COLUMNS on the multi-target and on the single-target subset, in percent."""

    title: str
    multi: tuple[float, float, float, float]
    single: tuple[float, float, float, float]


PAPER_N: Final = (
    PublishedRow("CLIP B/32, fine-tuned", (25.09, 14.35, 35.70, 46.65), (24.23, 13.40, 34.13, 45.45)),
    PublishedRow("BEiT-3 L, fine-tuned", (63.59, 50.83, 79.93, 87.70), (62.65, 50.18, 78.50, 86.18)),
    PublishedRow("UniIR, zero-shot", (15.97, 7.88, 22.50, 31.13), (15.96, 7.75, 21.75, 34.13)),
    PublishedRow("FashionViL, frozen", (4.05, 1.00, 5.13, 8.00), (3.78, 1.25, 4.63, 7.63)),
    PublishedRow("FashionViL, fine-tuned", (28.47, 15.40, 42.45, 56.08), (29.69, 17.58, 41.13, 56.30)),
    PublishedRow("FAME-ViL, frozen", (26.59, 15.50, 38.88, 52.25), (26.47, 16.25, 36.25, 48.88)),
    PublishedRow("FAME-ViL, fine-tuned", (53.12, 38.90, 71.20, 81.48), (53.73, 40.08, 70.18, 81.33)),
    PublishedRow("NaiLIA", (63.25, 50.73, 79.15, 87.05), (62.50, 50.60, 77.38, 85.65)),
    PublishedRow("CVFIM without v_crop", (64.36, 52.20, 79.68, 87.80), (63.20, 50.83, 78.85, 86.48)),
    PublishedRow("CVFIM with v_crop", (68.61, 57.40, 82.95, 88.60), (67.51, 56.73, 80.83, 88.53)),
)
