"""Serving: a grpc.aio server from start to drain, its health, and what surrounds every call."""

from services.kit.server.lifecycle import Build, RunningServer, Service, run, running_server

__all__ = ["Build", "RunningServer", "Service", "run", "running_server"]
