"""Services, check by check."""

from __future__ import annotations

import asyncio

from taphouse import MultiService, Service
from taphouse.app import start_service, stop_service


class Failing(Service):
    def stop(self):
        raise OSError("the disk is gone")


class Quiet(Service):
    def stop(self):
        return None


class Telling(Service):
    async def stop(self):
        return "flushed"


def test_check_43_the_stop_of_many_tells_the_outcome_of_each():
    async def life():
        services = MultiService("many")
        failing, quiet, telling = (
            services.addService(service) for service in (Failing(), Quiet(), Telling())
        )
        await start_service(services)
        outcome = await stop_service(services)
        assert not outcome.children[failing].ok
        assert "the disk is gone" in str(outcome.children[failing].error)
        assert (outcome.children[quiet].ok, outcome.children[quiet].value) == (True, None)
        assert (outcome.children[telling].ok, outcome.children[telling].value) == (True, "flushed")
        assert not any(service.is_running for service in (services, failing, quiet, telling))

    asyncio.run(life())


def test_check_43_the_stop_of_none_completes():
    async def life():
        services = MultiService("none")
        await start_service(services)
        outcome = await stop_service(services)
        assert outcome.ok
        assert outcome.children == {}

    asyncio.run(life())
