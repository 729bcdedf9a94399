"""Streams: numbered, bounded, joined writes, slow readers dropped."""

import asyncio
import socket
from contextlib import asynccontextmanager

from cluster_core.inputs import Closed, Opened, Operator, Received, Writable
from cluster_core.limits import Limits
from cluster_core.outputs import Close, Dial, Send, Subsystem
from refserver import streams as module
from refserver.streams import Streams

from .fake_node import FakeNode
from .test_pump import host_of, until

MAIN = Subsystem.MAIN


class Rig:
    def __init__(self, node, host, streams, port):
        self.node, self.host, self.streams, self.port = node, host, streams, port
        self.writers = []

    async def connect(self):
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        self.writers.append(writer)
        return reader, writer

    def do(self, *outputs):
        """Let the node put these out."""
        self.node.react = lambda now, input, out: out.extend(outputs if isinstance(input, Operator) else ())
        self.host.feed(Operator("do"))


@asynccontextmanager
async def rig(**limits):
    node = FakeNode()
    host = host_of(node)
    streams = Streams(host, Limits(**limits))
    sock = socket.create_server(("127.0.0.1", 0))
    await streams.listen("tlib", sock)
    made = Rig(node, host, streams, sock.getsockname()[1])
    try:
        yield made
    finally:
        for writer in made.writers:
            writer.transport.abort()
        await streams.end()
        host.stop()


def test_an_accepted_stream_gets_an_even_number_and_bytes_pass_both_ways():
    async def run():
        async with rig() as r:
            reader, writer = await r.connect()
            writer.write(b"hello")
            assert await reader.readexactly(5) == b"hello"
            opened, received = r.node.seen
            assert (opened.conn, opened.listener, opened.loopback) == (2, "tlib", True)
            assert opened.peer == f"127.0.0.1:{writer.get_extra_info('sockname')[1]}"
            assert received == Received(2, b"hello")
            writer.close()
            await until(lambda: r.node.of(Closed) == [Closed(2, "closed by the peer")])

    asyncio.run(run())


def test_chunks_of_one_pass_are_written_together():
    async def run():
        async with rig() as r:
            reader, _writer = await r.connect()
            await until(lambda: r.streams.table)
            written = []
            transport = r.streams.table[2].transport
            real = transport.write
            r.streams.table[2].transport = Spy(transport, lambda data: (written.append(data), real(data)))
            r.do(Send(MAIN, (2, 4), (b"a", b"b")), Send(MAIN, (2,), (b"c",)))
            assert await reader.readexactly(3) == b"abc"
            assert written == [b"abc"]

    asyncio.run(run())


class Spy:
    def __init__(self, transport, write):
        self._transport, self.write = transport, write

    def __getattr__(self, name):
        return getattr(self._transport, name)


def test_close_lets_what_was_sent_leave_and_tells_the_node_no_more():
    async def run():
        async with rig() as r:
            reader, _writer = await r.connect()
            await until(lambda: r.streams.table)
            r.do(Send(MAIN, (2,), (b"bye",)), Close(MAIN, 2, "done"), Close(MAIN, 2, "again"))
            assert await reader.read() == b"bye"
            await asyncio.sleep(0.01)
            assert r.node.of(Closed) == []
            assert r.streams.table == {}

    asyncio.run(run())


def test_a_closed_stream_whose_peer_does_not_read_is_cut(monkeypatch):
    monkeypatch.setattr(module, "LINGER_S", 0.05)

    async def run():
        async with rig(write_queue_bytes=100_000_000) as r:
            _reader, writer = await r.connect()
            writer.transport.pause_reading()
            await until(lambda: r.streams.table)
            r.do(Send(MAIN, (2,), (bytes(30_000_000),)), Close(MAIN, 2, "done"))
            assert r.streams._closing
            await until(lambda: not r.streams._closing)

    asyncio.run(run())


def test_a_slow_reader_is_marked_and_then_dropped():
    async def run():
        async with rig(write_queue_bytes=20_000_000) as r:
            _reader, writer = await r.connect()
            writer.transport.pause_reading()
            await until(lambda: r.streams.table)
            r.do(Send(MAIN, (2,), (bytes(15_000_000),)))
            await until(lambda: r.node.of(Writable))
            assert r.node.of(Writable)[0].queued > module.HIGH_MARK
            r.do(Send(MAIN, (2,), (bytes(15_000_000),)))
            await until(lambda: r.node.of(Closed) == [Closed(2, "slow consumer")])
            assert r.host.fault_kinds == {"slow consumer": 1}
            r.do(Send(MAIN, (2,), (b"nobody",)))

    asyncio.run(run())


def test_a_reader_that_catches_up_is_marked_again():
    async def run():
        async with rig(write_queue_bytes=50_000_000) as r:
            reader, writer = await r.connect()
            writer.transport.pause_reading()
            await until(lambda: r.streams.table)
            r.do(Send(MAIN, (2,), (bytes(15_000_000),)))
            await until(lambda: r.node.of(Writable))
            writer.transport.resume_reading()
            await reader.readexactly(15_000_000)
            await until(lambda: len(r.node.of(Writable)) == 2)
            assert r.node.of(Writable)[1].queued == 0

    asyncio.run(run())


def test_a_rest_below_the_low_mark_counts_as_read_for_nothing_tells_of_its_end(monkeypatch):
    async def run():
        async with rig() as r:
            await r.connect()
            await until(lambda: r.streams.table)
            stream = r.streams.table[2]
            monkeypatch.setattr(type(stream), "queued", module.LOW_MARK - 1)
            stream.resume_writing()
            await until(lambda: r.node.of(Writable))
            assert r.node.of(Writable) == [Writable(2, 0)]

    asyncio.run(run())


def test_a_stream_above_the_limit_is_closed_at_once():
    async def run():
        async with rig(connections=2) as r:
            keep = [await r.connect(), await r.connect()]
            await until(lambda: len(r.streams.table) == 2)
            reader, _writer = await r.connect()
            assert await reader.read() == b""
            assert r.streams.refused == 1
            assert len(r.node.of(Opened)) == 2
            keep[0][1].close()
            await until(lambda: len(r.streams.table) == 1)
            await r.connect()
            await until(lambda: len(r.streams.table) == 2)

    asyncio.run(run())


def test_a_dial_that_opens_and_one_that_fails():
    async def run():
        async with rig() as r:
            r.do(Dial(MAIN, 1, f"127.0.0.1:{r.port}"))
            await until(lambda: len(r.node.of(Opened)) == 2)
            assert sorted((o.conn, o.listener) for o in r.node.of(Opened)) == [(1, "dial"), (2, "tlib")]
            with socket.create_server(("127.0.0.1", 0)) as free:
                nobody = free.getsockname()[1]
            r.do(Dial(MAIN, 3, f"127.0.0.1:{nobody}"), Dial(MAIN, 5, "nonsense"))
            await until(lambda: len(r.node.of(Closed)) == 2)
            assert sorted(c.conn for c in r.node.of(Closed)) == [3, 5]

    asyncio.run(run())


def test_a_dial_given_up_is_silent():
    async def run():
        async with rig() as r:
            r.do(Dial(MAIN, 1, f"127.0.0.1:{r.port}"), Close(MAIN, 1, "not wanted"))
            await asyncio.sleep(0.02)
            assert [o.conn for o in r.node.of(Opened) if o.listener == "dial"] == []
            assert [c for c in r.node.of(Closed) if c.conn == 1] == []

    asyncio.run(run())


def test_bytes_after_a_close_are_dropped():
    async def run():
        async with rig() as r:
            _reader, writer = await r.connect()
            await until(lambda: r.streams.table)
            stream = r.streams.table[2]
            r.do(Close(MAIN, 2, "done"))
            stream.data_received(b"late")
            stream.pause_writing()
            assert r.node.of(Received) == []
            writer.close()

    asyncio.run(run())
