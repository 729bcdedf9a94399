"""A node that stops says so to every client before it closes the stream."""

from cluster_core.inputs import Operator
from cluster_core.settings import ClientRole
from tests.cluster_core.alone import Alone
from tests.cluster_core.test_addresses import PORTS
from tlib_proto import Attribute, ErrorCode, MessageType


def test_every_client_hears_that_the_node_stops_and_why_then_its_stream_is_closed():
    alone = Alone()
    programs = [alone.program(name, role, port) for name, role, port in PORTS]
    programs.append(alone.program("ICON", ClientRole.REPORTING, "iproxy"))
    alone.give(Operator("stop"))
    for program in programs:
        last = program.events[-1]
        assert last.id == MessageType.EventLinkDisconnected
        assert last.number(Attribute.ErrorCode) == ErrorCode.OUT_OF_SERVICE
        assert last.text(Attribute.ErrorMessage) == program.closed == "The node stops"
        assert last.text(Attribute.NodeName) == "n1"
    assert alone.node.counts()["clients"] == alone.node.counts()["streams"] == 0


def test_what_the_end_of_a_node_does_to_a_dn_is_told_before():
    alone = Alone()
    desk = alone.program("Desk", ClientRole.DESKTOP, "tcontroller", "1001")
    alone.phone("1001", ("198.51.100.1", 5060))
    alone.give(Operator("stop"))
    assert desk.names()[-1] == "LinkDisconnected"
    assert desk.names().count("LinkDisconnected") == 1
    alone.run(5_000_000)
    assert desk.names()[-1] == "LinkDisconnected"
