"""A TCP proxy that cuts each connection somewhere, for tests of what a client makes of it."""

from __future__ import annotations

import asyncio
from random import Random


class CuttingProxy:
    """Carries bytes between clients and a server. Each connection may carry so many octets, then it is cut.

    A cut is an end of file or a reset, in the middle of a frame as often as not. `spare` ends the cutting;
    `stall` keeps the connections and carries nothing more.
    """

    def __init__(self, target: tuple[str, int], random: Random, mean_octets: int = 4_000) -> None:
        self._target = target
        self._random = random
        self._mean = mean_octets
        self._server: asyncio.Server | None = None
        self._writers: dict[asyncio.StreamWriter, None] = {}
        self._tasks: dict[asyncio.Task[None], None] = {}
        self._flowing = asyncio.Event()
        self._flowing.set()
        self.spare = False
        self.cuts = 0
        self.connections = 0
        self.address = ("", 0)

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._accepted, "127.0.0.1", 0)
        self.address = self._server.sockets[0].getsockname()[:2]

    def retarget(self, target: tuple[str, int]) -> None:
        """Connections from now on go there."""
        self._target = target

    def stall(self) -> None:
        self._flowing.clear()

    def flow(self) -> None:
        self._flowing.set()

    def cut(self, clean: bool = False) -> None:
        """Cut every connection now."""
        for writer in list(self._writers):
            if clean:
                writer.close()
            else:
                writer.transport.abort()

    async def close(self) -> None:
        assert self._server is not None
        self._server.close()
        self.flow()
        self.cut()
        if self._tasks:
            await asyncio.wait(list(self._tasks))

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks[task] = None
        self.connections += 1
        self._writers[writer] = None
        try:
            far_reader, far_writer = await asyncio.open_connection(*self._target)
        except OSError:
            writer.transport.abort()
            del self._writers[writer], self._tasks[task]
            return
        self._writers[far_writer] = None
        budget = [int(self._random.expovariate(1 / self._mean))]
        try:
            await asyncio.gather(
                self._carry(reader, far_writer, writer, budget), self._carry(far_reader, writer, far_writer, budget)
            )
        finally:
            del self._writers[writer], self._writers[far_writer], self._tasks[task]

    async def _carry(
        self, reader: asyncio.StreamReader, to: asyncio.StreamWriter, back: asyncio.StreamWriter, budget: list[int]
    ) -> None:
        try:
            while data := await reader.read(65_536):
                await self._flowing.wait()
                if not self.spare and len(data) >= budget[0]:
                    to.write(data[: budget[0]])
                    self.cuts += 1
                    if self._random.random() < 0.5:
                        await to.drain()
                        break
                    to.transport.abort()
                    break
                budget[0] -= len(data)
                to.write(data)
                await to.drain()
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            to.close()
            back.close()
