"""The channels of a search, in the order of their terms. `base` says what a channel is and how to add one."""

from __future__ import annotations

from collections.abc import Mapping

from services.rank.search.channels.base import Channel
from services.rank.search.channels.description import DescriptionChannel
from services.rank.search.channels.design import DesignChannel
from services.rank.search.channels.palette import PaletteChannel
from services.rank.search.channels.reference import ReferenceChannel

CHANNELS: Mapping[str, Channel] = {
    channel.name: channel
    for channel in (DesignChannel(), DescriptionChannel(), PaletteChannel(), ReferenceChannel())
}
MAPS = {name: channel.map for name, channel in CHANNELS.items()}
DEFAULT_WEIGHTS: Mapping[str, float] = {name: channel.default_weight for name, channel in CHANNELS.items()}
