"""The tables of a cluster file as they are written, before anything is checked (design 12)."""

from __future__ import annotations

from typing import Any

import msgspec

from cluster_core.limits import Limits


class ClusterTable(msgspec.Struct, rename="kebab", forbid_unknown_fields=True):
    """Options of [cluster]."""

    name: str = ""
    realm: str = ""
    coordinator: str = "memory"
    insecure: bool = False
    sip_proxies: list[str] = []
    name_servers: list[str] = []


class MemberTable(msgspec.Struct, forbid_unknown_fields=True):
    """Options of [[node.member]]."""

    name: str = ""
    sip: str = msgspec.field(default="", name="sip-port")
    tlib: str = msgspec.field(default="", name="port")
    iproxy: str = msgspec.field(default="", name="IPport")
    tcontroller: str = msgspec.field(default="", name="TCport")
    smartproxy: str = msgspec.field(default="", name="SmartProxy")
    sip_tls: str = msgspec.field(default="", name="sip-port-tls")
    certificate: str = ""
    certificate_key: str = msgspec.field(default="", name="certificate-key")
    trusted_ca: str = msgspec.field(default="", name="trusted-ca")
    tls: list[str] = []
    tls_mutual: list[str] = msgspec.field(default=[], name="tls-mutual")


class NodeTable(msgspec.Struct, rename="kebab", forbid_unknown_fields=True):
    """Options of [[node]]."""

    name: str = ""
    number: int = 0
    geo_location: str = ""
    member: list[dict[str, Any]] = []


class DnTable(msgspec.Struct, rename="kebab", forbid_unknown_fields=True):
    """Options of [dn."1001"]."""

    type: str = ""
    contact: str = ""
    password: str = ""
    prefix: str = ""
    default_dn: str = ""
    sip_cti_control: str = "talk"
    service_type: str = ""
    dn_owner_applications: list[str] = []
    smart_proxy_enabled: bool = False
    digest_algorithms: list[str] = msgspec.field(default_factory=lambda: ["MD5"])
    sip_enable_100rel: str = "supported"
    session_refresh_interval: int = 1800
    session_refresh_minimum: int = 90
    make_call_rfc3725_flow: int = 4


class ClientTable(msgspec.Struct, rename="kebab", forbid_unknown_fields=True):
    """Options of [[client]]."""

    name: str = ""
    role: str = ""
    dns: list[str] = []
    secret: str = ""
    certificate: str = ""


class LimitsTable(msgspec.Struct, rename="kebab", forbid_unknown_fields=True):
    """Options of [limits]: bounds that a file may change."""

    connections: int = Limits().connections
    calls: int = Limits().calls
    calls_per_dn: int = Limits().calls_per_dn
    user_data_bytes: int = Limits().user_data_bytes
    bindings_per_dn: int = Limits().bindings_per_dn
    source_rate: int = Limits().source_rate
    proven_source_rate: int = Limits().proven_source_rate
    source_streams: int = Limits().source_streams
    proven_source_streams: int = Limits().proven_source_streams


class Document(msgspec.Struct, forbid_unknown_fields=True):
    """The whole file, table by table."""

    cluster: dict[str, Any] = {}
    node: list[dict[str, Any]] = []
    dn: dict[str, Any] = {}
    client: list[dict[str, Any]] = []
    limits: dict[str, Any] = {}
