"""The models of paper Q's table, read from top to bottom.

    tokens f16 [N,T,320], align f32 [N,512], tag f32 [N,K,512], tag_mask f32 [N,K]
      -> score f32 [N,1] in 1-10, distribution f32 [N,10]

`TagAesthetic` asks the photo once for each tag: the tag is the query of a cross-attention over the photo's
tokens (residual, LayerNorm), and what comes back goes with the whole photo's embedding, and the product of
photo and tag, through an MLP to a linear score and ten bins. Without a tag, a learned null token asks.
Several tags are asked one by one and averaged, evenly or by how well each suits the photo.

`Literal` is the paper's text taken at its word: one text vector asks *one* image vector. The softmax over a
single key is 1, so whatever asks, the answer is the same. A test shows it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from evaluation.aesthetic.rated import MARKS
from training.kit.networks.attention import Attention

MEAN_SCORE = 5.4  # of AVA: where an untrained score begins
TOKEN_DIM, ALIGN_DIM = 320, 512
HEADS = 4


class Answers(nn.Module):
    """From what a tag found, and the whole photo, to the score and the logits of ten bins."""

    def __init__(self, width: int, hidden: int, drop: float) -> None:
        super().__init__()
        self.hidden = nn.Linear(width, hidden)
        self.deeper = nn.Linear(hidden, hidden)
        self.drop = nn.Dropout(drop)
        self.score = nn.Linear(hidden, 1)
        self.bins = nn.Linear(hidden, MARKS)
        nn.init.constant_(self.score.bias, MEAN_SCORE)

    def forward(self, found: Tensor) -> tuple[Tensor, Tensor]:
        """f32 [...,width] -> score f32 [...], logits f32 [...,10]."""
        hidden = self.drop(functional.gelu(self.hidden(self.drop(found))))
        hidden = hidden + self.drop(functional.gelu(self.deeper(hidden)))
        return self.score(hidden).squeeze(-1), self.bins(hidden)


class TagAesthetic(nn.Module):
    """Cross-attention of tags over tokens. reads_tags: False makes the null token the only query (the row
    without text).

    attentive: several tags are weighed by their cosine to the photo and a learned factor, not evenly.
    """

    def __init__(
        self,
        width: int = 128,
        hidden: int = 192,
        drop: float = 0.2,
        *,
        reads_tags: bool = True,
        attentive: bool = False,
    ) -> None:
        super().__init__()
        self.reads_tags, self.attentive = reads_tags, attentive
        self.mean: Tensor
        self.spread: Tensor
        self.register_buffer("mean", torch.zeros(TOKEN_DIM))
        self.register_buffer("spread", torch.ones(TOKEN_DIM))
        self.token = nn.Linear(TOKEN_DIM, width)
        self.align = nn.Linear(ALIGN_DIM, width)
        self.query = nn.Linear(ALIGN_DIM, width)
        self.null = nn.Parameter(torch.randn(width) * 0.1)
        self.attention = Attention(width, HEADS)
        self.norm = nn.LayerNorm(width)
        self.photo_match, self.tag_match = nn.Linear(ALIGN_DIM, width), nn.Linear(ALIGN_DIM, width)
        self.tag_match.load_state_dict(self.photo_match.state_dict())
        self.answers = Answers(3 * width, hidden, drop)
        self.factor = nn.Parameter(torch.zeros(()))

    def standardise(self, tokens: Tensor) -> None:
        """Learns mean and spread of every channel from tokens [n,T,320]."""
        flat = tokens.float().flatten(0, 1)
        self.mean.copy_(flat.mean(dim=0))
        self.spread.copy_(flat.std(dim=0).clamp(min=1e-3))

    def look(self, tokens: Tensor, align: Tensor, tag: Tensor, tag_mask: Tensor) -> tuple[Tensor, ...]:
        """Every tag's own answer: score f32 [N,K], logits f32 [N,K,10], weight f32 [N,K] of sum 1.

        Where no tag is present the first place holds the null token's answer.
        """
        keys = functional.gelu(self.token((tokens.float() - self.mean) / self.spread))  # [N,T,d]
        queries, present, asked = self._queries(tag, tag_mask)  # [N,K,d], [N,K], [N,K]
        every = torch.ones_like(keys[:, :, 0])  # no token is absent
        found = self.norm(queries + self.attention(queries, keys, every))
        whole = functional.gelu(self.align(align * ALIGN_DIM**0.5)).unsqueeze(1)  # [N,1,d]
        match = self.match(align, tag) * asked.unsqueeze(2)  # [N,K,d]
        score, logits = self.answers(torch.cat([found, whole.expand_as(found), match], dim=2))
        weight = present
        if self.attentive:
            cosine = (tag * align.unsqueeze(1)).sum(dim=2)
            weight = present * (self.factor * cosine).exp()
        return score, logits, weight / weight.sum(dim=1, keepdim=True)

    def match(self, align: Tensor, tag: Tensor) -> Tensor:
        """How photos and tags agree in each of d directions: f32 [N,K,d]. The sum begins as a cosine."""
        photo = self.photo_match(align * ALIGN_DIM**0.5).unsqueeze(1)
        return photo * self.tag_match(tag * ALIGN_DIM**0.5)

    def _queries(self, tag: Tensor, tag_mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries f32 [N,K,d]; which are present f32 [N,K], at least one; which of these are tags."""
        present = (tag_mask > 0.5).to(tag.dtype)
        if not self.reads_tags:
            present = torch.zeros_like(present)
        untagged = 1 - present.amax(dim=1, keepdim=True)  # [N,1]
        first = torch.cat([untagged, torch.zeros_like(present[:, 1:])], dim=1)  # [N,K]
        asked = self.query(tag * ALIGN_DIM**0.5)
        return torch.where(first.unsqueeze(2) > 0.5, self.null, asked), present + first, present

    def forward(self, tokens: Tensor, align: Tensor, tag: Tensor, tag_mask: Tensor) -> tuple[Tensor, Tensor]:
        """Score f32 [N,1] in 1-10 and distribution f32 [N,10] of all tags together: what is served.

        Triton knows no output that is a single number of each item, hence the last axis of the score.
        """
        score, logits, weight = self.look(tokens, align, tag, tag_mask)
        distribution = (logits.softmax(dim=2) * weight.unsqueeze(2)).sum(dim=1)
        return (score * weight).sum(dim=1, keepdim=True).clamp(1, MARKS), distribution


class Literal(nn.Module):
    """One text vector asks one image vector. The residual is the image's: that of the text would let it in
    by a door that the attention does not know."""

    def __init__(self, width: int = 128, hidden: int = 192, drop: float = 0.2) -> None:
        super().__init__()
        self.image = nn.Linear(ALIGN_DIM, width)
        self.text = nn.Linear(ALIGN_DIM, width)
        self.attention = Attention(width, HEADS)
        self.norm = nn.LayerNorm(width)
        self.answers = Answers(width, hidden, drop)

    def look(self, _tokens: Tensor, align: Tensor, tag: Tensor, tag_mask: Tensor) -> tuple[Tensor, ...]:
        """As of `TagAesthetic`."""
        key = functional.gelu(self.image(align * ALIGN_DIM**0.5)).unsqueeze(1)  # [N,1,d]
        queries = self.text(tag * ALIGN_DIM**0.5)  # [N,K,d]
        found = self.norm(key + self.attention(queries, key, torch.ones_like(key[:, :, 0])))
        score, logits = self.answers(found)
        present = (tag_mask > 0.5).to(tag.dtype)
        untagged = 1 - present.amax(dim=1, keepdim=True)
        weight = torch.cat([torch.maximum(present[:, :1], untagged), present[:, 1:]], dim=1)
        return score, logits, weight / weight.sum(dim=1, keepdim=True)


class Regression(nn.Module):
    """The paper's "Previous": EfficientNet and a score, no text. The network is frozen, an MLP is trained on
    its pooled features (f32 [N,1,1280] in the place of the tokens)."""

    def __init__(self, inputs: int = 1280, hidden: int = 256, drop: float = 0.3) -> None:
        super().__init__()
        self.mean: Tensor
        self.spread: Tensor
        self.register_buffer("mean", torch.zeros(inputs))
        self.register_buffer("spread", torch.ones(inputs))
        self.answers = Answers(inputs, hidden, drop)

    def standardise(self, tokens: Tensor) -> None:
        """Learns mean and spread of every feature from [n,1,1280]."""
        flat = tokens.float().flatten(0, 1)
        self.mean.copy_(flat.mean(dim=0))
        self.spread.copy_(flat.std(dim=0).clamp(min=1e-3))

    def look(self, tokens: Tensor, _align: Tensor, _tag: Tensor, tag_mask: Tensor) -> tuple[Tensor, ...]:
        """As of `TagAesthetic`; every tag has the same answer."""
        score, logits = self.answers((tokens[:, 0].float() - self.mean) / self.spread)
        places = tag_mask.shape[1]
        weight = torch.full_like(tag_mask, 1 / places)
        return score[:, None].expand(-1, places), logits[:, None].expand(-1, places, -1), weight
