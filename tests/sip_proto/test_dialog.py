from sip_proto.dialog import apply_routes, next_hop, route_uri


def test_loose_routes_leave_the_target_in_the_first_line() -> None:
    uri, lines, hop = apply_routes("sip:t@h", ("<sip:p1;lr>", "<sip:p2>"))
    assert (uri, hop) == ("sip:t@h", "sip:p1;lr")
    assert lines == "Route: <sip:p1;lr>\r\nRoute: <sip:p2>\r\n"
    assert apply_routes("sip:t@h", ()) == ("sip:t@h", "", "sip:t@h")


def test_a_strict_route_takes_the_first_line_and_the_target_goes_last() -> None:
    uri, lines, hop = apply_routes("sip:t@h", ("<sip:p1>", "<sip:p2;lr>"))
    assert (uri, hop) == ("sip:p1", "sip:p1")
    assert lines == "Route: <sip:p2;lr>\r\nRoute: <sip:t@h>\r\n"


def test_a_route_that_cannot_be_read_counts_as_loose() -> None:
    assert apply_routes("sip:t@h", ("junk",))[0] == "sip:t@h"
    assert route_uri("sip:p;lr") == "sip:p"


def test_the_next_hop_is_an_ip_literal_or_the_known_address() -> None:
    known = ("192.0.2.1", 5080)
    assert next_hop("sip:x@198.51.100.1:5070", known) == ("198.51.100.1", 5070)
    assert next_hop("sip:x@example.org", known) == known
    assert next_hop("junk", known) == known
