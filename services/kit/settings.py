"""Settings that every service has. A service's own settings class extends `ServiceSettings`.

A settings object is frozen, read once in `__main__.py` (`load`) and passed on explicitly. Sources, the
first wins: command line (`--max-in-flight 8`), environment (`LUNULA_CROP_MAX_IN_FLIGHT=8`), defaults.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, Self, TypeVar

from pydantic import BaseModel, Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, CliApp, SettingsConfigDict

MiB = 2**20


class ServiceSettings(BaseSettings):
    """The settings of every server. Subclasses set `env_prefix` and a default `port`."""

    model_config = SettingsConfigDict(
        env_prefix="LUNULA_",
        frozen=True,
        extra="forbid",
        cli_kebab_case=True,
        cli_implicit_flags=True,
        cli_avoid_json=True,
        cli_hide_none_type=True,
        cli_parse_none_str="none",
        env_parse_none_str="none",
        protected_namespaces=(),
    )

    host: str = Field("127.0.0.1", description="address to listen on")
    port: int = Field(0, ge=0, le=65535, description="port to listen on; 0 takes a free one")
    metrics_port: int | None = Field(
        None, ge=0, le=65535, description="Prometheus port; 0 takes a free one; none is off"
    )
    reflection: bool = Field(True, description="answer gRPC server reflection")

    max_message_bytes: int = Field(96 * MiB, gt=0, description="largest request or response, in bytes")
    max_in_flight: int = Field(
        64, gt=0, description="calls served at once; more are refused with a retry delay"
    )
    max_in_flight_bytes: int = Field(
        512 * MiB, gt=0, description="bytes of requests in progress; more are refused or held back"
    )
    overload_retry_s: float = Field(0.5, gt=0, description="retry delay sent to refused callers, in seconds")
    stream_stall_s: float = Field(
        5.0, gt=0, description="how long a stream is held back for lack of memory before it is refused"
    )
    default_deadline_s: float = Field(
        30.0, gt=0, description="deadline of calls whose caller sent none, in seconds"
    )
    default_stream_deadline_s: float = Field(
        3600.0, gt=0, description="deadline of streams whose caller sent none, in seconds"
    )
    drain_delay_s: float = Field(
        0.0, ge=0, description="on SIGTERM: seconds between NOT_SERVING and refusing new calls"
    )
    drain_s: float = Field(
        20.0, ge=0, description="on SIGTERM: seconds that running calls may take to finish"
    )
    canary_interval_s: float = Field(10.0, gt=0, description="seconds between readiness checks")
    canary_timeout_s: float = Field(20.0, gt=0, description="longest readiness check, in seconds")

    tls_cert: Path | None = Field(
        None, description="server certificate chain, PEM; with --tls-key switches TLS on"
    )
    tls_key: Path | None = Field(None, description="server private key, PEM")
    tls_client_ca: Path | None = Field(
        None, description="CA of client certificates, PEM; switches mutual TLS on"
    )
    bearer_token: SecretStr | None = Field(None, description="token that callers must send as a bearer token")

    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", description="least level that is logged"
    )
    log_format: Literal["json", "text"] = Field("json", description="one JSON object a line, or plain text")
    otel_endpoint: str | None = Field(None, description="OTLP/gRPC endpoint for spans; none is off")

    backend: Literal["local", "triton", "fake"] = Field(
        "local",
        description="where models run: in this process, on a Triton server, or nowhere (fake outputs)",
    )
    model_repository: Path = Field(Path("triton_models"), description="the model repository")
    triton_url: str = Field("127.0.0.1:8001", description="host:port of the Triton server's gRPC")
    intra_op_threads: int | None = Field(
        None, ge=1, description="threads within one model run (local); none takes the model's own setting"
    )
    max_queue_rows: int = Field(256, gt=0, description="rows that may wait for one model (local)")

    allowed_uri_prefixes: tuple[str, ...] = Field(
        (), description="prefixes of URIs that photos may be read from; empty allows none"
    )

    @model_validator(mode="after")
    def _tls_is_whole(self) -> Self:
        if (self.tls_cert is None) != (self.tls_key is None):
            raise ValueError("tls_cert and tls_key go together")
        if self.tls_client_ca is not None and self.tls_cert is None:
            raise ValueError("tls_client_ca needs tls_cert and tls_key")
        return self


class UpstreamSettings(BaseModel):
    """How a service calls other services: `class RankSettings(ServiceSettings, UpstreamSettings)`."""

    upstream_ca: Path | None = Field(None, description="CA of other services, PEM; switches TLS to them on")
    upstream_cert: Path | None = Field(None, description="client certificate for other services, PEM")
    upstream_key: Path | None = Field(None, description="client private key for other services, PEM")
    upstream_token: SecretStr | None = Field(None, description="bearer token for other services")


S = TypeVar("S", bound=BaseSettings)


def load(cls: type[S], argv: Sequence[str] | None = None) -> S:
    """Read `cls` from the command line (default: the process's) and the environment.

    `--help` prints every setting with its default and meaning, and exits.
    """
    return CliApp.run(cls, cli_args=list(argv) if argv is not None else None)
