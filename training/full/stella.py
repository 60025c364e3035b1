"""Stella 1.5B: a Qwen2 network read in both directions, mean over tokens, one linear map, unit length.

Its release says so in its own code and files: attention is not causal, pooling is the mean of present tokens,
and the map from 1536 to 1024 is a file beside the network (maps to other sizes are published beside it).
Requests take a prompt before them; documents take none.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from training.full.interface import Encoder, Facts, TextInput
from training.kit.networks.attention import masked_mean
from training.kit.weights import build, fill, misfit, read_state

PROMPT = "Instruct: Given a web search query, retrieve relevant passages that answer the query.\nQuery: "
ABSENT = -1e9  # Qwen2's logits run far higher than most
HEAD = {"weight": "linear.weight", "bias": "linear.bias"}  # as sentence-transformers names its Dense


@dataclass(frozen=True)
class Stella:
    """`dense`: size of the embedding; the file of its map is in the folder 2_Dense_<dense>."""

    name: str
    width: int = 1536
    layers: int = 28
    heads: int = 12
    key_heads: int = 2
    feed: int = 8960
    vocabulary: int = 151646
    dense: int = 1024
    longest: int = 512  # the card recommends no longer texts

    @property
    def facts(self) -> Facts:
        return Facts(
            name=self.name,
            kind="text_encode",
            description=f"Stella: Qwen2, {self.layers} layers of {self.width}, mean of tokens, {self.dense}",
            embedding=self.dense,
            tokens=(-1, self.width),
            text=TextInput(self.longest, self.vocabulary, PROMPT),
        )

    def tiny(self) -> Encoder:
        return replace(
            self, width=32, layers=2, heads=4, key_heads=2, feed=64, vocabulary=60, dense=16, longest=24
        )

    def network(self) -> tuple[type[Any], Any]:
        from transformers import Qwen2Config, Qwen2Model

        config = Qwen2Config(
            vocab_size=self.vocabulary,
            hidden_size=self.width,
            intermediate_size=self.feed,
            num_hidden_layers=self.layers,
            num_attention_heads=self.heads,
            num_key_value_heads=self.key_heads,
            max_position_embeddings=131072,
            rope_parameters={"rope_type": "default", "rope_theta": 1e6},
        )
        return Qwen2Model, config

    def build(self) -> nn.Module:
        return StellaServed(build(*self.network()), nn.Linear(self.width, self.dense)).eval()

    def load(self, folder: Path) -> nn.Module:
        network = fill(*self.network(), read_state(folder / "model.safetensors"), unused=("lm_head.",))
        head = nn.Linear(self.width, self.dense)
        path = folder / f"2_Dense_{self.dense}" / "model.safetensors"
        state = read_state(path)
        wanted = {published: tuple(getattr(head, own).shape) for own, published in HEAD.items()}
        found = {name: tuple(tensor.shape) for name, tensor in state.items()}
        if found != wanted:
            raise misfit(str(path), found=[f"{found}"], expected=[f"{wanted}"])
        head.load_state_dict({own: state[published].float() for own, published in HEAD.items()})
        return StellaServed(network, head).eval()


class StellaServed(nn.Module):
    """The whole model as it is exported."""

    def __init__(self, network: nn.Module, head: nn.Linear) -> None:
        super().__init__()
        self.network, self.head = network, head

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, Tensor]:
        """i64 [N,L], i64 [N,L] in {0, 1} -> embedding f32 [N,D] unit, tokens f32 [N,L,width]."""
        present = attention_mask.to(self.head.weight.dtype)
        bias = (1 - present)[:, None, None, :] * ABSENT
        # A mask that is already made is taken as it is: this one hides padding and nothing that comes later.
        found = self.network(input_ids=input_ids, attention_mask={"full_attention": bias}, use_cache=False)
        tokens = found.last_hidden_state
        return functional.normalize(self.head(masked_mean(tokens, present)), dim=-1), tokens
