"""Who answers and where the answers go: the options that the commands of this package share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training.describe.models.endpoint import Endpoint, EndpointSettings
from training.describe.models.question import RunError
from training.describe.store import Store


@dataclass(frozen=True, kw_only=True)
class Answering:
    """Who answers and where the answers go: what the three commands share.

    With --by endpoint, the key is read from LUNULA_ENDPOINT_API_KEY, and every setting from LUNULA_ENDPOINT_*
    where it is not given here.
    """

    out: Path
    """answers, .jsonl; those in it are kept"""
    limit: int | None = None
    """ask about the first so many only"""
    again: bool = False
    """ask again where there was an error before"""
    max_tokens: int | None = None
    """longest answer (400; of a judge 60); thinking takes more"""
    model: str = ""
    """name at the endpoint; or folder or hub name of the local model"""
    base_url: str | None = None
    """with --by endpoint: any OpenAI-compatible server, "https://host/v1\""""
    parallel: int | None = None
    """with --by endpoint: calls at the same time (4)"""
    timeout: float | None = None
    """with --by endpoint: of a call, s (120)"""
    revision: str = ""
    """with --by qwen (Qwen2.5-VL or Qwen3-VL on this machine): commit of a model of the hub"""
    download: bool = False
    """with --by qwen: fetch it from the hub if it is not here"""
    device: str = ""
    """with --by qwen: cuda, cpu (cuda where there is one)"""
    batch: int = 4
    """with --by qwen: photos a pass"""

    def open_store(self) -> Store:
        """The file of answers."""
        store = Store(self.out)
        if self.again:
            store.forget_errors()
        return store

    def answer_length(self) -> dict[str, int]:
        """`max_tokens` where it is given."""
        return {} if self.max_tokens is None else {"max_tokens": self.max_tokens}

    def connect(self) -> Endpoint:
        """The endpoint. Raises ValidationError where a setting is missing or wrong."""
        given: dict[str, Any] = {
            "base_url": self.base_url,
            "model": self.model or None,
            "parallel": self.parallel,
            "timeout_s": self.timeout,
        }
        return Endpoint(
            EndpointSettings(**{name: value for name, value in given.items() if value is not None})
        )

    def load_qwen(self) -> Any:
        """The local model. Raises ValueError without a name and RunError without what it runs on."""
        if not self.model:
            raise ValueError("--by qwen needs --model: a folder, or a name of the hub with --revision")
        try:
            from training.describe.models.qwen import load_qwen
        except ImportError as error:
            raise RunError(f"--by qwen needs the training environment: {error}") from error
        return load_qwen(
            self.model,
            revision=self.revision,
            download=self.download,
            device=self.device,
            batch=self.batch,
        )
