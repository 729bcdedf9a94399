"""The DNS' host: what the scripted server says comes as values, what it does not say as nothing."""

import asyncio

import pytest

from cluster_core.coordinator_records import Release
from cluster_core.dns_records import Found, Lookup
from cluster_core.inputs import Answered, Operator
from cluster_core.outputs import Ask, Subsystem
from cluster_core.settings import ClusterSettings, DnSettings, DnType
from refserver import dns as dns_module
from refserver.dns import Names, needed
from refserver.errors import Refused
from refserver.pump import Clock, Host
from sip_proto import Naptr, Srv
from tests.dns_server import serving

from .fake_node import FakeNode
from .test_pump import until

ZONE = {
    ("gw.test.", "NAPTR"): ['10 0 "s" "SIP+D2T" "" _sip._tcp.gw.test.'],
    ("_sip._tcp.gw.test.", "SRV"): ["10 5 5070 a.gw.test."],
    ("a.gw.test.", "A"): ["192.0.2.7"],
    ("a.gw.test.", "AAAA"): ["2001:db8::7"],
}


def settings(contact="sip:gw.test", *name_servers):
    trunk = DnSettings(dn="pstn", type=DnType.TRUNK, prefix="9", contact=contact)
    return ClusterSettings(name="c", realm="c", nodes=(), dns={"pstn": trunk}, name_servers=name_servers)


class Asking:
    """A node that looks names up."""

    def __init__(self, address, contact="sip:gw.test"):
        loop = asyncio.get_running_loop()
        self.node = FakeNode()
        self.host = Host("n1", self.node, loop, Clock(loop), on_fault=lambda *_: None)
        self.others = []
        self.host.performers[Ask] = self.others.append
        self.names = Names(settings(contact, f"{address[0]}:{address[1]}"))
        self.names.serve(self.host)
        self.number = 0

    def ask(self, what):
        self.number += 1
        ask = Ask(Subsystem.TRANSPORT, self.number, what)
        self.node.react = lambda now, input, out: out.extend([ask] if type(input) is Operator else [])
        self.host.feed(Operator("ask"))

    async def answer(self, name, kind):
        self.ask(Lookup(name, kind))
        await until(lambda: self.node.of(Answered) and self.node.of(Answered)[-1].request == self.number)
        return self.node.of(Answered)[-1].result


def test_records_of_each_kind_come_with_their_time():
    async def run():
        async with serving(ZONE) as server:
            asking = Asking(server.address)
            minute = 60_000_000
            pointer = Naptr(10, 0, "s", "SIP+D2T", "_sip._tcp.gw.test.")
            assert await asking.answer("gw.test", "NAPTR") == Found(minute, pointers=(pointer,))
            service = Srv(10, 5, 5070, "a.gw.test.")
            assert await asking.answer("_sip._tcp.gw.test", "SRV") == Found(minute, services=(service,))
            assert await asking.answer("a.gw.test", "A") == Found(minute, addresses=("192.0.2.7",))
            assert await asking.answer("a.gw.test", "AAAA") == Found(minute, addresses=("2001:db8::7",))

    asyncio.run(run())


def test_nothing_holds_as_long_as_the_zone_says_and_a_failure_is_no_answer():
    async def run():
        async with serving(ZONE) as server:
            asking = Asking(server.address)
            assert await asking.answer("gw.test", "SRV") == Found(30_000_000)
            assert await asking.answer("other.test", "A") == Found(30_000_000)
            server.refused.append("A")
            assert await asking.answer("a.gw.test", "A") is None

    asyncio.run(run())


def test_a_question_for_the_coordinator_goes_there_and_the_end_waits_for_nobody():
    async def run():
        async with serving(ZONE) as server:
            asking = Asking(server.address)
            asking.ask(Release("1001", 1))
            assert [ask.what for ask in asking.others] == [Release("1001", 1)]
            server.silent.append("A")
            asking.ask(Lookup("a.gw.test", "A"))
            await until(lambda: server.asked)
            await asking.names.end()
            assert not asking.node.of(Answered)

    asyncio.run(run())


def test_a_cluster_of_addresses_needs_no_name_server_and_answers_nothing():
    async def run():
        assert not needed(settings("sip:192.0.2.1"))
        assert not needed(settings("*"))
        asking = Asking(("127.0.0.1", 9), "sip:192.0.2.1")
        assert await asking.answer("gw.test", "A") is None

    asyncio.run(run())


def test_a_host_name_is_refused_without_dnspython_and_without_name_servers(monkeypatch):
    import dns.asyncresolver
    import dns.resolver

    def no_servers(configure):
        raise dns.resolver.NoResolverConfiguration("no file")

    monkeypatch.setattr(dns.asyncresolver, "Resolver", no_servers)
    with pytest.raises(Refused, match="no name server"):
        Names(settings())
    monkeypatch.setattr(dns_module, "is_served", lambda: False)
    with pytest.raises(Refused, match="needs dnspython"):
        Names(settings())
    assert Names(settings("sip:192.0.2.1"))
