from sip_proto import node_of_call_id, node_of_tag
from sip_proto.ids import Ids


def test_ids_carry_their_node_and_repeat_with_their_seed() -> None:
    one, two, other = Ids(b"s", 7), Ids(b"s", 7), Ids(b"t", 7)
    tag = one.tag()
    assert tag == two.tag() != other.tag()
    assert one.tag() != tag
    assert node_of_tag(tag) == 7
    assert node_of_call_id(one.call_id("192.0.2.1")) == 7
    assert one.branch().startswith("z9hG4bK")


def test_foreign_ids_have_no_node() -> None:
    assert node_of_tag("abc") is None
    assert node_of_tag("abc-n7@x") is None
    assert node_of_call_id("abc@host") is None
    assert node_of_tag(Ids(b"s", 0).tag()) is None


def test_a_stateless_tag_is_the_same_for_the_same_text() -> None:
    ids = Ids(b"s", 1)
    assert ids.tag_of("via") == ids.tag_of("via") != ids.tag_of("via2")
