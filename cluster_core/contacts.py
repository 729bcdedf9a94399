"""Where a SIP URI is reached: its address and transport, as far as it names them itself (RFC 3261 section 19.1)."""

from __future__ import annotations

from cluster_core.records import Binding
from sip_proto import ParseError, Target, Uri, parse_uri
from sip_proto.same import same_uri
from sip_proto.uri import address_of, format_address

LISTENERS = {"udp": "sip", "tcp": "sip-tcp", "tls": "sip-tls"}
"""The listener that speaks each transport."""


def transport_of(uri: Uri) -> str:
    """The transport that a URI asks for: `tls` for sips, else its parameter, else UDP."""
    if uri.scheme == "sips":
        return "tls"
    asked = uri.params.get("transport", "udp").lower()
    return asked if asked in LISTENERS else "udp"


def same_contact(one: str, other: str) -> bool:
    """Whether two contacts are one binding (RFC 3261 sections 10.3 step 7 and 19.1.4)."""
    if one == other:
        return True
    try:
        return same_uri(parse_uri(one), parse_uri(other))
    except ParseError:
        return False


def is_late(binding: Binding, call_id: str, cseq: int) -> bool:
    """Whether a REGISTER came later than a younger one that made the binding (RFC 3261 section 10.3 step 7)."""
    return binding.call_id == call_id and cseq <= binding.cseq


def fixed_binding(contact: str, user: str) -> Binding | None:
    """A binding for a contact that is configured, for this user there; None when it is no IP address."""
    uri = parse_uri(contact)
    address = address_of(uri)
    if address is None:
        return None
    transport = transport_of(uri)
    tail = "" if transport == "udp" else f";transport={transport}"
    return Binding(
        f"sip:{user}@{format_address(address)}{tail}", LISTENERS[transport], *address, transport=transport
    )


def named_binding(contact: str, user: str, target: Target) -> Binding:
    """A binding for a configured contact that names a host, at one of the places where the name leads (RFC 3263); under
    TLS each of them must show the certificate of the host (RFC 5922 section 7.1)."""
    uri = parse_uri(contact)
    asked = uri.params.get("transport", "")
    place = f"{uri.host}:{uri.port}" if uri.port else uri.host
    tail = f";transport={asked}" if asked else ""
    transport = target.transport
    name = uri.host.rstrip(".") if transport == "tls" else ""
    return Binding(f"sip:{user}@{place}{tail}", LISTENERS[transport], *target.address, transport=transport, name=name)
