"""A server from its first readiness check to its graceful end: health, drain, tokens, TLS, metrics."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from lunula.crop.v1 import crop_service_pb2 as pb
from lunula.crop.v1 import crop_service_pb2_grpc as pb_grpc
from services.kit.client import ClientTls, call, connect, is_serving
from services.kit.errors import LunulaError, Unauthenticated, Unavailable
from services.kit.retry import Backoff

CROP = "lunula.crop.v1.CropService"
SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
ONCE = Backoff(attempts=1)
REQUEST = pb.CropImagesRequest(photos=[{"data": b"x"}])


def crop_images(channel: grpc.aio.Channel) -> Any:
    return pb_grpc.CropServiceStub(channel).CropImages


async def test_health_follows_the_readiness_check_both_ways(crops: Any) -> None:
    crops.servicer.ready = False
    async with crops() as server, connect(server.address) as channel:
        watch = health_pb2_grpc.HealthStub(channel).Watch(
            health_pb2.HealthCheckRequest(service=CROP), timeout=30
        )
        states = [(await watch.read()).status]
        for ready in (True, False, True):
            crops.servicer.ready = ready
            states.append((await watch.read()).status)
        assert states == [NOT_SERVING, SERVING, NOT_SERVING, SERVING]
        assert await is_serving(channel)
        assert await is_serving(channel, CROP)
        watch.cancel()


@pytest.mark.parametrize("broken", [RuntimeError("the model server is gone"), None])
async def test_a_readiness_check_that_raises_or_hangs_is_not_ready_until_it_recovers(
    crops: Any, broken: Exception | None
) -> None:
    async with crops(canary_timeout_s=0.01) as server, connect(server.address) as channel:
        await server.until_serving()
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(), timeout=30)
        states = []
        for ready in (True, broken, True):
            crops.servicer.ready = ready
            states.append((await watch.read()).status)
        assert states == [SERVING, NOT_SERVING, SERVING]
        watch.cancel()


async def test_an_unknown_service_is_not_found_by_health(crops: Any) -> None:
    async with crops() as server, connect(server.address) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.Check(health_pb2.HealthCheckRequest(service="lunula.toes"), timeout=10)
        assert caught.value.code() == grpc.StatusCode.NOT_FOUND
        watch = stub.Watch(health_pb2.HealthCheckRequest(service="lunula.toes"), timeout=10)
        assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
        watch.cancel()


async def test_two_watchers_of_one_service_are_both_told(crops: Any) -> None:
    crops.servicer.ready = False
    async with crops() as server, connect(server.address) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        watches = [stub.Watch(health_pb2.HealthCheckRequest(), timeout=30) for _ in range(2)]
        assert [(await watch.read()).status for watch in watches] == [NOT_SERVING] * 2
        crops.servicer.ready = True
        assert [(await watch.read()).status for watch in watches] == [SERVING] * 2
        for watch in watches:
            watch.cancel()


async def test_draining_says_not_serving_finishes_what_runs_and_closes_the_rest(crops: Any) -> None:
    release = asyncio.Event()
    crops.servicer.script = lambda _message: release.wait()
    async with crops(drain_s=30) as server, connect(server.address) as channel:
        await server.until_serving()
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(), timeout=30)
        assert (await watch.read()).status == SERVING
        running = asyncio.create_task(call(crop_images(channel), REQUEST, timeout=30))
        await crops.servicer.entered.wait()
        draining = asyncio.create_task(server.drain())
        assert (await watch.read()).status == NOT_SERVING
        assert await watch.read() == grpc.aio.EOF  # a watcher does not hold the server up
        async with connect(server.address) as late:
            with pytest.raises(Unavailable):
                await call(crop_images(late), REQUEST, timeout=5, backoff=ONCE)
        assert not draining.done()
        assert not crops.closed
        release.set()
        assert len((await running).items) == 1
        await draining
    assert crops.closed


async def test_what_does_not_finish_within_the_grace_is_cancelled(crops: Any) -> None:
    crops.servicer.script = lambda _message: asyncio.Event().wait()
    async with crops(drain_s=0.01) as server, connect(server.address) as channel:
        running = asyncio.create_task(call(crop_images(channel), REQUEST, timeout=30, backoff=ONCE))
        await crops.servicer.entered.wait()
        await server.drain()
        assert crops.servicer.cancelled.is_set()
        with pytest.raises(LunulaError):
            await running


async def test_a_missing_or_wrong_token_is_refused_and_the_right_one_accepted(crops: Any) -> None:
    async with crops(bearer_token="s3cret") as server:
        await server.until_serving()
        for token, reason in ((None, "TOKEN_MISSING"), ("other", "TOKEN_WRONG")):
            async with connect(server.address, token=token) as channel:
                with pytest.raises(Unauthenticated) as caught:
                    await call(crop_images(channel), REQUEST, timeout=10)
                assert caught.value.reason == reason
                assert await is_serving(channel)  # probes know no token
        assert crops.servicer.calls == 0
        async with connect(server.address, token="s3cret") as channel:
            assert len((await call(crop_images(channel), REQUEST, timeout=10)).items) == 1
            method = pb_grpc.CropServiceStub(channel).StreamCrops
            streamed = method(timeout=10)
            await streamed.write(pb.StreamCropsRequest(item_id="a"))
            assert (await streamed.read()).item_id == "a"
            await streamed.done_writing()
            assert await streamed.read() == grpc.aio.EOF


async def test_reflection_names_the_services_unless_it_is_off(crops: Any) -> None:
    request = reflection_pb2.ServerReflectionRequest(list_services="")
    async with crops() as server, connect(server.address) as channel:
        method = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo
        async for answer in method(iter([request]), timeout=10):
            names = {service.name for service in answer.list_services_response.service}
        assert {CROP, "grpc.health.v1.Health"} <= names
    async with crops(reflection=False) as server, connect(server.address) as channel:
        method = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            async for _ in method(iter([request]), timeout=10):
                pass
        assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED


async def test_metrics_can_be_scraped_on_their_own_port(crops: Any) -> None:
    async with crops(metrics_port=0) as server, connect(server.address) as channel:
        await call(crop_images(channel), REQUEST, timeout=10)
        url = f"http://127.0.0.1:{server.metrics_port}/metrics"
        with await asyncio.to_thread(urllib.request.urlopen, url) as page:
            text = page.read().decode()
    method = 'method="/lunula.crop.v1.CropService/CropImages"'
    assert f'lunula_rpc_handled_total{{code="OK",{method}}} 1.0' in text
    assert f'lunula_stage_seconds_count{{{method},stage="decode"}} 1.0' in text
    assert "lunula_rpc_in_flight 0.0" in text


async def test_metrics_can_be_off(crops: Any) -> None:
    async with crops(metrics_port=None) as server:
        assert server.metrics_port is None


async def test_a_second_server_on_the_same_port_fails(crops: Any) -> None:
    async with crops() as server:
        with pytest.raises(RuntimeError):
            async with crops(port=server.port):
                pass


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CA, a server certificate for localhost and a client certificate, made by openssl."""
    folder = tmp_path_factory.mktemp("pki")

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    try:
        openssl("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=test ca")
    except FileNotFoundError:
        pytest.skip("openssl is not installed")
    (folder / "san").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
    for name in ("server", "client"):
        openssl("req", *key, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        openssl(
            *("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key"),
            *("-CAcreateserial", "-out", f"{name}.pem", "-extfile", "san"),
        )
    return folder


async def test_tls_is_spoken_when_it_is_set_and_nothing_else(crops: Any, pki: Path) -> None:
    async with crops(tls_cert=pki / "server.pem", tls_key=pki / "server.key") as server:
        async with connect(server.address, tls=ClientTls(ca=pki / "ca.pem"), token="t") as channel:
            assert len((await call(crop_images(channel), REQUEST, timeout=10)).items) == 1
        async with connect(server.address) as channel:
            with pytest.raises(Unavailable):
                await call(crop_images(channel), REQUEST, timeout=10, backoff=ONCE)


async def test_mutual_tls_refuses_callers_without_a_certificate(crops: Any, pki: Path) -> None:
    async with crops(
        tls_cert=pki / "server.pem", tls_key=pki / "server.key", tls_client_ca=pki / "ca.pem"
    ) as server:
        accepted = ClientTls(ca=pki / "ca.pem", cert=pki / "client.pem", key=pki / "client.key")
        async with connect(server.address, tls=accepted) as channel:
            assert len((await call(crop_images(channel), REQUEST, timeout=10)).items) == 1
        async with connect(server.address, tls=ClientTls(ca=pki / "ca.pem")) as channel:
            with pytest.raises(Unavailable):
                await call(crop_images(channel), REQUEST, timeout=10, backoff=ONCE)


PROGRAM = """
import asyncio
from contextlib import asynccontextmanager
from services.kit.server import Service, run
from services.kit.settings import ServiceSettings, load

async def ready():
    return True

@asynccontextmanager
async def build(settings, registry):
    yield [Service("lunula.test", lambda server: None, ready)]
    print("closed", flush=True)

asyncio.run(run(load(ServiceSettings), build))
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_drains_the_process_and_it_exits_cleanly(number: signal.Signals, root: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=root,
    )
    assert process.stderr is not None
    for line in process.stderr:
        if '"listening"' in line:
            break
    process.send_signal(number)
    out, rest = process.communicate(timeout=60)
    assert (process.returncode, out) == (0, "closed\n")
    assert '"drained"' in rest
    assert "Traceback" not in rest
