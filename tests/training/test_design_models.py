"""The four design models: shapes, absence, independence of the batch, and colour inside the graph."""

from __future__ import annotations

import copy

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the training environment")

from nails.colour.cielab import srgb_to_lab as reference_lab
from nails.vocabulary import COLOURS
from training.design.export import cut_backbone, design_example, query_example
from training.design.rows.design_fuse import INPUTS, DesignFuse
from training.design.rows.query_fuse import QueryFuse
from training.kit.export.images import example_images
from training.kit.networks.backbone import EfficientNetLite0
from training.kit.networks.encoders import Encoders
from training.kit.networks.folded import fold_backbone
from training.kit.networks.image_align import ImageAlign
from training.kit.networks.image_style import ImageStyle, NailCells
from training.kit.networks.nail_colour import NamedColourBins, srgb_to_lab

pytestmark = [pytest.mark.torch, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def encoders() -> Encoders:
    torch.manual_seed(0)
    return Encoders(EfficientNetLite0(), facts=5).eval()


@pytest.fixture(scope="module")
def design() -> DesignFuse:
    torch.manual_seed(0)
    return DesignFuse().eval()


@pytest.fixture(scope="module")
def query() -> QueryFuse:
    torch.manual_seed(0)
    return QueryFuse().eval()


def norms(embedding: torch.Tensor) -> np.ndarray:
    return embedding.norm(dim=1).detach().numpy()


@torch.no_grad()
def test_image_models_give_unit_embeddings_and_half_precision_tokens(encoders: Encoders) -> None:
    images = example_images(2)
    embedding, tokens = ImageAlign(encoders.backbone, encoders.align)(images)
    assert embedding.shape == (2, 512) and tokens.shape == (2, 49, 320) and tokens.dtype == torch.float16
    style = ImageStyle(encoders.backbone, encoders.style)(images)
    assert style.shape == (2, 256)
    np.testing.assert_allclose([*norms(embedding), *norms(style)], 1, atol=1e-5)


@torch.no_grad()
def test_a_look_gives_what_is_exported_with_facts_and_tokens_for_the_rows(encoders: Encoders) -> None:
    images = example_images(2)
    align, _, facts, tokens = encoders.look(images)
    exported, _ = ImageAlign(encoders.backbone, encoders.align)(images)
    assert tokens.shape == (2, 49, 112)
    assert facts.shape == (2, 5) and float(facts.min()) >= 0 and float(facts.max()) <= 1
    torch.testing.assert_close(align, exported)


@torch.no_grad()
def test_a_photo_without_nails_hangs_on_nothing_small(encoders: Encoders) -> None:
    """An empty nail map gives averages near zero, not one rounding error over another."""
    images = torch.full((1, 3, 224, 224), -0.3)
    _, logits = encoders.style.describe(images, encoders.backbone.levels(images))
    moved = images + 1e-5
    for before, after in zip(encoders.embed(images), encoders.embed(moved), strict=True):
        assert logits.shape == (1, 1, 28, 28)
        torch.testing.assert_close(before, after, atol=2e-3, rtol=0)


@torch.no_grad()
def test_cells_without_nail_have_hardly_a_say() -> None:
    torch.manual_seed(0)
    cells = NailCells().eval()
    stride16, colours = torch.randn(1, 112, 4, 4), torch.rand(1, 2 * len(COLOURS), 4, 4)
    nails = torch.zeros(1, 1, 4, 4)
    nails[..., 1:3, 1:3] = 1
    before = cells(stride16, colours, nails)
    elsewhere, on_nails = stride16.clone(), stride16.clone()
    elsewhere[..., 0, :] += 1
    on_nails[..., 1, 1] += 1
    away = (cells(elsewhere, colours, nails) - before).abs().max()
    near = (cells(on_nails, colours, nails) - before).abs().max()
    assert away < 0.1 * near


@torch.no_grad()
def test_a_backbone_cut_at_stride_16_gives_the_same_style(encoders: Encoders) -> None:
    images = example_images(2)
    whole = ImageStyle(encoders.backbone, encoders.style)(images)
    assert torch.equal(ImageStyle(cut_backbone(encoders.backbone, 16), encoders.style)(images), whole)


@torch.no_grad()
def test_an_image_alone_is_embedded_as_among_others(encoders: Encoders) -> None:
    images = example_images(3)
    among = encoders.embed(images)
    for index in range(3):
        for alone, together in zip(encoders.embed(images[index : index + 1]), among, strict=True):
            torch.testing.assert_close(alone[0], together[index], atol=1e-5, rtol=0)


@torch.no_grad()
def test_a_folded_backbone_computes_the_same_levels() -> None:
    torch.manual_seed(0)
    plain = EfficientNetLite0().eval()
    for module in plain.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.uniform_(-0.2, 0.2)
            module.running_var.uniform_(0.5, 2)
            module.weight.uniform_(0.5, 2)
    images = example_images(2, 64)
    wanted = plain.levels(images)
    found = fold_backbone(copy.deepcopy(plain)).levels(images)
    for stride, level in wanted.items():
        torch.testing.assert_close(found[stride], level, atol=1e-4, rtol=1e-3)


@torch.no_grad()
def test_fusions_give_unit_embeddings(design: DesignFuse, query: QueryFuse) -> None:
    designs, requests = design(*design_example()), query(*query_example())
    assert designs.shape == (4, 256) and requests.shape == (3, 256)
    np.testing.assert_allclose([*norms(designs), *norms(requests)], 1, atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("absent", range(4))
def test_an_absent_input_has_no_say_in_a_design(design: DesignFuse, absent: int) -> None:
    inputs = [x.clone() for x in design_example()]
    inputs[absent][:] = 0
    before = design(*inputs)
    with torch.no_grad():
        layer = design.project[absent]
        kept = layer.weight.clone(), layer.bias.clone()
        layer.weight.add_(1.0)
        layer.bias.add_(1.0)
        after = design(*inputs)
        layer.weight.copy_(kept[0])
        layer.bias.copy_(kept[1])
    assert torch.equal(before, after)


@torch.no_grad()
def test_a_design_of_nothing_is_still_a_finite_unit_vector(design: DesignFuse) -> None:
    found = design(*(torch.zeros(1, size) for _, size in INPUTS))
    assert torch.isfinite(found).all()
    np.testing.assert_allclose(norms(found), 1, atol=1e-5)


@torch.no_grad()
def test_the_inputs_of_a_design_are_told_apart_by_type(design: DesignFuse) -> None:
    style, align, crop, text = design_example()
    swapped = design(style, crop, align, text)
    assert (design(style, align, crop, text)[3] - swapped[3]).abs().max() > 1e-3


@torch.no_grad()
def test_masked_phrases_and_colours_have_no_say_in_a_request(query: QueryFuse) -> None:
    text, mdd, nnp, nnp_mask, palette, palette_mask = query_example()
    before = query(text, mdd, nnp, nnp_mask, palette, palette_mask)
    nnp, palette = nnp.clone(), palette.clone()
    nnp[nnp_mask == 0] = 0.3
    palette[palette_mask == 0] = 77.0
    torch.testing.assert_close(
        query(text, mdd, nnp, nnp_mask, palette, palette_mask), before, atol=1e-6, rtol=0
    )


@torch.no_grad()
def test_a_request_without_a_palette_is_the_text_alone_and_a_palette_changes_it(query: QueryFuse) -> None:
    text, mdd, nnp, nnp_mask, palette, palette_mask = query_example()
    none = query(text, mdd, nnp, nnp_mask, palette, torch.zeros_like(palette_mask))
    tokens, present, _ = query.read_text(text, mdd, nnp, nnp_mask)
    added = query.read_palette(palette, torch.zeros_like(palette_mask), query.norm_text(tokens), present)
    assert not added.any()
    assert (query(text, mdd, nnp, nnp_mask, palette, palette_mask) - none)[0].abs().max() > 1e-4
    assert torch.equal(none[2], query(text, mdd, nnp, nnp_mask, palette, palette_mask)[2])


@torch.no_grad()
def test_the_order_of_phrases_and_of_colours_does_not_matter(query: QueryFuse) -> None:
    text, mdd, nnp, nnp_mask, palette, palette_mask = query_example()
    turned = query(text, mdd, nnp.flip(1), nnp_mask.flip(1), palette.flip(1), palette_mask.flip(1))
    torch.testing.assert_close(
        turned, query(text, mdd, nnp, nnp_mask, palette, palette_mask), atol=1e-5, rtol=0
    )


@torch.no_grad()
def test_a_request_and_a_design_alone_are_embedded_as_among_others(
    design: DesignFuse, query: QueryFuse
) -> None:
    for model, example in ((design, design_example()), (query, query_example())):
        among = model(*example)
        for index in range(len(among)):
            alone = model(*(x[index : index + 1] for x in example))
            torch.testing.assert_close(alone[0], among[index], atol=1e-5, rtol=0)


def test_colour_in_the_graph_agrees_with_colour_outside() -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (8, 8, 3)).astype(np.uint8)
    found = srgb_to_lab(torch.from_numpy(rgb).permute(2, 0, 1)[None] / 255)[0].permute(1, 2, 0)
    np.testing.assert_allclose(found.numpy(), reference_lab(rgb), atol=0.2)


def test_a_nail_painted_in_a_named_colour_counts_mostly_as_that_name() -> None:
    bins = NamedColourBins()
    lab = torch.tensor([colour.lab for colour in COLOURS])  # [C,3]
    members = bins.soften(lab)
    assert (members.argmax(dim=1) == torch.arange(len(COLOURS))).all()


def test_pixels_outside_the_weights_do_not_count() -> None:
    red, blue = (next(i for i, c in enumerate(COLOURS) if c.name == name) for name in ("red", "blue"))
    lab = torch.zeros(1, 3, 2, 2)
    lab[0, :, 0] = torch.tensor(COLOURS[red].lab)[:, None]
    lab[0, :, 1] = torch.tensor(COLOURS[blue].lab)[:, None]
    weights = torch.tensor([[[[1.0, 1.0], [0.0, 0.0]]]])
    counts = NamedColourBins()(lab, weights)[0]
    assert counts[red] > 0.8 and counts[blue] < 0.01
