"""BEiT-3: the layer computes what the paper writes, released names load, an embedding is its item's alone."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

torch = pytest.importorskip("torch", reason="training is tested in an environment of its own: make test-full")

from training.full.beit3_weights import Beit3LoadError, load_official
from training.kit.networks.beit3 import IMAGE, TEXT, Beit3, Beit3Config, Layer

pytestmark = pytest.mark.torch
TINY = Beit3Config.tiny()  # width 32, 2 layers, 4 heads, feed 64, 16 patches of 8 x 8, 60 words


@pytest.fixture
def model() -> Beit3:
    torch.manual_seed(0)
    return Beit3(TINY).eval()


def released_state() -> dict[str, torch.Tensor]:
    """Names and shapes of a released retrieval checkpoint at the tiny size, values at random."""
    d, feed, state = 32, 64, {}
    shapes: dict[str, tuple[int, ...]] = {
        "logit_scale": (),
        "language_head.weight": (d, d),
        "vision_head.weight": (d, d),
        "beit3.text_embed.weight": (60, d),
        "beit3.vision_embed.mask_token": (1, 1, d),
        "beit3.vision_embed.cls_token": (1, 1, d),
        "beit3.vision_embed.proj.weight": (d, 3, 8, 8),
        "beit3.vision_embed.proj.bias": (d,),
        "beit3.encoder.embed_positions.A.weight": (16 + 1 + 2, d),
        "beit3.encoder.embed_positions.B.weight": (20, d),
    }
    linear = {"k_proj": (d, d), "v_proj": (d, d), "q_proj": (d, d), "out_proj": (d, d)}
    for way in "AB":
        shapes |= {f"beit3.encoder.layer_norm.{way}.{kind}": (d,) for kind in ("weight", "bias")}
        for n in range(2):
            layer = f"beit3.encoder.layers.{n}"
            for name, shape in linear.items():
                shapes[f"{layer}.self_attn.{name}.{way}.weight"] = shape
                shapes[f"{layer}.self_attn.{name}.{way}.bias"] = shape[:1]
            for name in ("self_attn.inner_attn_ln", "self_attn_layer_norm", "final_layer_norm"):
                shapes |= {f"{layer}.{name}.{way}.{kind}": (d,) for kind in ("weight", "bias")}
            ffn = f"{layer}.ffn.{way}"
            shapes |= {f"{ffn}.fc1.weight": (feed, d), f"{ffn}.fc1.bias": (feed,)}
            shapes |= {f"{ffn}.fc2.weight": (d, feed), f"{ffn}.fc2.bias": (d,)}
            shapes |= {f"{ffn}.ffn_layernorm.weight": (feed,), f"{ffn}.ffn_layernorm.bias": (feed,)}
    generator = torch.Generator().manual_seed(1)
    for name, shape in shapes.items():
        state[name] = torch.randn(shape, generator=generator) * 0.1
    return state


def texts(*lengths: int) -> tuple[torch.Tensor, torch.Tensor]:
    ids = torch.randint(4, 60, (len(lengths), max(lengths)), generator=torch.Generator().manual_seed(2))
    mask = (torch.arange(max(lengths))[None] < torch.tensor(lengths)[:, None]).float()
    return torch.where(mask > 0, ids, 1), mask


def test_every_name_of_a_released_checkpoint_is_loaded(model: Beit3) -> None:
    state = released_state()
    load_official(model, state)
    layer = model.layers[1]
    names = "beit3.encoder.layers.1"
    assert torch.equal(layer.attention[TEXT].out.bias, state[f"{names}.self_attn.out_proj.B.bias"])
    assert torch.equal(layer.attention[IMAGE].norm.weight, state[f"{names}.self_attn.inner_attn_ln.A.weight"])
    assert torch.equal(layer.norm_feed[TEXT].bias, state[f"{names}.final_layer_norm.B.bias"])
    assert torch.equal(layer.feed[IMAGE].norm.weight, state[f"{names}.ffn.A.ffn_layernorm.weight"])
    assert torch.equal(model.heads[IMAGE].weight, state["vision_head.weight"])
    values = torch.cat([parameter.flatten() for parameter in model.parameters()])
    loaded = torch.cat(
        [tensor.flatten() for name, tensor in state.items() if not name.endswith("mask_token")]
    )
    assert torch.equal(values.sort().values, loaded.sort().values), "each value once, none left at random"


def test_a_name_that_does_not_fit_is_named_and_nothing_is_loaded(model: Beit3) -> None:
    state = released_state()
    gone = "beit3.encoder.layers.0.ffn.B.fc1.weight"
    del state[gone]
    state["mlm_head.weight"] = torch.zeros(60, 32)
    state["vision_head.weight"] = torch.zeros(16, 32)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(Beit3LoadError) as error:
        load_official(model, state)
    assert error.value.missing == [gone]
    assert error.value.unexpected == ["mlm_head.weight"]
    assert error.value.misshaped == ["vision_head.weight is (16, 32), expected (32, 32)"]
    assert all(name in str(error.value) for name in (gone, "mlm_head.weight", "(16, 32)"))
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_positions_of_another_image_size_are_resampled_only_when_asked() -> None:
    state = released_state()
    larger = Beit3(replace(TINY, image_size=64)).eval()
    with pytest.raises(Beit3LoadError, match=r"embed_positions.A.weight is \(19, 32\), expected \(67, 32\)"):
        load_official(larger, state)
    rows = state["beit3.encoder.embed_positions.A.weight"]
    rows[3:] = torch.linspace(-1, 1, 4).repeat_interleave(4)[:, None]  # rises from top to bottom
    load_official(larger, state, resample_positions=True)
    found = larger.positions[IMAGE].detach()
    assert torch.equal(found[:3], rows[:3]), "CLS keeps its position"
    grid = found[3:].reshape(8, 8, 32)
    assert torch.allclose(grid[:, :1].expand_as(grid), grid, atol=1e-6)
    assert (grid[1:, 0, 0] > grid[:-1, 0, 0]).all()


def normed(x: NDArray[np.float64], norm: torch.nn.LayerNorm) -> NDArray[np.float64]:
    deviation = np.sqrt(x.var(axis=-1, keepdims=True) + 1e-5)
    return (x - x.mean(axis=-1, keepdims=True)) / deviation * array(norm.weight) + array(norm.bias)


def linear(x: NDArray[np.float64], layer: torch.nn.Linear) -> NDArray[np.float64]:
    return x @ array(layer.weight).T + array(layer.bias)


def array(tensor: torch.Tensor) -> NDArray[np.float64]:
    return tensor.detach().numpy().astype(np.float64)


@pytest.mark.parametrize("way", [IMAGE, TEXT])
def test_a_layer_computes_sub_ln_and_residuals_as_published(way: int) -> None:
    torch.manual_seed(way)
    layer = Layer(TINY, drop_path=0.0).eval()
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter, std=0.4)  # norms away from identity, so that their order shows
    tokens, length = torch.randn(1, 5, 32), 5
    x = array(tokens[0])
    attention, feed = layer.attention[way], layer.feed[way]
    inner = normed(x, layer.norm_attention[way])
    q, k, v = (linear(inner, part) for part in (attention.query, attention.key, attention.value))
    mixed = np.zeros((length, 32))
    for head in range(4):
        part = slice(8 * head, 8 * head + 8)
        logits = q[:, part] @ k[:, part].T / math.sqrt(8)
        weights = np.exp(logits - logits.max(axis=1, keepdims=True))
        mixed[:, part] = weights / weights.sum(axis=1, keepdims=True) @ v[:, part]
    x = x + linear(normed(mixed, attention.norm), attention.out)
    hidden = linear(normed(x, layer.norm_feed[way]), feed.widen)
    gelu = hidden * 0.5 * (1 + np.vectorize(math.erf)(hidden / math.sqrt(2)))
    x = x + linear(normed(gelu, feed.norm), feed.narrow)
    with torch.no_grad():
        found = array(layer(tokens, None, way)[0])
    assert np.abs(found - x).max() <= 1e-4 * np.abs(x).max()


def test_the_ways_share_attention_only_when_asked() -> None:
    own, shared = Beit3(TINY), Beit3(replace(TINY, shared_attention=True))
    attention = sum(p.numel() for p in own.layers[0].attention[0].parameters())
    count = [sum(p.numel() for p in net.parameters()) for net in (own, shared)]
    assert count[0] - count[1] == 2 * attention
    with pytest.raises(ValueError, match="for each modality"):
        load_official(shared, released_state())


def test_an_item_is_embedded_alike_alone_and_among_others(model: Beit3) -> None:
    images = torch.rand(3, 3, 32, 32) * 2 - 1
    ids, mask = texts(9, 4, 6)
    with torch.no_grad():
        together = model.encode_image(images), model.encode_text(ids, mask)
        alone = [torch.cat([model.encode_image(images[i : i + 1]) for i in range(3)])]
        alone.append(torch.cat([model.encode_text(ids[i : i + 1], mask[i : i + 1]) for i in range(3)]))
    for left, right in zip(together, alone, strict=True):
        assert torch.allclose(left, right, atol=1e-6)
        assert torch.allclose(left.norm(dim=1), torch.ones(3), atol=1e-6)
        assert (left[0] - left[1]).abs().max() > 1e-3, "different items differ"


def test_padding_changes_nothing_whatever_it_holds(model: Beit3) -> None:
    ids, mask = texts(5)
    padded = torch.cat([ids, torch.full((1, 7), 33)], dim=1)
    longer = torch.cat([mask, torch.zeros(1, 7)], dim=1)
    with torch.no_grad():
        plain = model.encode_text(ids, mask)
        assert torch.allclose(plain, model.encode_text(padded, longer), atol=1e-6)
        read = model.encode_text(padded, torch.ones(1, 12))
    assert (plain - read).abs().max() > 1e-3, "the same tokens count when the mask says so"


def test_the_visual_input_may_be_ready_made_tokens() -> None:
    torch.manual_seed(0)
    model = Beit3(replace(TINY, ready_tokens=(49, 320))).eval()
    tokens = torch.randn(2, 49, 320)
    with torch.no_grad():
        found = model.encode_image(tokens)
    assert found.shape == (2, 32)
    with pytest.raises(ValueError, match=r"expected \('N', 49, 320\)"):
        model.encode_image(torch.randn(2, 48, 320))


def test_a_text_that_is_too_long_is_refused(model: Beit3) -> None:
    ids, mask = texts(19)
    with pytest.raises(ValueError, match="texts of 19 tokens, the model takes at most 18"):
        model.encode_text(ids, mask)


def test_the_published_sizes_have_the_published_numbers_of_parameters() -> None:
    with torch.device("meta"):
        counts = {
            name: sum(p.numel() for p in Beit3(config).parameters()) / 1e6
            for name, config in (("base", Beit3Config.base()), ("large", Beit3Config.large()))
        }
    assert counts["base"] == pytest.approx(222, abs=1)
    assert counts["large"] == pytest.approx(675, abs=1)


def test_training_moves_both_ways_and_the_temperature(model: Beit3) -> None:
    model.train()
    ids, mask = texts(6, 8, 5, 7)
    images = torch.rand(4, 3, 32, 32) * 2 - 1
    optimiser = torch.optim.AdamW(model.parameters(), lr=2e-3)
    losses = []
    for _ in range(40):
        image, text, scale = model(images, ids, mask)
        loss = torch.nn.functional.cross_entropy(scale * image @ text.T, torch.arange(4))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.2 * losses[0]
    assert all(p.grad is not None for p in model.parameters())
