"""What every service shares, without any knowledge of nails.

`server/` runs a service, `client/` calls one, `inference/` runs models, `telemetry/` logs, counts and times,
`concurrency/` joins, batches and locks, `wire/` holds the protobuf messages of errors and of `ResponseInfo`.
The modules beside them are values that travel through all of it: errors, deadlines, the running call's scope,
model versions, settings, retries.

A service's `__main__.py` goes from settings to backend to servicer to `run`:

    class CropSettings(ServiceSettings):
        \"\"\"Finds nails and hands in photos and cuts out the nails of one hand.\"\"\"

        model_config = SettingsConfigDict(env_prefix="LUNULA_CROP_")
        port: int = Field(7101, description="port to listen on; 0 takes a free one")


    @asynccontextmanager
    async def build(settings: CropSettings, registry: CollectorRegistry) -> AsyncIterator[list[Service]]:
        backend = build_backend(settings, MODELS, registry=registry)
        try:
            servicer = CropServicer(backend, settings)
            yield [
                Service(
                    name="lunula.crop.v1.CropService",
                    register=lambda server: add_CropServiceServicer_to_server(servicer, server),
                    ready=all_ready(backend, MODELS),
                )
            ]
        finally:
            await backend.close()


    if __name__ == "__main__":
        asyncio.run(run(load(CropSettings), build))

In a servicer: `current_deadline()` (scope.py) goes into `backend.infer`, errors of `errors.py` are simply
raised, an item's error goes out as `to_item_error(error)` (wire/errors.py), `with stage("decode"):`
(telemetry/timings.py) counts time, and `response_info(models)` (wire/response_info.py) fills the response's
`info`; one item of a stream is wrapped in `with collect():` (telemetry/timings.py) so that it has timings of
its own. Tests use `running_server(settings, build)` with port 0.
"""
