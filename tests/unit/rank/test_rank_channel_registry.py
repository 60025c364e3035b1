"""The registry of channels: the contract, the settings and the evaluation know the same channels."""

from __future__ import annotations

import pytest

from evaluation.retrieval.channel_weights import PRESENT
from lunula.rank.v1 import rank_service_pb2 as pb
from services.rank.search.channels import CHANNELS, DEFAULT_WEIGHTS, MAPS
from services.rank.settings import RankSettings


def test_the_contract_has_a_weight_for_every_channel_and_no_other() -> None:
    assert [field.name for field in pb.ChannelWeights.DESCRIPTOR.fields] == list(CHANNELS)


def test_the_evaluation_starts_from_what_is_served() -> None:
    assert dict(PRESENT.weights) == {name: DEFAULT_WEIGHTS[name] for name in PRESENT.weights}
    assert PRESENT.scale.maps() == {name: MAPS[name] for name in PRESENT.weights}


def test_settings_change_the_weights_that_they_name() -> None:
    assert RankSettings().channel_weights() == dict(DEFAULT_WEIGHTS)
    assert RankSettings(weights={"palette": 0.5}).channel_weights() == {**DEFAULT_WEIGHTS, "palette": 0.5}


@pytest.mark.parametrize(
    "weights",
    [{"smell": 1.0}, {"design": -1.0}, {"design": float("nan")}, dict.fromkeys(DEFAULT_WEIGHTS, 0.0)],
)
def test_weights_that_make_no_sense_are_refused(weights: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="weights"):
        RankSettings(weights=weights)
