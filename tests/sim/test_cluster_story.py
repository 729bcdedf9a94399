"""What a cluster does, told as stories: each begins with phones and clients and ends with what each of them saw."""

import pytest

from cluster_core.inputs import Operator
from cluster_core.limits import Limits
from cluster_core.settings import ClientRole
from tests.sim.actors import Client, Phone
from tests.sim.cluster import PSTN, Cluster, conn_id_of
from tests.sim.world import SECOND, WALL
from tlib_proto import AgentWorkMode, Attribute, CallState, CallType, DNRole, ErrorCode, Message, MessageType
from tlib_proto.mask import pack

M = MessageType

QUEUE_EVENTS = ["Queued", "RouteRequest", "RouteUsed", "Diverted"]
AGENT_EVENTS = ["Ringing", "Established", "AttachedDataChanged", "Held", "Retrieved", "Released"]


@pytest.fixture(params=[True, False], ids=["optimised", "to all"])
def cluster(request: pytest.FixtureRequest) -> Cluster:
    return Cluster(optimised=request.param)


def arrives(cluster: Cluster, caller: Phone, number: str, router: Client) -> int:
    """A call that waits at a Routing Point; returns its ConnID."""
    before = len(router.of(M.EventRouteRequest))
    caller.call(number)
    cluster.world.until(lambda: len(router.of(M.EventRouteRequest)) > before)
    return conn_id_of(router.of(M.EventRouteRequest)[-1])


def route(router: Client, conn_id: int, to: str, dn: str = "8000") -> Message:
    return router.ask(M.RequestRouteCall, ThisDN=dn, ConnID=conn_id, OtherDN=to)


def talks(cluster: Cluster, caller: Phone, called: Phone) -> None:
    """The caller dials the called one, who answers."""
    caller.call(called.number)
    cluster.world.until(lambda: called.has("ringing"))
    cluster.settle()
    called.answer()
    cluster.world.until(lambda: caller.has("talking"))
    cluster.settle()


def refused(answer: Message, code: ErrorCode) -> None:
    assert answer.id == M.EventError, answer
    assert answer.number(Attribute.ErrorCode) == code, answer
    assert answer.text(Attribute.ErrorMessage)


class TestTheDemoCall:
    def test_each_kind_of_client_sees_its_events_in_order(self, cluster: Cluster) -> None:
        agent = cluster.phone("1002", "n2")
        router = cluster.router("n1", "8000")
        desktop = cluster.desktop("n1", "1002")
        smart1, smart2 = cluster.smart("n1", node_dns=True), cluster.smart("n2", node_dns=True)
        monitor = cluster.monitor("n2", "8000", "1002")
        reporter, elsewhere = cluster.reporter("n1"), cluster.reporter("n2")
        caller = cluster.caller()

        conn_id = arrives(cluster, caller, "8000", router)
        used = route(router, conn_id, "1002")
        assert used.id == M.EventRouteUsed
        assert used.text(Attribute.ThirdPartyDN) == "1002"
        cluster.world.until(lambda: agent.has("ringing"))
        cluster.settle()
        assert desktop.ask(M.RequestAnswerCall, ThisDN="1002", ConnID=conn_id).id == M.EventEstablished
        cluster.world.until(lambda: caller.has("talking"))
        assert agent.has("talking")
        changed = desktop.attach("1002", conn_id, ("segment", "gold"))
        assert changed.id == M.EventAttachedDataChanged
        assert changed.pairs(Attribute.UserData) == (("segment", "gold"),)
        assert changed.text(Attribute.ThirdPartyDN) == "1002"
        assert desktop.ask(M.RequestHoldCall, ThisDN="1002", ConnID=conn_id).id == M.EventHeld
        assert desktop.ask(M.RequestRetrieveCall, ThisDN="1002", ConnID=conn_id).id == M.EventRetrieved
        assert desktop.ask(M.RequestReleaseCall, ThisDN="1002", ConnID=conn_id).id == M.EventReleased
        cluster.settle()

        assert router.names() == QUEUE_EVENTS
        assert smart1.names() == QUEUE_EVENTS
        assert desktop.names() == AGENT_EVENTS
        assert smart2.names() == AGENT_EVENTS
        assert monitor.names("8000") == QUEUE_EVENTS
        assert monitor.names("1002") == AGENT_EVENTS
        assert reporter.names() == ["CallCreated", *QUEUE_EVENTS, *AGENT_EVENTS, "CallDeleted"]
        assert elsewhere.names() == []
        for client in cluster.clients:
            assert {m.number(Attribute.ConnID) for m in client.events} <= {conn_id}
            assert len({m.text(Attribute.CallUUID) for m in client.events}) <= 1
        assert caller.said == ["180", "180", "answered", "reinvited inactive", "reinvited sendrecv", "ended"]
        assert agent.said == ["invited", "reinvited inactive", "reinvited sendrecv", "ended"]
        cluster.check()

    def test_its_events_say_who_calls_whom_and_where_the_call_came_from(self, cluster: Cluster) -> None:
        cluster.phone("1002", "n2")
        router = cluster.router("n1", "8000")
        desktop = cluster.desktop("n1", "1002")
        conn_id = arrives(cluster, cluster.caller(), "8000", router)
        queued = router.of(M.EventQueued)[0]
        assert queued.text(Attribute.ThisDN) == queued.text(Attribute.ThisQueue) == "8000"
        assert queued.text(Attribute.OtherDN) == "5551234"
        route(router, conn_id, "1002")
        cluster.settle()
        ringing = desktop.of(M.EventRinging)[0]
        assert ringing.number(Attribute.CallType) == CallType.Inbound
        assert ringing.text(Attribute.ANI) == ringing.text(Attribute.OtherDN) == "5551234"
        assert ringing.text(Attribute.DNIS) == ringing.text(Attribute.ThisQueue) == "8000"
        assert ringing.number(Attribute.ThisDNRole) == DNRole.Destination
        assert ringing.number(Attribute.OtherDNRole) == DNRole.Origination
        assert ringing.number(Attribute.CallState) == CallState.Ok
        assert ringing.number(Attribute.TimeinSecs) >= WALL // SECOND

    def test_only_the_copy_of_the_one_who_asked_carries_the_reference(self, cluster: Cluster) -> None:
        cluster.phone("1002", "n2")
        first, second = cluster.router("n1", "8000"), cluster.router("n1", "8000", name="ORS")
        one, other = cluster.desktop("n1", "1002"), cluster.desktop("n2", "1002")
        conn_id = arrives(cluster, cluster.caller(), "8000", first)
        assert route(first, conn_id, "1002").ref
        cluster.settle()
        one.ask(M.RequestAnswerCall, ThisDN="1002", ConnID=conn_id)
        cluster.settle()
        assert second.names() == QUEUE_EVENTS
        assert other.names() == ["Ringing", "Established"]
        assert not any(message.ref for message in (*second.events, *other.events))
        assert [m.name for m in first.events if m.ref] == ["EventRouteUsed"]
        assert [m.name for m in one.events if m.ref] == ["EventEstablished"]

    def test_the_first_of_two_routers_wins(self, cluster: Cluster) -> None:
        cluster.phone("1001", "n1")
        cluster.phone("1002", "n2")
        first, second = cluster.router("n1", "8000"), cluster.router("n1", "8000", name="ORS")
        conn_id = arrives(cluster, cluster.caller(), "8000", first)
        one = first.request(M.RequestRouteCall, ThisDN="8000", ConnID=conn_id, OtherDN="1002")
        other = second.request(M.RequestRouteCall, ThisDN="8000", ConnID=conn_id, OtherDN="1001")
        cluster.settle()
        answers = sorted([first.answers[one].name, second.answers[other].name])
        assert answers == ["EventError", "EventRouteUsed"]
        rings = [number for number, phone in cluster.phones.items() if phone.has("ringing")]
        assert len(rings) == 1
        cluster.check()

    def test_a_call_without_a_router_goes_where_the_routing_point_says(self, cluster: Cluster) -> None:
        agent = cluster.phone("1001", "n2")
        caller = cluster.caller()
        caller.call("8000")
        cluster.world.until(lambda: agent.has("ringing"))
        caller.hang_up()
        cluster.settle()
        assert agent.said == ["invited", "cancelled"]
        caller.call("8001")
        cluster.world.until(lambda: "failed 480" in caller.said)
        cluster.settle()
        cluster.check()
        cluster.settle(40 * SECOND)
        cluster.quiet()

    def test_a_route_that_leads_nowhere_leaves_the_call_for_another(self, cluster: Cluster) -> None:
        agent = cluster.phone("1002", "n2")
        agent.on_invite = "486"
        cluster.phone("1003", "n1")
        router = cluster.router("n1", "8000")
        conn_id = arrives(cluster, cluster.caller(), "8000", router)
        refused(route(router, conn_id, "4711"), ErrorCode.INVALID_CALLED_DN)
        refused(route(router, conn_id, "1004"), ErrorCode.OUT_OF_SERVICE)
        refused(route(router, conn_id, "1002"), ErrorCode.GENERIC_OPERATION)
        assert route(router, conn_id, "1003").id == M.EventRouteUsed
        cluster.settle()
        assert [name for name in router.names() if name != "Error"] == QUEUE_EVENTS
        cluster.check()

    def test_nobody_routes_in_time(self, cluster: Cluster) -> None:
        agent = cluster.phone("1001", "n2")
        router = cluster.router("n1", "8000")
        arrives(cluster, cluster.caller(), "8000", router)
        cluster.settle(Limits().routing_us + SECOND)
        assert agent.has("ringing")
        assert router.names() == QUEUE_EVENTS
        cluster.check()


class TestCallsBetweenPhones:
    def test_a_call_and_its_events_at_both_dns(self, cluster: Cluster) -> None:
        one, other = cluster.phone("1001", "n1"), cluster.phone("1002", "n2")
        a, b = cluster.desktop("n2", "1001"), cluster.desktop("n1", "1002")
        talks(cluster, one, other)
        other.hang_up()
        cluster.settle()
        assert a.names() == ["Dialing", "Established", "Released"]
        assert b.names() == ["Ringing", "Established", "Released"]
        dialing = a.of(M.EventDialing)[0]
        assert dialing.number(Attribute.CallType) == CallType.Internal
        assert dialing.number(Attribute.ThisDNRole) == DNRole.Origination
        assert one.said == ["180", "answered", "ended"]
        cluster.check()
        cluster.settle(40 * SECOND)
        cluster.quiet()

    def test_the_caller_gives_up(self, cluster: Cluster) -> None:
        one, other = cluster.phone("1001", "n1"), cluster.phone("1002", "n2")
        a, b = cluster.desktop("n2", "1001"), cluster.desktop("n1", "1002")
        one.call("1002")
        cluster.world.until(lambda: other.has("ringing"))
        cluster.settle()
        one.hang_up()
        cluster.settle()
        assert a.names() == ["Dialing", "Released"]
        assert b.names() == ["Ringing", "Abandoned"]
        cluster.check()

    def test_the_called_phone_is_busy(self, cluster: Cluster) -> None:
        one, other = cluster.phone("1001", "n1"), cluster.phone("1002", "n2")
        other.on_invite = "486"
        a, b = cluster.desktop("n2", "1001"), cluster.desktop("n1", "1002")
        one.call("1002")
        cluster.world.until(lambda: "failed 486" in one.said)
        cluster.settle()
        assert a.names() == ["Dialing", "DestinationBusy", "Released"]
        assert a.of(M.EventDestinationBusy)[0].number(Attribute.CallState) == CallState.Busy
        assert b.names() == []
        cluster.check()

    def test_nobody_answers(self, cluster: Cluster) -> None:
        one, other = cluster.phone("1001", "n1"), cluster.phone("1002", "n2")
        a, b = cluster.desktop("n2", "1001"), cluster.desktop("n1", "1002")
        one.call("1002")
        cluster.settle(Limits().ring_us + SECOND)
        assert one.said[-1] == "failed 480"
        assert other.said == ["invited", "cancelled"]
        assert a.names() == ["Dialing", "Released"]
        assert b.names() == ["Ringing", "Released"]
        assert b.of(M.EventReleased)[0].number(Attribute.CallState) == CallState.NoAnswer
        cluster.check()
        cluster.settle(40 * SECOND)
        cluster.quiet()

    def test_a_number_that_is_nowhere_and_one_that_is_out_of_service(self, cluster: Cluster) -> None:
        one = cluster.phone("1001", "n1")
        one.call("4711")
        cluster.world.until(lambda: "failed 404" in one.said)
        one.call("1002")
        cluster.world.until(lambda: "failed 480" in one.said)
        cluster.settle()
        cluster.check()

    def test_a_phone_puts_the_other_on_hold_and_takes_it_back(self, cluster: Cluster) -> None:
        one, other = cluster.phone("1001", "n1"), cluster.phone("1002", "n2")
        a, b = cluster.desktop("n1", "1001"), cluster.desktop("n1", "1002")
        talks(cluster, one, other)
        other.hold()
        cluster.settle()
        other.hold("sendrecv")
        cluster.settle()
        assert b.names() == ["Ringing", "Established", "Held", "Retrieved"]
        assert a.names() == ["Dialing", "Established"]
        assert one.said[-2:] == ["reinvited sendonly", "reinvited sendrecv"]
        assert other.said[-2:] == ["reanswered recvonly", "reanswered sendrecv"]
        cluster.check()

    def test_both_phones_hold_at_once(self, cluster: Cluster) -> None:
        one, other = cluster.phone("1001", "n1"), cluster.phone("1002", "n2")
        talks(cluster, one, other)
        one.hold()
        other.hold()
        cluster.settle(5 * SECOND)
        assert all(any(word.startswith("re") for word in phone.said) for phone in (one, other))
        one.hang_up()
        cluster.settle(40 * SECOND)
        cluster.check()
        cluster.quiet()

    def test_a_program_makes_a_call(self, cluster: Cluster) -> None:
        one, other = cluster.phone("1001", "n1"), cluster.phone("1002", "n2")
        a, b = cluster.desktop("n1", "1001"), cluster.desktop("n1", "1002")
        made = a.ask(M.RequestMakeCall, ThisDN="1001", OtherDN="1002", UserData=(("k", "v"),))
        assert made.id == M.EventDialing
        assert made.pairs(Attribute.UserData) == (("k", "v"),)
        cluster.world.until(lambda: other.has("ringing"))
        other.answer()
        cluster.settle()
        assert one.has("talking")
        assert other.has("talking")
        a.ask(M.RequestReleaseCall, ThisDN="1001", ConnID=conn_id_of(made))
        cluster.settle()
        assert a.names() == ["Dialing", "Established", "Released"]
        assert b.names() == ["Ringing", "Established", "Released"]
        cluster.check()
        cluster.settle(40 * SECOND)
        cluster.quiet()

    def test_a_program_makes_a_call_from_a_phone_of_another_node(self, cluster: Cluster) -> None:
        one, other = cluster.phone("1001", "n2"), cluster.phone("1002", "n2")
        a = cluster.desktop("n1", "1001")
        made = a.ask(M.RequestMakeCall, ThisDN="1001", OtherDN="1002")
        assert made.id == M.EventDialing
        cluster.world.until(lambda: other.has("ringing"))
        other.answer()
        cluster.settle()
        assert one.has("talking")
        other.hang_up()
        cluster.settle()
        assert a.names() == ["Dialing", "Established", "Released"]
        cluster.check()

    def test_a_program_cannot_make_a_call_from_a_phone_that_is_gone(self, cluster: Cluster) -> None:
        a = cluster.desktop("n1", "1001")
        refused(a.ask(M.RequestMakeCall, ThisDN="1001", OtherDN="1002"), ErrorCode.OUT_OF_SERVICE)
        phone = cluster.phone("1001", "n1")
        phone.on_invite = "486"
        refused(a.ask(M.RequestMakeCall, ThisDN="1001", OtherDN="4711"), ErrorCode.INVALID_CALLED_DN)
        cluster.phone("1002", "n1")
        refused(a.ask(M.RequestMakeCall, ThisDN="1001", OtherDN="1002"), ErrorCode.GENERIC_OPERATION)
        cluster.check()
        cluster.settle(40 * SECOND)
        cluster.quiet()

    def test_a_phone_that_does_not_answer_on_request_rings_on(self, cluster: Cluster) -> None:
        one, other = cluster.phone("1001", "n1"), cluster.phone("1002", "n2")
        other.talk = False
        b = cluster.desktop("n1", "1002")
        one.call("1002")
        cluster.world.until(lambda: b.of(M.EventRinging))
        conn_id = conn_id_of(b.of(M.EventRinging)[0])
        refused(b.ask(M.RequestAnswerCall, ThisDN="1002", ConnID=conn_id), ErrorCode.GENERIC_OPERATION)
        assert other.has("ringing")
        other.answer()
        cluster.settle()
        assert one.has("talking")
        cluster.check()

    def test_an_outbound_call_leaves_by_the_trunk(self, cluster: Cluster) -> None:
        one, pstn = cluster.phone("1001", "n1"), cluster.caller()
        a = cluster.desktop("n1", "1001")
        one.call("9004912345")
        cluster.world.until(lambda: pstn.has("ringing"))
        pstn.answer()
        cluster.settle()
        assert a.names()[-1] == "Established"
        assert a.of(M.EventDialing)[0].number(Attribute.CallType) == CallType.Outbound
        pstn.hang_up()
        cluster.settle()
        assert a.names()[-1] == "Released"
        cluster.check()

    def test_a_call_goes_on_over_lossy_wires(self) -> None:
        cluster = Cluster()
        one, other = cluster.phone("1001", "n1"), cluster.phone("1002", "n2")
        a, b = cluster.desktop("n2", "1001"), cluster.desktop("n1", "1002")
        cluster.world.wires.loss, cluster.world.wires.duplicate = 0.2, 0.2
        cluster.world.wires.jitter_us = 30_000
        one.call("1002")
        cluster.world.until(lambda: other.has("ringing"), 40 * SECOND)
        other.answer()
        cluster.world.until(lambda: one.has("talking"), 40 * SECOND)
        cluster.settle(2 * SECOND)
        other.hang_up()
        cluster.settle(70 * SECOND)
        assert a.names() == ["Dialing", "Established", "Released"]
        assert b.names() == ["Ringing", "Established", "Released"]
        cluster.check()
        cluster.quiet()


class TestRequestsOnCalls:
    def test_every_party_hears_of_attached_data(self, cluster: Cluster) -> None:
        one, other = cluster.phone("1001", "n1"), cluster.phone("1002", "n2")
        a, b = cluster.desktop("n2", "1001"), cluster.desktop("n1", "1002")
        talks(cluster, one, other)
        conn_id = conn_id_of(a.events[0])
        b.attach("1002", conn_id, ("k", "1"))
        b.attach("1002", conn_id, ("k", "2"))
        cluster.settle()
        for client in (a, b):
            last = client.of(M.EventAttachedDataChanged)[-1]
            assert last.pairs(Attribute.UserData) == (("k", "1"), ("k", "2"))
            assert last.text(Attribute.ThirdPartyDN) == "1002"
        too_much = ("x" * 60, "y" * 20_000)
        refused(b.attach("1002", conn_id, too_much), ErrorCode.VALUE_OUT_OF_RANGE)
        cluster.check()

    def test_what_cannot_be_done_is_refused_with_the_reason(self, cluster: Cluster) -> None:
        one, other = cluster.phone("1001", "n1"), cluster.phone("1002", "n2")
        a, b = cluster.desktop("n2", "1001"), cluster.desktop("n1", "1002", "1003")
        talks(cluster, one, other)
        conn_id = conn_id_of(a.events[0])
        refused(b.ask(M.RequestAnswerCall, ThisDN="1002", ConnID=conn_id), ErrorCode.INCORRECT_OBJECT_STATE)
        refused(b.ask(M.RequestRetrieveCall, ThisDN="1002", ConnID=conn_id), ErrorCode.INCORRECT_OBJECT_STATE)
        refused(b.ask(M.RequestHoldCall, ThisDN="1003", ConnID=conn_id), ErrorCode.INVALID_CONNECTION_ID)
        refused(b.ask(M.RequestHoldCall, ThisDN="1002", ConnID=conn_id + 7), ErrorCode.INV_CONNID)
        refused(b.ask(M.RequestHoldCall, ThisDN="1002", ConnID=77), ErrorCode.INV_CONNID)
        refused(b.ask(M.RequestHoldCall, ThisDN="1004", ConnID=conn_id), ErrorCode.NOT_REGISTERED)
        refused(b.ask(M.RequestHoldCall, ConnID=conn_id), ErrorCode.INVALID_ATTR)
        cluster.check()

    def test_a_client_that_hangs_up_before_the_answer_disturbs_nobody(self, cluster: Cluster) -> None:
        one, other = cluster.phone("1001", "n1"), cluster.phone("1002", "n2")
        a, b = cluster.desktop("n2", "1001"), cluster.desktop("n1", "1002")
        one.call("1002")
        cluster.world.until(lambda: b.of(M.EventRinging))
        b.request(M.RequestAnswerCall, ThisDN="1002", ConnID=conn_id_of(b.events[0]))
        b.disconnect()
        cluster.settle()
        assert a.names() == ["Dialing", "Established"]
        assert other.has("talking")
        cluster.check()
        assert not any(host.node.counts()["requests"] for host in cluster.hosts.values())


class TestAgents:
    def login(self, client: Client, dn: str, agent: str, mode: AgentWorkMode = AgentWorkMode.ManualIn) -> Message:
        return client.ask(M.RequestAgentLogin, ThisDN=dn, AgentID=agent, AgentWorkMode=int(mode))

    def test_an_agent_logs_in_is_ready_not_ready_and_out(self, cluster: Cluster) -> None:
        cluster.phone("1002", "n2")
        near, far = cluster.desktop("n2", "1002"), cluster.desktop("n1", "1002")
        smart1, smart2 = cluster.smart("n1"), cluster.smart("n2")
        monitor = cluster.monitor("n1", "1002")
        assert self.login(far, "1002", "a1").id == M.EventAgentLogin
        done = near.ask(M.RequestAgentNotReady, ThisDN="1002", AgentWorkMode=int(AgentWorkMode.AuxWork))
        assert done.id == M.EventAgentNotReady
        assert far.ask(M.RequestAgentReady, ThisDN="1002").id == M.EventAgentReady
        cluster.settle()
        cluster.check()
        assert far.ask(M.RequestAgentLogout, ThisDN="1002").id == M.EventAgentLogout
        cluster.settle()
        steps = ["AgentLogin", "AgentReady", "AgentNotReady", "AgentReady", "AgentLogout"]
        for client in (near, far, smart2, monitor):
            assert client.names() == steps, client.name
        assert smart1.names() == []
        ready = near.of(M.EventAgentReady)[0]
        assert ("site", "DC2") in ready.pairs(Attribute.Reasons)
        cluster.check()

    def test_what_an_agent_cannot_do(self, cluster: Cluster) -> None:
        cluster.phone("1002", "n2")
        client = cluster.desktop("n1", "1002", "1003")
        refused(client.ask(M.RequestAgentReady, ThisDN="1002"), ErrorCode.WRONG_SET_STATE)
        refused(client.ask(M.RequestAgentLogin, ThisDN="1002"), ErrorCode.INVALID_ATTR)
        refused(self.login(client, "1003", "a1"), ErrorCode.OUT_OF_SERVICE)
        assert self.login(client, "1002", "a1").id == M.EventAgentLogin
        refused(self.login(client, "1002", "a1"), ErrorCode.AGENT_LOGGED_IN)
        refused(self.login(client, "1002", "a2"), ErrorCode.INCOMPATIBLE_WITH_OBJECT)
        cluster.check()

    def test_an_agent_is_logged_out_when_the_phone_is_gone(self, cluster: Cluster) -> None:
        phone = cluster.phone("1002", "n2")
        client = cluster.desktop("n1", "1002")
        self.login(client, "1002", "a1")
        phone.register(expires_s=0)
        cluster.settle()
        assert client.names()[-2:] == ["AgentLogout", "DNOutOfService"]
        assert cluster.owner("1002") is None
        cluster.check()


class TestRefusals:
    def test_each_port_refuses_what_is_not_its_own(self, cluster: Cluster) -> None:
        monitor = cluster.monitor("n1", "1001")
        router = cluster.router("n1", "8000")
        reporter = cluster.reporter("n1")
        desktop = cluster.desktop("n1", "1001")
        for client, kind in (
            (monitor, M.RequestAgentLogin),
            (monitor, M.RequestMakeCall),
            (monitor, M.RequestRegisterAll),
            (router, M.RequestRegisterAll),
            (router, M.RequestAgentReady),
            (reporter, M.RequestRegisterAddress),
            (reporter, M.RequestAgentLogin),
            (desktop, M.RequestRouteCall),
            (desktop, M.RequestRegisterAll),
        ):
            answer = client.ask(kind, ThisDN="1001")
            refused(answer, ErrorCode.UNSUP_OPER)
            assert kind.name in answer.text(Attribute.ErrorMessage)
        refused(desktop.ask(M.RequestInitiateConference, ThisDN="1001"), ErrorCode.UNSUP_OPER)
        cluster.check()

    def test_each_port_refuses_who_does_not_belong_there(self) -> None:
        cluster = Cluster()
        for role, port in (("monitor", "tcontroller"), ("router", "iproxy"), ("desktop", "tlib"), ("boss", "tlib")):
            client = Client(cluster.world, "Somebody", role, "n1", port)
            cluster.world.until(lambda client=client: client.ended)
            assert client.linked is None
        for name, role, port, secret in (
            ("GWS", "desktop", "tcontroller", "wrong"),
            ("GWS", "desktop", "tcontroller", ""),
            ("URS", "desktop", "tcontroller", ""),
            ("Nobody", "desktop", "tcontroller", "wrong"),
            ("Peer", "peer", "tcontroller", "wrong"),
        ):
            client = Client(cluster.world, name, role, "n1", port, secret)
            cluster.world.until(lambda client=client: client.ended)
            assert client.linked is None, name

    def test_a_client_hears_the_events_of_its_mask_and_every_answer(self, cluster: Cluster) -> None:
        cluster.phone("1001", "n1")
        desk = cluster.desktop("n1", "1001")
        refused(desk.ask(M.RequestSetInputMask, InputMask=b"short"), ErrorCode.INVALID_ATTR)
        assert desk.ask(M.RequestSetInputMask, InputMask=pack((M.EventAgentReady,))).id == M.EventACK
        login = {"ThisDN": "1001", "AgentID": "a1", "AgentWorkMode": int(AgentWorkMode.ManualIn)}
        assert desk.ask(M.RequestAgentLogin, **login).id == M.EventAgentLogin
        cluster.settle()
        assert desk.ask(M.RequestAgentNotReady, ThisDN="1001").id == M.EventAgentNotReady
        other = cluster.desktop("n1", "1001", name="Other")
        other.ask(M.RequestAgentReady, ThisDN="1001")
        other.ask(M.RequestAgentNotReady, ThisDN="1001")
        cluster.settle()
        assert desk.names()[-1] == "AgentReady"

    def test_a_dn_must_be_configured_and_within_rights(self, cluster: Cluster) -> None:
        narrow = cluster.desktop("n1", "1001", name="Narrow")
        refused(narrow.ask(M.RequestRegisterAddress, ThisDN="1002"), ErrorCode.PRIVILEGE_DEVICE)
        refused(narrow.ask(M.RequestRegisterAddress, ThisDN="4711"), ErrorCode.NOT_CONFIGURED)
        refused(narrow.ask(M.RequestRegisterAddress), ErrorCode.INVALID_ATTR)
        refused(narrow.ask(M.RequestUnregisterAddress, ThisDN="1000"), ErrorCode.NOT_REGISTERED)
        monitor = cluster.monitor("n1")
        refused(monitor.ask(M.RequestRegisterAddress, ThisDN="4711"), ErrorCode.NOT_CONFIGURED)
        refused(monitor.ask(M.RequestRegisterAddress, ThisDN="cluster"), ErrorCode.NOT_CONFIGURED)
        refused(monitor.ask(M.RequestUnregisterAddress, ThisDN="1001"), ErrorCode.NOT_REGISTERED)
        refused(monitor.ask(M.RequestRegisterAddress), ErrorCode.INVALID_ATTR)
        router = cluster.router("n1")
        refused(router.ask(M.RequestRegisterAddress, ThisDN="4711"), ErrorCode.NOT_CONFIGURED)
        refused(router.ask(M.RequestRouteCall, ThisDN="8000", ConnID=1), ErrorCode.NOT_REGISTERED)
        refused(router.ask(M.RequestRouteCall), ErrorCode.INVALID_ATTR)

    def test_every_port_says_what_it_is(self, cluster: Cluster) -> None:
        clients = (cluster.router("n1"), cluster.reporter("n1"), cluster.desktop("n1"), cluster.monitor("n1"))
        for client in clients:
            info = client.ask(M.RequestQueryServer)
            assert info.id == M.EventServerInfo
            assert info.text(Attribute.NodeName) == "n1"

    def test_a_router_cannot_touch_calls_of_another_node(self, cluster: Cluster) -> None:
        cluster.phone("1001", "n1")
        near, far = cluster.router("n1", "8000"), cluster.router("n2", "8000")
        conn_id = arrives(cluster, cluster.caller(), "8000", near)
        assert far.names() == []
        refused(route(far, conn_id, "1001"), ErrorCode.INV_CONNID)
        assert route(near, conn_id, "1001").id == M.EventRouteUsed

    def test_garbage_on_a_port_closes_that_stream_alone(self, cluster: Cluster) -> None:
        router = cluster.router("n1", "8000")
        for port in ("tlib", "iproxy", "tcontroller", "smartproxy"):
            for data in (
                b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
                b"\xff\xff\xff\xff" + b"x" * 12,
                b"INVITE sip:1@x SIP/2.0\r\n\r\n",
                b"\x00\x00",
            ):
                client = Client(cluster.world, "Garbage", "router", "n1", port)
                client.raw = True
                cluster.world.until(lambda client=client: client.is_open)
                client.send_bytes(data)
                cluster.world.until(lambda client=client: client.ended, 20 * SECOND)
        assert cluster.hosts["n1"].node.counts()["streams"] < 10
        assert router.ask(M.RequestQueryServer).id == M.EventServerInfo
        cluster.check()


class TestRegistrations:
    def test_a_phone_that_registers_at_both_nodes_at_once_has_one_owner(self, cluster: Cluster) -> None:
        one = cluster.phone("1001", "n1", register=False)
        other = Phone(cluster.world, "1001", "n2", ("198.51.100.9", 5060), "secret")
        one.register()
        other.register()
        cluster.settle(SECOND)
        assert (one.registered, other.registered) == (200, 200)
        owner = cluster.owner("1001")
        record = cluster.world.coordinator.owner("1001")
        assert record is not None
        assert record.node == owner
        views = [
            host.node.t_controller.ownership.owner("1001").node  # type: ignore[union-attr]
            for host in cluster.hosts.values()
        ]
        assert views == [owner, owner]
        held = cluster.hosts[str(owner)].node.t_controller.owned.record("1001")
        assert held is not None
        assert len(held.bindings) == 2
        cluster.check()

    def test_digest_is_asked_for_and_a_wrong_password_refused(self, cluster: Cluster) -> None:
        stranger = cluster.phone("1001", "n1", register=False, password="wrong")
        stranger.register()
        cluster.settle()
        assert stranger.registered == 403
        assert cluster.owner("1001") is None
        nobody = cluster.phone("4711", "n1", register=False)
        nobody.register()
        cluster.settle()
        assert nobody.registered == 403

    def test_a_registration_expires(self, cluster: Cluster) -> None:
        phone = cluster.phone("1001", "n1", register=False)
        desktop = cluster.desktop("n2", "1001")
        phone.register(expires_s=60)
        cluster.settle()
        assert desktop.names() == ["DNBackInService", "Registered"] or desktop.names()[0] == "DNBackInService"
        cluster.settle(61 * SECOND)
        assert desktop.names()[-1] in ("DNOutOfService", "Registered")
        assert not desktop.pictures["1001"].in_service
        assert cluster.owner("1001") is None
        assert cluster.world.coordinator.owner("1001") is None
        cluster.check()

    def test_a_refresh_at_another_node_reaches_the_owner(self, cluster: Cluster) -> None:
        phone = cluster.phone("1001", "n1")
        cluster.settle(SECOND)
        phone.register("n2", expires_s=600)
        cluster.settle()
        assert phone.registered == 200
        assert cluster.owner("1001") == "n1"
        phone.register("n2", expires_s=0)
        cluster.settle()
        assert phone.registered == 200
        assert cluster.owner("1001") is None
        cluster.check()


class TestOwnershipByApplications:
    def test_a_privileged_application_owns_a_dn_by_registering_it(self, cluster: Cluster) -> None:
        watcher = cluster.desktop("n2", PSTN)
        monitor = cluster.monitor("n2", PSTN)
        owner = cluster.desktop("n1", PSTN, name="GWS", secret="gws")
        cluster.settle()
        assert cluster.owner(PSTN) == "n1"
        for client in (watcher, monitor):
            assert client.pictures[PSTN].in_service
        owner.ask(M.RequestUnregisterAddress, ThisDN=PSTN)
        cluster.settle()
        assert cluster.owner(PSTN) is None
        for client in (watcher, monitor):
            assert not client.pictures[PSTN].in_service
        cluster.check()

    def test_an_application_without_the_right_does_not_own(self, cluster: Cluster) -> None:
        cluster.desktop("n1", PSTN)
        cluster.settle()
        assert cluster.owner(PSTN) is None

    def test_the_node_keeps_the_dn_for_another_privileged_application(self, cluster: Cluster) -> None:
        first = cluster.desktop("n1", PSTN, name="GWS", secret="gws")
        second = cluster.desktop("n1", PSTN, name="GWS2", secret="gws2")
        elsewhere = cluster.desktop("n2", PSTN, name="GWS2", secret="gws2")
        cluster.settle()
        assert cluster.owner(PSTN) == "n1"
        first.disconnect()
        cluster.settle()
        assert cluster.owner(PSTN) == "n1"
        second.disconnect()
        cluster.settle()
        assert cluster.owner(PSTN) is None
        assert not elsewhere.pictures[PSTN].in_service
        cluster.check()

    def test_an_owned_dn_behind_the_trunk_takes_calls(self, cluster: Cluster) -> None:
        desktop = cluster.desktop("n2", PSTN, name="GWS", secret="gws")
        cluster.settle()
        desktop.forget()
        phone, pstn = cluster.phone("1001", "n1"), cluster.caller()
        phone.call(PSTN)
        cluster.world.until(lambda: pstn.has("ringing"))
        pstn.answer()
        cluster.settle()
        assert desktop.names() == ["Ringing", "Established"]
        cluster.check()


class TestBulkRegistration:
    def test_a_smart_client_sees_the_dns_of_its_node_and_no_others(self, cluster: Cluster) -> None:
        cluster.phone("1001", "n1")
        cluster.phone("1002", "n2")
        smart = cluster.client("SFS", ClientRole.SMART, "n1")
        done = smart.ask(M.RequestRegisterAll)
        assert done.id == M.EventRegisteredAll
        assert sorted(smart.pictures) == ["1001"]
        assert smart.pictures["1001"].in_service
        everything = cluster.client("SFS", ClientRole.SMART, "n2")
        everything.ask(M.RequestRegisterAll, Extensions=(("node-dns", 1),))
        assert sorted(everything.pictures) == ["1002", "8000", "8001", "pstn"]
        cluster.check()

    def test_it_hears_of_dns_gained_and_lost(self, cluster: Cluster) -> None:
        smart = cluster.smart("n1")
        phone = cluster.phone("1001", "n1")
        assert smart.names() == ["Registered"]
        assert smart.pictures["1001"].in_service
        phone.register(expires_s=0)
        cluster.settle()
        assert smart.names() == ["Registered", "DNOutOfService", "Unregistered"]
        gone = smart.events[-1]
        assert gone.text(Attribute.ErrorMessage)
        cluster.check()

    def test_it_may_end_it(self, cluster: Cluster) -> None:
        smart = cluster.smart("n1")
        assert smart.ask(M.RequestUnregisterAll).id == M.EventUnregisteredAll
        smart.forget()
        cluster.phone("1001", "n1")
        assert smart.names() == []


class TestWhatGoesAway:
    def test_a_client_that_is_gone_leaves_nothing(self, cluster: Cluster) -> None:
        before = {name: host.node.counts() for name, host in cluster.hosts.items()}
        clients = [
            cluster.router("n1", "8000"),
            cluster.desktop("n1", "1001"),
            cluster.reporter("n1"),
            cluster.monitor("n1", "1001"),
            cluster.smart("n1", node_dns=True),
        ]
        for client in clients:
            client.disconnect()
        cluster.settle()
        assert {name: host.node.counts() for name, host in cluster.hosts.items()} == before
        store = cluster.hosts["n1"].node.store
        assert {record.application.partition("@")[0] for record in store.rows("sessions").values()} == {"SmartProxy"}
        assert not store.rows("registrations")
        cluster.check()

    def test_a_reporting_client_that_is_gone_is_not_missed(self, cluster: Cluster) -> None:
        cluster.phone("1001", "n1")
        first, second = cluster.reporter("n1"), cluster.reporter("n1")
        router = cluster.router("n1", "8000")
        conn_id = arrives(cluster, cluster.caller(), "8000", router)
        cluster.settle()
        busy, idle = (first, second) if first.events else (second, first)
        busy.disconnect()
        cluster.settle()
        assert idle.names() == ["CallCreated"]
        assert ("snapshot", 1) in idle.events[0].pairs(Attribute.Extensions)
        idle.forget()
        route(router, conn_id, "1001")
        cluster.settle()
        assert idle.names() == ["RouteUsed", "Diverted", "Ringing"]
        cluster.check()

    def test_a_cut_link_hides_the_dns_and_its_return_shows_them(self, cluster: Cluster) -> None:
        phone = cluster.phone("1002", "n2")
        near, far = cluster.desktop("n2", "1002"), cluster.desktop("n1", "1002")
        monitor = cluster.monitor("n1", "1002")
        other = cluster.desktop("n1", "1001")
        near.ask(M.RequestAgentLogin, ThisDN="1002", AgentID="a1", AgentWorkMode=int(AgentWorkMode.ManualIn))
        cluster.settle()
        assert cluster.hosts["n1"].node.status()["links"] == {"n2": "up"}
        cluster.world.cut("n1", "n2")
        cluster.settle(2 * SECOND)
        for client in (far, monitor):
            assert not client.pictures["1002"].in_service
            assert client.pictures["1002"].agent_id == "a1"
        assert near.pictures["1002"].in_service
        assert other.names() == []
        near.ask(M.RequestAgentNotReady, ThisDN="1002", AgentWorkMode=0)
        cluster.world.heal("n1", "n2")
        cluster.world.until(cluster.connected)
        cluster.settle(2 * SECOND)
        for client in (far, monitor):
            assert client.pictures["1002"].in_service
            assert not client.pictures["1002"].ready
        assert phone.registered == 200
        cluster.check()

    def test_an_operator_cuts_a_link_and_mends_it(self, cluster: Cluster) -> None:
        cluster.phone("1002", "n2")
        far = cluster.desktop("n1", "1002")
        cluster.hosts["n1"].give(Operator("link", ("n2", "down")))
        cluster.settle(2 * SECOND)
        assert cluster.hosts["n1"].node.status()["links"] == {"n2": "cut"}
        assert not far.pictures["1002"].in_service
        cluster.hosts["n1"].give(Operator("link", ("n2", "up")))
        cluster.settle(3 * SECOND)
        assert far.pictures["1002"].in_service
        cluster.hosts["n1"].give(Operator("dance"))
        assert cluster.hosts["n1"].faults[-1].kind == "operator-command"
        cluster.check()

    def test_a_link_that_falls_silent_is_noticed(self, cluster: Cluster) -> None:
        cluster.phone("1002", "n2")
        far = cluster.desktop("n1", "1002")
        cluster.world.cut("n1", "n2", silent=True)
        cluster.settle(5 * SECOND)
        assert not far.pictures["1002"].in_service
        cluster.world.heal("n1", "n2")
        cluster.settle(6 * SECOND)
        assert far.pictures["1002"].in_service
        cluster.check()

    def test_a_call_across_a_cut_link_goes_on_and_is_seen_again(self, cluster: Cluster) -> None:
        one, other = cluster.phone("1001", "n1"), cluster.phone("1002", "n2")
        near, far = cluster.desktop("n2", "1002"), cluster.desktop("n1", "1002")
        monitor = cluster.monitor("n2", "1001", "1002")
        talks(cluster, one, other)
        cluster.world.cut("n1", "n2")
        cluster.settle(2 * SECOND)
        assert one.has("talking")
        assert other.has("talking")
        one.hang_up()
        cluster.settle(SECOND)
        assert far.names("1002")[-1] in ("Released", "Registered")
        assert not far.pictures["1002"].calls
        cluster.world.heal("n1", "n2")
        cluster.world.until(cluster.connected)
        cluster.settle(2 * SECOND)
        for client in (near, far, monitor):
            assert not client.pictures["1002"].calls, client.name
        cluster.check()

    def test_a_call_that_begins_while_the_link_is_cut(self, cluster: Cluster) -> None:
        cluster.phone("1002", "n2")
        router = cluster.router("n1", "8000")
        cluster.world.cut("n1", "n2")
        cluster.settle(2 * SECOND)
        conn_id = arrives(cluster, cluster.caller(), "8000", router)
        refused(route(router, conn_id, "1002"), ErrorCode.OUT_OF_SERVICE)
        cluster.world.heal("n1", "n2")
        cluster.world.until(cluster.connected)
        cluster.settle()
        assert route(router, conn_id, "1002").id == M.EventRouteUsed
        cluster.settle()
        cluster.check()

    def test_a_crashed_node_s_dns_are_taken_by_another(self, cluster: Cluster) -> None:
        phone = cluster.phone("1002", "n2")
        far = cluster.desktop("n1", "1002")
        cluster.hosts["n2"].crash()
        cluster.settle(2 * SECOND)
        assert not far.pictures["1002"].in_service
        phone.register("n1")
        cluster.settle(10 * SECOND)
        if phone.registered != 200:
            phone.register("n1")
            cluster.settle(3 * SECOND)
        assert phone.registered == 200
        assert cluster.owner("1002") == "n1"
        assert far.pictures["1002"].in_service
        cluster.hosts["n2"].start()
        cluster.world.until(cluster.connected)
        cluster.settle(2 * SECOND)
        assert cluster.owner("1002") == "n1"
        cluster.check()

    def test_a_node_that_restarts_has_lost_its_calls_and_the_others_know(self, cluster: Cluster) -> None:
        one, other = cluster.phone("1001", "n1"), cluster.phone("1002", "n2")
        watcher = cluster.desktop("n2", "1002")
        talks(cluster, one, other)
        assert watcher.pictures["1002"].calls
        cluster.hosts["n1"].crash()
        cluster.settle(SECOND)
        cluster.hosts["n1"].start()
        cluster.world.until(cluster.connected)
        cluster.settle(2 * SECOND)
        assert not watcher.pictures["1002"].calls
        cluster.check()

    def test_the_agents_of_a_node_that_comes_back_empty_are_logged_out(self, cluster: Cluster) -> None:
        cluster.phone("1002", "n2")
        far, monitor = cluster.desktop("n1", "1002"), cluster.monitor("n1", "1002")
        far.ask(M.RequestAgentLogin, ThisDN="1002", AgentID="a1", AgentWorkMode=int(AgentWorkMode.ManualIn))
        cluster.settle()
        cluster.hosts["n2"].crash()
        cluster.settle(2 * SECOND)
        for client in (far, monitor):
            assert client.pictures["1002"].agent_id == "a1", "out of reach is not logged out"
        cluster.hosts["n2"].start()
        cluster.world.until(cluster.connected)
        cluster.settle(2 * SECOND)
        assert cluster.owner("1002") is None
        for client in (far, monitor):
            assert client.pictures["1002"].agent_id == ""
            assert client.names().count("AgentLogout") == 1
        cluster.check()

    def test_a_node_without_its_coordinator_hides_its_dns_and_takes_them_back(self, cluster: Cluster) -> None:
        cluster.phone("1002", "n2")
        near, far = cluster.desktop("n2", "1002"), cluster.desktop("n1", "1002")
        near.ask(M.RequestAgentLogin, ThisDN="1002", AgentID="a1", AgentWorkMode=int(AgentWorkMode.ManualIn))
        cluster.hosts["n2"].engine = False
        cluster.settle(7 * SECOND)
        for client in (near, far):
            assert not client.pictures["1002"].in_service
            assert client.pictures["1002"].agent_id == "a1"
        cluster.hosts["n2"].engine = True
        cluster.settle(5 * SECOND)
        assert cluster.owner("1002") == "n2"
        for client in (near, far):
            assert client.pictures["1002"].in_service
            assert client.pictures["1002"].agent_id == "a1"
        assert "AgentLogout" not in near.names() + far.names()
        cluster.check()

    def test_a_node_that_stops_gives_up_what_it_owns(self, cluster: Cluster) -> None:
        phone = cluster.phone("1002", "n2")
        cluster.hosts["n2"].give(Operator("stop"))
        cluster.settle()
        phone.register("n1")
        cluster.settle(3 * SECOND)
        assert phone.registered == 200
        assert cluster.hosts["n1"].node.t_controller.owned.serves("1002")
