"""RequestQueryAddress on every port that has DNs: what is known of one, without a registration."""

from __future__ import annotations

import msgspec
import pytest

from cluster_core.records import CallView
from cluster_core.settings import ClientRole
from cluster_core.watch import INFO, address_status, agent_status
from tests.cluster_core.alone import SDP, Alone, settings
from tests.cluster_core.test_addresses import PORTS, narrow
from tests.sim.cluster import Cluster
from tests.sim.world import SECOND
from tlib_proto import (
    AddressInfoType,
    AddressStatus,
    AddressType,
    Attribute,
    ErrorCode,
    ForwardMode,
    MessageType,
    PartyState,
)

QUERY, LOGIN = MessageType.RequestQueryAddress, MessageType.RequestAgentLogin
PHONE, STRANGER = ("198.51.100.1", 5060), ("203.0.113.9", 5060)


@pytest.mark.parametrize(("name", "role", "port"), PORTS)
def test_a_query_is_answered_by_the_dns_picture_or_by_what_is_wrong_with_it(name, role, port):
    program = narrow().program(name, role, port)
    for dn, info, wrong in (
        ("1001", AddressInfoType.DNStatus, 0),
        ("8000", AddressInfoType.QueueStatus, 0),
        ("1001", AddressInfoType.DatabaseValue, ErrorCode.INVALID_ATTR),
        ("1001", 4711, ErrorCode.INVALID_ATTR),
        ("1002", AddressInfoType.DNStatus, ErrorCode.PRIVILEGE_DEVICE),
        ("4711", AddressInfoType.DNStatus, ErrorCode.NOT_CONFIGURED),
        ("service", AddressInfoType.DNStatus, ErrorCode.NOT_CONFIGURED),
        ("", AddressInfoType.DNStatus, ErrorCode.INVALID_ATTR),
    ):
        answer = program.ask(QUERY, ThisDN=dn, AddressInfoType=info)
        assert answer.number(Attribute.ErrorCode) == wrong, (dn, answer)
        if not wrong:
            assert answer.id == MessageType.EventAddressInfo
            assert answer.number(Attribute.AddressInfoType) == info
            assert answer.text(Attribute.ThisDN) == dn


def test_a_query_registers_nothing():
    alone = Alone()
    desk = alone.program("Desk", ClientRole.DESKTOP, "tcontroller")
    desk.ask(QUERY, ThisDN="1001", AddressInfoType=AddressInfoType.DNStatus)
    alone.phone("1001", PHONE)
    assert desk.names() == ["AddressInfo"]
    refused = desk.ask(LOGIN, ThisDN="1001", AgentID="A1")
    assert refused.number(Attribute.ErrorCode) == ErrorCode.NOT_REGISTERED


def test_each_kind_of_query_says_its_own_of_a_dn_that_an_agent_and_a_call_have():
    alone = Alone()
    desk = alone.program("Desk", ClientRole.DESKTOP, "tcontroller", "1001")

    def status(info, dn="1001"):
        answer = desk.ask(QUERY, ThisDN=dn, AddressInfoType=info)
        return answer.number(Attribute.AddressInfoStatus, -1)

    assert [status(info) for info in INFO] == [AddressStatus.Idle, 0, 0, AddressType.DN, 0, 0, 0]
    alone.phone("1001", PHONE)
    desk.ask(LOGIN, ThisDN="1001", AgentID="A1")
    alone.request("INVITE", "sip:1001@n1", STRANGER, to="<sip:1001@n1>", body=SDP)
    alone.answer(PHONE, b"INVITE", "180 Ringing")
    forward = {"OtherDN": "1002", "ForwardMode": ForwardMode.OnBusy}
    desk.ask(MessageType.RequestCallForwardSet, ThisDN="1001", **forward)
    busy = int(ForwardMode.OnBusy)
    assert [status(info) for info in INFO] == [AddressStatus.Ringing, busy, 3, AddressType.DN, 1, 1, 1]
    answer = desk.ask(QUERY, ThisDN="1001", AddressInfoType=AddressInfoType.CallsQuery)
    told = dict(answer.pairs(Attribute.Extensions))
    assert f"{answer.number(Attribute.ConnID):016x}" == told["conn-1"]
    assert answer.text(Attribute.AgentID) == "A1"
    assert status(AddressInfoType.AddressType, "8000") == AddressType.RouteDN


def test_states_of_parties_and_agents_have_published_numbers():
    desk = Alone().node.t_controller.view("1001")
    for state, expected in (
        (PartyState.Connected, AddressStatus.Talking),
        (PartyState.Held, AddressStatus.Held),
        (PartyState.Alerting | PartyState.Audit, AddressStatus.Ringing),
        (PartyState.Initiated, AddressStatus.Origination),
    ):
        desk.calls = {1: CallView(1, 0, int(state), "", "n1")}
        assert address_status(desk) == expected
    assert [agent_status(msgspec.structs.replace(desk, agent_id="A", ready=ready)) for ready in (True, False)] == [2, 3]


def test_of_a_dn_that_nobody_here_watches_its_owner_is_asked_and_then_forgotten():
    cluster = Cluster(2, optimised=True)
    phone = cluster.phone("1001", "n2")
    cluster.settle()
    desk, other = cluster.desktop("n1"), cluster.desktop("n1", name="CRM")
    refs = [c.request(QUERY, ThisDN="1001", AddressInfoType=AddressInfoType.DNStatus) for c in (desk, other, desk)]
    assert not desk.answers
    cluster.settle(SECOND)
    answers = [desk.answers[refs[0]], other.answers[refs[1]], desk.answers[refs[2]]]
    assert [answer.number(Attribute.AddressInfoStatus) for answer in answers] == [1, 1, 1]
    streams = cluster.hosts["n1"].node.t_controller.streams
    assert streams.follower.sources("1001") == []
    peer = cluster.hosts["n2"].node.t_controller.links.peers["n1"]
    assert "1001" not in peer.interest
    assert phone


def test_a_client_that_goes_while_its_query_waits_is_not_answered():
    cluster = Cluster(2, optimised=True)
    cluster.phone("1001", "n2")
    cluster.settle()
    desk = cluster.desktop("n1")
    desk.request(QUERY, ThisDN="1001", AddressInfoType=AddressInfoType.DNStatus)
    desk.disconnect()
    cluster.settle(SECOND)
    assert cluster.hosts["n1"].node.t_controller.streams.follower.sources("1001") == []


def test_queries_that_wait_have_a_bound():
    limits = msgspec.structs.replace(settings().limits, requests_in_flight=1)
    cluster = Cluster(2, optimised=True, limits=limits)
    desk = cluster.desktop("n1")
    refs = [desk.request(QUERY, ThisDN="1001", AddressInfoType=AddressInfoType.DNStatus) for _ in range(2)]
    cluster.settle(SECOND)
    assert desk.answers[refs[0]].id == MessageType.EventAddressInfo
    assert desk.answers[refs[1]].number(Attribute.ErrorCode) == ErrorCode.SERVICE_BUSY
