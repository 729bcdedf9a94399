"""What a cluster is configured to be: typed, immutable, already checked by whoever read it.

The objects and option names are the source's (seed; design 12); a DN is a string, always.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from cluster_core.limits import Limits


class DnType(StrEnum):
    """The kinds of DN that a cluster switch holds."""

    EXTENSION = "Extension"
    ROUTING_POINT = "Routing Point"
    TRUNK = "Trunk"
    VOIP_SERVICE = "VoIP Service"


class ClientRole(StrEnum):
    """What a T-Library client is, which decides where it may connect and what it may ask (design 6)."""

    ROUTER = "router"
    REPORTING = "reporting"
    DESKTOP = "desktop"
    SMART = "smart"
    MONITOR = "monitor"
    PEER = "peer"


class DnSettings(msgspec.Struct, frozen=True, kw_only=True):
    """One DN of the switch.

    `contact` "*" is a SIP-registered phone, whose ownership follows its registration; anything else of an Extension
    belongs to a T-Library registration (seed, DN ownership). For a Trunk it is the next hop, a SIP URI, and `prefix`
    the leading digits that are dialled through it. `sip_cti_control` "talk" says that the phone answers on request.
    `digest_algorithms` are offered to the phone in this order: MD5, SHA-256 or both. `sip_enable_100rel` is "no",
    "supported" or "required" (RFC 3262); `session_refresh_interval` is in seconds, 0 for no session timer (RFC 4028);
    `make_call_rfc3725_flow` is the flow, 1, 3 or 4, by which a program's call begins at this phone.
    """

    dn: str
    type: DnType
    contact: str = "*"
    password: str = ""
    prefix: str = ""
    default_dn: str = ""
    sip_cti_control: str = "talk"
    digest_algorithms: tuple[str, ...] = ("MD5",)
    sip_enable_100rel: str = "supported"
    session_refresh_interval: int = 1800
    make_call_rfc3725_flow: int = 4


class ClientSettings(msgspec.Struct, frozen=True, kw_only=True):
    """An application by name: its role, the DN ranges it may touch ("1000-1999" or "1000"), and how it proves itself.

    `secret` is a salted scrypt hash (`scrypt$n$r$p$salt$hash`), `certificate` a name of its TLS certificate; with
    neither, the name alone must do, which counts only on loopback and never for the right to own DNs.
    """

    name: str
    role: ClientRole
    dns: tuple[str, ...] = ()
    secret: str = ""
    certificate: str = ""

    def __repr__(self) -> str:
        return f"ClientSettings(name={self.name!r}, role={self.role.value!r}, secret={'***' if self.secret else ''!r})"


class MemberSettings(msgspec.Struct, frozen=True, kw_only=True):
    """One process of a node, and its listeners as host:port.

    `sip` is one for UDP and one for TCP; `sip_tls` is empty when there is none, else `certificate` and
    `certificate_key` are the files of its certificate, and `trusted_ca` the file of those that it believes when it
    connects itself, empty for the system's. `tls` are the T-Library listeners under TLS, `tls_mutual` those of them
    that ask for the client's certificate too.
    """

    name: str
    sip: str
    tlib: str
    iproxy: str
    tcontroller: str
    smartproxy: str
    sip_tls: str = ""
    certificate: str = ""
    certificate_key: str = ""
    tls: tuple[str, ...] = ()
    tls_mutual: tuple[str, ...] = ()
    trusted_ca: str = ""


class NodeSettings(msgspec.Struct, frozen=True, kw_only=True):
    """A node: a name, a number 1 to 4095 that its ConnIDs carry, a place, and one or two members."""

    name: str
    number: int
    geo_location: str = ""
    members: tuple[MemberSettings, ...] = ()


class ClusterOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Options of the DN whose `service-type` is `sip-cluster-nodes`; `session_refresh_minimum` is the least interval
    of a session timer, in seconds, that any peer is granted (RFC 4028)."""

    dn_owner_applications: tuple[str, ...] = ()
    smart_proxy_enabled: bool = False
    session_refresh_minimum: int = 90


class ClusterSettings(msgspec.Struct, frozen=True, kw_only=True):
    """A whole cluster: its nodes, its one switch of DNs, its applications.

    `sip_proxies` are the addresses whose requests need no digest of the phone; `insecure` permits listeners off
    loopback without proof; `link_secret` is what T-Controllers prove to each other that they are of one cluster;
    `name_servers` are asked for the hosts of trunks, host:port each, none for those of the system.
    """

    name: str
    realm: str
    nodes: tuple[NodeSettings, ...]
    dns: dict[str, DnSettings]
    clients: tuple[ClientSettings, ...] = ()
    options: ClusterOptions = ClusterOptions()
    limits: Limits = Limits()
    sip_proxies: tuple[str, ...] = ()
    insecure: bool = False
    link_secret: str = ""
    name_servers: tuple[str, ...] = ()

    def node(self, name: str) -> NodeSettings:
        """The node of that name; KeyError if there is none."""
        for node in self.nodes:
            if node.name == name:
                return node
        raise KeyError(name)
