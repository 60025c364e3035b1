"""The tables that paper A prints, for reading beside ours. Its works are others, 109,685 of 944 artists (once
945): nothing here may be compared with a figure of synthetic works."""

from __future__ import annotations

from typing import Final

MODELS: Final = {
    "image": (0.7959, 0.7400),
    "text": (0.8793, 0.8338),
    "5:5": (0.9299, 0.9016),
    "object labels": (0.09056, 0.05893),
}
"""Accuracy (= micro-F1) and macro-F1 of the paper's table 3."""

PILOTS: Final = {
    "Word2Vec + LightGBM": 0.07050,
    "Doc2Vec + LightGBM": 0.5005,
    "TF-IDF + LightGBM": 0.8364,
    "fastText": 0.8806,
}
"""Accuracy of its pilots on words, on works of their own."""

RATIOS: Final = (
    (0.8115, 0.7586),
    (0.8387, 0.7923),
    (0.8757, 0.8380),
    (0.9077, 0.8768),
    (0.9299, 0.9016),
    (0.9214, 0.8891),
    (0.9072, 0.8691),
    (0.8940, 0.8516),
    (0.8844, 0.8397),
)
"""Accuracy and macro-F1 of photo : words 1:9 … 9:1 (table 2)."""

SLICES: Final = {
    5.0: (54_482, (0.8182, 0.7502), (0.8939, 0.8391), (0.9397, 0.9058), (0.1375, 0.07304)),
    4.0: (47_053, (0.8223, 0.7484), (0.8950, 0.8372), (0.9405, 0.9051), (0.1519, 0.07597)),
    3.0: (38_304, (0.8280, 0.7475), (0.8967, 0.8358), (0.9421, 0.9042), (0.1670, 0.08082)),
    2.0: (19_420, (0.8467, 0.7522), (0.9055, 0.8337), (0.9499, 0.9050), (0.2092, 0.08897)),
    1.0: (6_011, (0.9590, 0.7950), (0.9489, 0.7668), (0.9860, 0.9109), (0.4545, 0.1360)),
}
"""By threshold of entropy: works; accuracy and macro-F1 of image, text, 5:5 and labels (tables 1, 5-8)."""

TRANSITIONS: Final = {
    "image": {"T → T": 86_458, "F → F": 6_818, "F → T": 15_504, "T → F": 905},
    "text": {"T → T": 95_563, "F → F": 6_838, "F → T": 6_399, "T → F": 885},
}
"""Works by right (T) and wrong (F) before and after 5:5 (table 4)."""
