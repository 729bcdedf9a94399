"""Registrations of DNs, alike on the three ports that have them; each request is answered once."""

from __future__ import annotations

import msgspec
import pytest

from cluster_core.settings import ClientRole, ClusterOptions, DnSettings, DnType
from tests.cluster_core.alone import DNS, Alone, settings
from tests.sim.cluster import Cluster
from tlib_proto import Attribute, ErrorCode, MessageType

PORTS = (
    ("URS", ClientRole.ROUTER, "tlib"),
    ("Desk", ClientRole.DESKTOP, "tcontroller"),
    ("SFS", ClientRole.SMART, "tcontroller"),
    ("Stat", ClientRole.MONITOR, "smartproxy"),
)
REGISTER, UNREGISTER = MessageType.RequestRegisterAddress, MessageType.RequestUnregisterAddress


def narrow() -> Alone:
    """A node whose applications have the rights on 1001 and 8000 alone, with a service beside its DNs."""
    service = DnSettings(dn="service", type=DnType.VOIP_SERVICE)
    clients = tuple(msgspec.structs.replace(c, dns=("1001", "8000", "service")) for c in settings().clients)
    return Alone(dns={dn.dn: dn for dn in (*DNS, service)}, clients=clients)


@pytest.mark.parametrize(("name", "role", "port"), PORTS)
def test_a_registration_is_answered_by_the_dns_state_or_by_what_is_wrong_with_it(name, role, port):
    program = narrow().program(name, role, port)
    for dn, wrong in (
        ("1001", 0),
        ("8000", 0),
        ("1001", 0),
        ("1002", ErrorCode.PRIVILEGE_DEVICE),
        ("4711", ErrorCode.NOT_CONFIGURED),
        ("service", ErrorCode.NOT_CONFIGURED),
        ("", ErrorCode.INVALID_ATTR),
    ):
        answer = program.ask(REGISTER, ThisDN=dn)
        assert answer.number(Attribute.ErrorCode) == wrong, (dn, answer)
        assert (answer.id == MessageType.EventRegistered) == (not wrong)


@pytest.mark.parametrize(("name", "role", "port"), PORTS)
def test_a_registration_is_taken_back_once(name, role, port):
    program = Alone().program(name, role, port, "1001")
    assert program.ask(UNREGISTER, ThisDN="1001").id == MessageType.EventUnregistered
    assert program.ask(UNREGISTER, ThisDN="1001").number(Attribute.ErrorCode) == ErrorCode.NOT_REGISTERED
    assert program.ask(UNREGISTER).number(Attribute.ErrorCode) == ErrorCode.INVALID_ATTR


@pytest.mark.parametrize(("name", "role", "port"), PORTS)
def test_registrations_have_a_bound(name, role, port):
    limits = msgspec.structs.replace(settings().limits, registrations_per_client=1)
    program = Alone(limits=limits).program(name, role, port, "1001")
    assert program.ask(REGISTER, ThisDN="1002").number(Attribute.ErrorCode) == ErrorCode.SERVICE_BUSY


def test_a_registration_that_waits_is_answered_though_it_was_taken_back_meanwhile():
    pstn = DnSettings(dn="7001", type=DnType.EXTENSION, contact="sip:7001@192.0.2.200")
    alone = Alone(
        dns={dn.dn: dn for dn in (*DNS, pstn)},
        options=ClusterOptions(dn_owner_applications=("Desk",)),
        clients=(msgspec.structs.replace(settings().clients[1], secret=""),),
    )
    alone.node._clients.may_own = lambda client: True
    alone.answering = False
    desk = alone.program("Desk", ClientRole.DESKTOP, "tcontroller")
    first = desk.send(REGISTER, ThisDN="7001")
    last = desk.send(UNREGISTER, ThisDN="7001")
    assert [event.id for event in desk.answers(last)] == [MessageType.EventUnregistered]
    alone.answering = True
    alone.run(10_000_000)
    assert len(desk.answers(first)) == 1
    assert alone.coordinator.owner("7001") is None


def test_a_registration_that_waits_for_a_peer_is_answered_though_it_was_taken_back_meanwhile():
    cluster = Cluster(2, optimised=True)
    desk = cluster.desktop("n1")
    first = desk.request(REGISTER, ThisDN="1001")
    last = desk.request(UNREGISTER, ThisDN="1001")
    cluster.settle()
    assert desk.answers[first].id == MessageType.EventRegistered
    assert desk.answers[last].id == MessageType.EventUnregistered
    assert desk.names() == ["Registered", "Unregistered"]
