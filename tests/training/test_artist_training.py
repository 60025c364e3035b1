"""The artist model: its head learns, and the whole answers whatever the batch."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the training environment")

from training.artist.image.network import ArtistHead, ArtistImage
from training.artist.image.training import ArtistConfig, train_head
from training.kit.export.images import example_images
from training.kit.networks.backbone import EfficientNetLite0
from training.kit.networks.encoders import Encoders

pytestmark = [pytest.mark.torch, pytest.mark.timeout(300)]


def test_a_head_learns_separable_descriptions() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, 80)
    descriptions = (np.eye(4)[labels][:, None] + rng.normal(0, 0.1, (80, 2, 4))).astype(np.float16)
    head = train_head(descriptions, labels, 4, ArtistConfig(epochs=30, batch=40))
    with torch.no_grad():
        logits, embedding = head(torch.from_numpy(descriptions[:, 0].astype(np.float32)))
    assert (logits.argmax(dim=1).numpy() == labels).mean() > 0.95
    np.testing.assert_allclose(embedding.norm(dim=1).numpy(), 1, atol=1e-5)


def test_the_artist_model_gives_logits_for_each_artist_whatever_the_batch() -> None:
    torch.manual_seed(0)
    encoders = Encoders(EfficientNetLite0(), facts=3)
    model = ArtistImage(encoders, ArtistHead(5)).eval()
    images = example_images(3)
    with torch.no_grad():
        logits, embedding = model(images)
        alone, _ = model(images[1:2])
    assert logits.shape == (3, 5) and embedding.shape == (3, 256)
    torch.testing.assert_close(alone[0], logits[1], atol=1e-4, rtol=0)
