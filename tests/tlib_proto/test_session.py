from tests.tlib_proto.pair import HELLO, Pair
from tlib_proto.constants import Attribute, MessageType
from tlib_proto.records import Greeted, Incoming, Linked, Message


def test_a_client_says_hello_sends_a_request_and_hears_an_event() -> None:
    pair = Pair()
    pair.open()
    assert pair.at_server == [Greeted(HELLO, 1)]
    (linked,) = pair.at_client
    assert isinstance(linked, Linked)
    assert linked.message.ref == 1
    out: list = []
    ref = pair.client.request(
        pair.now, Message(MessageType.RequestRegisterAddress, 0, {Attribute.ThisDN: "1001"}), out
    )
    pair.carry(out, [])
    assert pair.at_server[1:] == [
        Incoming(Message(MessageType.RequestRegisterAddress, ref, {Attribute.ThisDN: "1001"}))
    ]
    out = []
    event = Message(MessageType.EventRegistered, ref, {Attribute.ThisDN: "1001"})
    pair.server.send(pair.now, event, out)
    pair.carry([], out)
    assert pair.at_client[1:] == [Incoming(event)]
