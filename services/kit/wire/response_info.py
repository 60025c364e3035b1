"""The `info` of a response, written and read."""

from __future__ import annotations

from collections.abc import Iterable

from lunula.type.v1 import response_info_pb2
from services.kit.models import ModelVersion
from services.kit.scope import current_scope
from services.kit.telemetry.timings import current


def response_info(
    models: Iterable[ModelVersion] = (),
) -> response_info_pb2.ResponseInfo:
    """The `info` of a response: request id, applied default deadline, stage timings so far, `models`.

    Inside `timings.collect()` (one item of a stream) the timings are that item's.
    """
    scope = current_scope()
    return response_info_pb2.ResponseInfo(
        request_id=scope.request_id if scope is not None else "",
        models=[
            response_info_pb2.ModelVersion(
                name=model.name, version=model.version, fingerprint=model.fingerprint
            )
            for model in models
        ],
        timings=[
            response_info_pb2.StageTiming(stage=name, milliseconds=milliseconds)
            for name, milliseconds in current().milliseconds().items()
        ],
        default_deadline_ms=scope.default_deadline_ms if scope is not None else 0,
    )


def read_models(info: response_info_pb2.ResponseInfo) -> tuple[ModelVersion, ...]:
    """The models that another service's response names, in its order."""
    return tuple(ModelVersion(model.name, model.version, model.fingerprint) for model in info.models)
