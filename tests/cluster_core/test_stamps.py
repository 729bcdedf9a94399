"""Each event says when it is and which number it has in this run of the server: also those that a session writes."""

from cluster_core.inputs import Received
from cluster_core.settings import ClientRole
from tests.cluster_core.alone import Alone
from tlib_proto import Attribute, ErrorCode, Message, MessageType, encode


def test_numbers_rise_by_one_over_whatever_the_node_sends_to_whomever():
    alone = Alone()
    desk = alone.program("Desk", ClientRole.DESKTOP, "tcontroller", "1001")
    other = alone.program("Stat", ClientRole.MONITOR, "smartproxy")
    first = desk.ask(MessageType.RequestQueryServer).number(Attribute.EventSequenceNumber)
    answers = [
        other.ask(MessageType.RequestRegisterAddress, ThisDN="nobody"),  # refused by the node
        desk.ask(MessageType.RequestDistributeEvent, ThisDN="1001"),
        desk.ask(MessageType.RequestRegisterAddress, ThisDN="1002"),
    ]
    numbers = [answer.number(Attribute.EventSequenceNumber) for answer in answers]
    assert numbers == [first + 1, first + 2, first + 3]


def test_an_error_that_the_session_writes_has_its_number_too():
    alone = Alone()
    desk = alone.program("Desk", ClientRole.DESKTOP, "tcontroller")
    before = desk.number
    alone.give(Received(desk.conn, encode(Message(1999, 5))))
    assert desk.number == before + 1
    [refused] = desk.answers(5)
    assert refused.number(Attribute.ErrorCode) == ErrorCode.UNSUP_OPER
