"""Datagrams: drained in one wake-up, never blocking, one binder an address."""

import asyncio
import socket

import pytest

from cluster_core.inputs import Datagram, Operator
from cluster_core.outputs import SendDatagram, Subsystem
from refserver.udp import Udp, bind

from .fake_node import FakeNode
from .test_pump import host_of, until


def test_datagrams_come_and_go():
    async def run():
        node = FakeNode()
        host = host_of(node)
        datagrams = Udp(host)
        sock = bind("127.0.0.1", 0)
        here = sock.getsockname()
        datagrams.listen("sip", sock)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
            peer.bind(("127.0.0.1", 0))
            peer.settimeout(5)
            for number in range(100):
                peer.sendto(b"%d" % number, here)
            await until(lambda: len(node.seen) == 100)
            assert node.seen[7] == Datagram("sip", peer.getsockname(), b"7")
            answer = SendDatagram(Subsystem.CALL_MANAGER, "sip", peer.getsockname(), b"hi")
            elsewhere = SendDatagram(Subsystem.CALL_MANAGER, "no such", peer.getsockname(), b"")
            too_large = SendDatagram(Subsystem.CALL_MANAGER, "sip", peer.getsockname(), bytes(70_000))
            name = SendDatagram(Subsystem.CALL_MANAGER, "sip", ("localhost", 9), b"x")
            no_port = SendDatagram(Subsystem.CALL_MANAGER, "sip", ("127.0.0.1", 70_000), b"x")
            outputs = [answer, elsewhere, too_large, name, no_port]
            node.react = lambda now, input, out: out.extend(outputs)
            host.feed(Operator("do"))
            assert peer.recvfrom(10) == (b"hi", here)
            assert datagrams.dropped == 3
        datagrams.end()
        host.stop()

    asyncio.run(run())


def test_an_address_has_one_binder():
    sock = bind("127.0.0.1", 0)
    try:
        with pytest.raises(OSError, match="in use"):
            bind(*sock.getsockname())
    finally:
        sock.close()
