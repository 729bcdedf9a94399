"""A cluster file in TOML, read into `ClusterSettings`; everything wrong with it is said at once (design 12).

Each complaint is `file:line: key: what was expected`. Objects and option names are the source's.
"""

from __future__ import annotations

import ipaddress
import re
import tomllib
from collections.abc import Callable
from pathlib import Path as FilePath
from typing import Any, TypeVar

import msgspec

from cluster_core.limits import Limits
from cluster_core.settings import (
    ClientRole,
    ClientSettings,
    ClusterOptions,
    ClusterSettings,
    DnSettings,
    DnType,
    MemberSettings,
    NodeSettings,
)
from refserver.addresses import is_loopback, split_address
from refserver.config_tables import (
    ClientTable,
    ClusterTable,
    DnTable,
    Document,
    LimitsTable,
    MemberTable,
    NodeTable,
)
from refserver.dns import is_served
from refserver.secrets import well_formed
from refserver.toml_index import Path, TomlIndex
from sip_proto import ParseError, parse_uri
from sip_proto.uri import address_of

CLUSTER_SERVICE = "sip-cluster-nodes"
MAX_FILE_BYTES = 16 * 1_048_576
LISTENERS = {
    "sip": "sip-port",
    "tlib": "port",
    "iproxy": "IPport",
    "tcontroller": "TCport",
    "smartproxy": "SmartProxy",
}
"""Our name of each listener, and the source's option that says where it is."""

TLS_LISTENERS = {"sip_tls": "sip-port-tls"}
"""Listeners that may be left out, and need a certificate."""

_SECRETS = ("password", "secret")
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}\Z")
_APPLICATION = re.compile(r"[ -~]{1,128}\Z")
_DN = re.compile(r"[A-Za-z0-9_.+*#-]{1,64}\Z")
_HOST = re.compile(r"(?=.{1,253}\Z)[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})*\.?\Z")
_RANGE = re.compile(r"([0-9]{1,18})-([0-9]{1,18})\Z")
_T = TypeVar("_T", bound=msgspec.Struct)


class ConfigError(Exception):
    """A cluster file that cannot be used; `problems` has a line for each thing wrong with it."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


DIGEST_ALGORITHMS = ("MD5", "SHA-256")
"""What a phone may be asked to prove its password by."""

CLUSTER_OPTIONS = ("dn-owner-applications", "smart-proxy-enabled", "session-refresh-minimum")
"""Options that stand on the DN of the cluster and nowhere else."""


def load(path: str | FilePath) -> ClusterSettings:
    """Settings of the cluster file at `path`; ConfigError with every complaint if it is wrong."""
    name = str(path)
    try:
        with open(path, "rb") as file:
            raw = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise ConfigError([f"{name}: cannot be read: {error.strerror or error}"]) from None
    if len(raw) > MAX_FILE_BYTES:
        raise ConfigError([f"{name}: larger than {MAX_FILE_BYTES} bytes"])
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise ConfigError([f"{name}:{line}: expected UTF-8 text"]) from None
    return parse(text, name)


def parse(text: str, name: str = "<text>") -> ClusterSettings:
    """Settings of a cluster file's text; `name` stands for the file in complaints."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError([_syntax(str(error), name, text.count("\n") + 1)]) from None
    except RecursionError:
        raise ConfigError([f"{name}:1: nested too deep"]) from None
    reader = _Reader(name, TomlIndex(text))
    settings = reader.cluster(document)
    if reader.problems:
        raise ConfigError([problem for _, problem in sorted(reader.problems, key=lambda pair: pair[0])])
    return settings


def _syntax(message: str, name: str, last: int) -> str:
    """A syntax error of tomllib in our form, at the `last` line if it names none."""
    found = re.search(r"\s*\(at line (\d+), column (\d+)\)\Z", message)
    place = f"{name}:{found[1] if found else last}"
    what = message[: found.start()] if found else message
    twice = re.match(r"Cannot declare \((.*)\) twice", what)
    if twice:
        key = ".".join(part.strip(" '\"") for part in twice[1].split(",") if part.strip())
        return f"{place}: {key}: declared twice, expected each once"
    return f"{place}: not TOML: {what[:1].lower()}{what[1:]}"


class _Reader:
    """One reading of one document: checks everything it can, remembers what was wrong and where."""

    def __init__(self, name: str, index: TomlIndex) -> None:
        self.name = name
        self.index = index
        self.problems: list[tuple[int, str]] = []
        self._ports: dict[tuple[str, str, int], str] = {}

    def wrong(self, path: Path, text: str) -> None:
        """Note that what stands at `path` is wrong."""
        key = ".".join(f'"{p}"' if isinstance(p, str) and not _NAME.match(p) else str(p) for p in path)
        self.at(self.index.line(path), f"{key}: {text}" if key else text)

    def at(self, line: int, text: str) -> None:
        """Note that something is wrong at a line."""
        self.problems.append((line, f"{self.name}:{line}: {text}"))

    def record(self, kind: type[_T], table: object, path: Path) -> _T:
        """A record of that kind from a table; what is unknown or of a wrong type is noted and left out."""
        if not isinstance(table, dict):
            self.wrong(path, f"expected a table, got {_said(table)}")
            return kind()
        fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
        taken: dict[str, Any] = {}
        for key, value in table.items():
            field = fields.get(key)
            if field is None:
                self.wrong((*path, key), f"unknown option; known here: {', '.join(sorted(fields))}")
                continue
            try:
                taken[field.name] = msgspec.convert(value, field.type)
            except msgspec.ValidationError:
                got = type(value).__name__ if field.name in _SECRETS else _said(value)
                self.wrong((*path, key), f"expected {_wanted(field.type)}, got {got}")
        return kind(**taken)

    def cluster(self, document: dict[str, Any]) -> ClusterSettings:
        """The whole document."""
        for line, key in self.index.bare_digits:
            self.at(line, f'{key}: expected a quoted string, "{key}": a DN is not a number')
        top = self.record(Document, document, ())
        cluster = self.record(ClusterTable, top.cluster, ("cluster",))
        if not cluster.name:
            self.wrong(("cluster", "name"), "expected the cluster's name")
        if cluster.coordinator != "memory":
            self.wrong(("cluster", "coordinator"), f'expected "memory", got {_said(cluster.coordinator)}')
        for position, proxy in enumerate(cluster.sip_proxies):
            if not _is_address(proxy):
                path = ("cluster", "sip-proxies", position)
                self.wrong(path, f"expected an IP address, got {_said(proxy)}")
        for position, server in enumerate(cluster.name_servers):
            if not _is_place(server):
                path = ("cluster", "name-servers", position)
                self.wrong(path, f"expected an IP address and a port, such as 127.0.0.1:53, got {_said(server)}")
        dns, options = self.dns(top.dn)
        clients = self.clients(top.client)
        nodes = self.nodes(top.node, cluster, dns)
        self.owners(options, clients)
        self.diallers(dns, nodes)
        return ClusterSettings(
            name=cluster.name,
            realm=cluster.realm or cluster.name,
            nodes=nodes,
            dns=dns,
            clients=clients,
            options=options,
            limits=self.limits(top.limits),
            sip_proxies=tuple(cluster.sip_proxies),
            insecure=cluster.insecure,
            name_servers=tuple(cluster.name_servers),
        )

    def diallers(self, dns: dict[str, DnSettings], nodes: tuple[NodeSettings, ...]) -> None:
        """A trunk under TLS is dialled by a TLS listener, which shows its certificate there."""
        if all(member.sip_tls for node in nodes for member in node.members):
            return
        for number, dn in dns.items():
            if dn.type is DnType.TRUNK and _is_tls(dn.contact):
                self.wrong(("dn", number, "contact"), "expected sip-port-tls on every member, for a trunk under TLS")

    def limits(self, table: dict[str, Any]) -> Limits:
        """Bounds that differ from ours."""
        limits = self.record(LimitsTable, table, ("limits",))
        for field in msgspec.structs.fields(LimitsTable):
            value = getattr(limits, field.name)
            if not 1 <= value <= 1_000_000:
                self.wrong(("limits", field.encode_name), f"expected 1 to 1000000, got {value}")
        return Limits(**msgspec.structs.asdict(limits))

    def nodes(
        self, tables: list[dict[str, Any]], cluster: ClusterTable, dns: dict[str, DnSettings]
    ) -> tuple[NodeSettings, ...]:
        """The nodes, in the order of the file."""
        if not tables:
            self.wrong(("node",), "expected at least one [[node]]")
        nodes: list[NodeSettings] = []
        names: dict[str, int] = {}
        numbers: dict[int, int] = {}
        proven = bool(cluster.sip_proxies) or all(
            dn.password for dn in dns.values() if dn.type is DnType.EXTENSION and dn.contact == "*"
        )
        for position, table in enumerate(tables):
            path: Path = ("node", position)
            node = self.record(NodeTable, table, path)
            if not _NAME.match(node.name):
                self.wrong((*path, "name"), "expected a name of letters, digits and _.-")
            self.once(names, node.name, (*path, "name"), "name")
            if not 1 <= node.number <= 4095:
                self.wrong((*path, "number"), f"expected 1 to 4095, got {node.number}")
            else:
                self.once(numbers, node.number, (*path, "number"), "number")
            members = self.members(node, path, cluster, proven)
            nodes.append(
                NodeSettings(
                    name=node.name, number=node.number, geo_location=node.geo_location, members=tuple(members)
                )
            )
        return tuple(nodes)

    def members(
        self, node: NodeTable, path: Path, cluster: ClusterTable, proven: bool
    ) -> list[MemberSettings]:
        """The members of a node; there is one, until backups are served."""
        if not node.member:
            self.wrong((*path, "member"), "expected one [[node.member]]")
        members = []
        names: dict[str, int] = {}
        for position, table in enumerate(node.member):
            here: Path = (*path, "member", position)
            member = self.record(MemberTable, table, here)
            if not _NAME.match(member.name):
                self.wrong((*here, "name"), "expected a name of letters, digits and _.-")
            self.once(names, member.name, (*here, "name"), "name")
            if position == 1:
                self.wrong(here, "a second member: backups are not served yet, expected one [[node.member]]")
            tls = self.listeners_of(member.tls, (*here, "tls"))
            mutual = self.listeners_of(member.tls_mutual, (*here, "tls-mutual"))
            for ours in mutual:
                if ours not in tls:
                    got = LISTENERS[ours]
                    self.wrong((*here, "tls-mutual"), f"expected listeners that tls names too, got {got}")
            if mutual and not member.trusted_ca:
                self.wrong((*here, "trusted-ca"), "expected the file of the certificates that tls-mutual believes")
            for ours, option in LISTENERS.items():
                safe = proven if ours == "sip" else ours in tls
                self.listener(ours, getattr(member, ours), (*here, option), cluster, safe)
            if member.sip_tls:
                self.listener("sip_tls", member.sip_tls, (*here, TLS_LISTENERS["sip_tls"]), cluster, proven)
            if member.sip_tls or tls:
                for file in ("certificate", "certificate_key"):
                    if not getattr(member, file):
                        key = file.replace("_", "-")
                        self.wrong((*here, key), f"expected the file of the {key} that TLS needs")
            fields = {**msgspec.structs.asdict(member), "tls": tls, "tls_mutual": mutual}
            members.append(MemberSettings(**fields))
        return members

    def listeners_of(self, options: list[str], path: Path) -> tuple[str, ...]:
        """Our names of T-Library listeners that are named by their options."""
        names = {option: ours for ours, option in LISTENERS.items() if ours != "sip"}
        for position, option in enumerate(options):
            if option not in names:
                self.wrong((*path, position), f"expected one of {', '.join(names)}, got {_said(option)}")
        return tuple(names[option] for option in options if option in names)

    def listener(self, ours: str, text: str, path: Path, cluster: ClusterTable, proven: bool) -> None:
        """Check where one listener stands and whom it would let in."""
        try:
            host, port = split_address(text)
        except ValueError:
            self.wrong(path, f"expected an IP address and a port, such as 127.0.0.1:5060, got {_said(text)}")
            return
        # SIP is served over UDP and TCP on one port.
        for transport in ("udp", "tcp") if ours == "sip" else ("tcp",):
            place = (transport, host, port)
            if port and place in self._ports:
                self.wrong(path, f"{text} is used already by {self._ports[place]}; port 0 takes a free one")
                break
            self._ports.setdefault(place, f"line {self.index.line(path)}")
        if ours in ("sip", "sip_tls", "tcontroller") and ipaddress.ip_address(host).is_unspecified:
            self.wrong(path, f"{text} is no address that others can send to, expected one of this host")
        if cluster.insecure or is_loopback(host):
            return
        if proven:
            return
        if ours in ("sip", "sip_tls"):
            self.wrong(
                path,
                f'{text} is off loopback; expected a password on every Extension with contact "*", '
                "or sip-proxies, or insecure = true",
            )
        else:
            self.wrong(path, f"{text} is off loopback; expected it in tls, or 127.0.0.1, or insecure = true")

    def once(self, seen: dict[Any, int], key: object, path: Path, what: str) -> None:
        """Note a key that stands for the second time."""
        line = self.index.line(path)
        if key in seen and key != "":
            self.wrong(path, f"{what} {_said(key)} is taken already on line {seen[key]}")
        seen.setdefault(key, line)

    def dns(self, tables: dict[str, Any]) -> tuple[dict[str, DnSettings], ClusterOptions]:
        """The DNs of the switch, and the options that stand on the cluster's own DN."""
        dns: dict[str, DnSettings] = {}
        options = ClusterOptions()
        cluster_dn = ""
        types = {kind.value: kind for kind in DnType}
        for number, table in tables.items():
            path: Path = ("dn", number)
            dn = self.record(DnTable, table, path)
            if not _DN.match(number):
                self.wrong(path, "expected a DN of at most 64 letters, digits and _.+*#-")
            kind = types.get(dn.type)
            if kind is None:
                self.wrong((*path, "type"), f"expected one of {', '.join(types)}, got {_said(dn.type)}")
                continue
            if dn.service_type == CLUSTER_SERVICE:
                if cluster_dn:
                    self.wrong(path, f'a second "{CLUSTER_SERVICE}"; the first is {cluster_dn}')
                cluster_dn = number
                options = self.options(dn, path)
            elif isinstance(table, dict):
                for key in CLUSTER_OPTIONS:
                    if key in table:
                        self.wrong((*path, key), f'expected only on the "{CLUSTER_SERVICE}" DN')
            self.dn(number, kind, dn, path, tables)
            dns[number] = DnSettings(
                dn=number,
                type=kind,
                contact=dn.contact or ("*" if kind is DnType.EXTENSION else ""),
                password=dn.password,
                prefix=dn.prefix,
                default_dn=dn.default_dn,
                sip_cti_control=dn.sip_cti_control,
                digest_algorithms=tuple(dn.digest_algorithms),
                sip_enable_100rel=dn.sip_enable_100rel,
                session_refresh_interval=dn.session_refresh_interval,
                make_call_rfc3725_flow=dn.make_call_rfc3725_flow,
            )
        return dns, options

    def dn(self, number: str, kind: DnType, dn: DnTable, path: Path, tables: dict[str, Any]) -> None:
        """Options whose values depend on the kind of the DN."""
        if dn.contact and dn.contact != "*" and not re.match(r"sips?:[!-~]+\Z", dn.contact):
            self.wrong((*path, "contact"), f'expected "*" or a SIP URI, got {_said(dn.contact)}')
        if kind is DnType.TRUNK and (not dn.contact or dn.contact == "*"):
            self.wrong((*path, "contact"), "expected the SIP URI of the trunk's other end")
        elif dn.contact and dn.contact != "*" and (wrong := _wrong_contact(dn.contact, kind, tables)):
            self.wrong((*path, "contact"), f"{wrong}, got {_said(dn.contact)}")
        if dn.prefix and not re.match(r"[0-9+*#]{1,32}\Z", dn.prefix):
            self.wrong((*path, "prefix"), f"expected at most 32 dialled digits, got {_said(dn.prefix)}")
        if dn.default_dn and dn.default_dn not in tables:
            self.wrong((*path, "default-dn"), f"expected a DN of this file, got {_said(dn.default_dn)}")
        if dn.sip_cti_control not in ("talk", "none"):
            got = _said(dn.sip_cti_control)
            self.wrong((*path, "sip-cti-control"), f'expected "talk" or "none", got {got}')
        algorithms = dn.digest_algorithms
        if not algorithms or not set(algorithms) <= set(DIGEST_ALGORITHMS) or len(set(algorithms)) < len(algorithms):
            got = _said(", ".join(algorithms))
            self.wrong((*path, "digest-algorithms"), f"expected {' or '.join(DIGEST_ALGORITHMS)}, or both, got {got}")
        for key, fits, wanted in _SESSION_OPTIONS:
            value = getattr(dn, key)
            if not fits(value):
                self.wrong((*path, key.replace("_", "-")), f"expected {wanted}, got {_said(value)}")
        if dn.service_type and kind is not DnType.VOIP_SERVICE:
            self.wrong((*path, "service-type"), f'expected only on a "{DnType.VOIP_SERVICE.value}"')
        if any(char in dn.password for char in "\r\n\0"):
            self.wrong((*path, "password"), "expected one line of text")

    def options(self, dn: DnTable, path: Path) -> ClusterOptions:
        """The options of the whole cluster."""
        return ClusterOptions(
            dn_owner_applications=tuple(dn.dn_owner_applications),
            smart_proxy_enabled=dn.smart_proxy_enabled,
            session_refresh_minimum=dn.session_refresh_minimum,
        )

    def clients(self, tables: list[dict[str, Any]]) -> tuple[ClientSettings, ...]:
        """The applications, in the order of the file."""
        clients = []
        names: dict[str, int] = {}
        roles = {role.value: role for role in ClientRole if role is not ClientRole.PEER}
        for position, table in enumerate(tables):
            path: Path = ("client", position)
            client = self.record(ClientTable, table, path)
            if not _APPLICATION.match(client.name):
                self.wrong((*path, "name"), "expected the application's name")
            self.once(names, client.name, (*path, "name"), "name")
            role = roles.get(client.role)
            if role is None:
                self.wrong((*path, "role"), f"expected one of {', '.join(roles)}, got {_said(client.role)}")
                continue
            for place, text in enumerate(client.dns):
                if not _is_range(text):
                    got = _said(text)
                    self.wrong(
                        (*path, "dns", place), f'expected a DN or a range such as "1000-1999", got {got}'
                    )
            if client.secret and not well_formed(client.secret):
                self.wrong((*path, "secret"), "expected a hash made by `refserver secret`")
            clients.append(
                ClientSettings(
                    name=client.name,
                    role=role,
                    dns=tuple(client.dns),
                    secret=client.secret,
                    certificate=client.certificate,
                )
            )
        return tuple(clients)

    def owners(self, options: ClusterOptions, clients: tuple[ClientSettings, ...]) -> None:
        """An application that may own DNs needs proof of its name (design 6)."""
        secrets = {client.name: client.secret or client.certificate for client in clients}
        for name in options.dn_owner_applications:
            if not secrets.get(name):
                path = next((p for p in self.index.lines if p[-1:] == ("dn-owner-applications",)), ())
                wanted = "a [[client]] with that name and a secret or certificate"
                self.wrong(path, f"{_said(name)} proves nothing; expected {wanted}")


def _said(value: object) -> str:
    """A value as a complaint shows it: short, and no secret is ever in one."""
    text = repr(value) if not isinstance(value, str) else f'"{value}"'
    return text if len(text) <= 60 else f"{text[:57]}..."


_LEAST_S, _MOST_S = 90, 86_400
_SESSION_OPTIONS: tuple[tuple[str, Callable[[Any], bool], str], ...] = (
    ("sip_enable_100rel", lambda value: value in ("no", "supported", "required"), '"no", "supported" or "required"'),
    (
        "session_refresh_interval",
        lambda value: value == 0 or _LEAST_S <= value <= _MOST_S,
        f"{_LEAST_S} to {_MOST_S} seconds, or 0 for no session timer",
    ),
    (
        "session_refresh_minimum",
        lambda value: _LEAST_S <= value <= _MOST_S,
        f"{_LEAST_S} to {_MOST_S} seconds",
    ),
    ("make_call_rfc3725_flow", lambda value: value in (1, 3, 4), "1, 3 or 4"),
)
"""Options of SIP sessions, what they may be, and how a complaint says that (RFC 3262, 4028, 3725)."""

_WANTED = {
    str: "a string",
    int: "a whole number",
    bool: "true or false",
    list[str]: "a list of strings",
    dict[str, Any]: "a table",
    list[dict[str, Any]]: "an array of tables, [[...]]",
}


def _wanted(kind: Any) -> str:
    return next((text for known, text in _WANTED.items() if known == kind), str(kind))


def _wrong_contact(contact: str, kind: DnType, tables: dict[str, Any]) -> str:
    """What was expected of the contact of a trunk, or of a phone that is reached through one."""
    try:
        uri = parse_uri(contact)
    except ParseError:
        return "" if kind is not DnType.TRUNK else "expected a SIP URI"
    if kind is not DnType.TRUNK:
        trunk = tables.get(uri.host)
        through = trunk.get("contact") if isinstance(trunk, dict) else None
        named = isinstance(through, str) and re.match(r"sips?:", through) and _names_host(through)
        return "expected a trunk whose contact is an IP address" if named else ""
    if not _names_host(contact):
        return ""
    if uri.params.get("transport", "udp").lower() not in ("udp", "tcp", "tls"):
        return "expected a host's name over UDP, TCP or TLS"
    if not _HOST.match(uri.host):
        return "expected an IP address or a host's name"
    if not is_served():
        return "expected an IP address; a host's name needs dnspython: install the extra `server`"
    return ""


def _is_tls(contact: str) -> bool:
    try:
        uri = parse_uri(contact)
    except ParseError:
        return False
    return uri.scheme == "sips" or uri.params.get("transport", "").lower() == "tls"


def _names_host(contact: str) -> bool:
    try:
        return address_of(parse_uri(contact)) is None
    except ParseError:
        return False


def _is_place(text: str) -> bool:
    try:
        return split_address(text)[1] > 0
    except ValueError:
        return False


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _is_range(text: str) -> bool:
    found = _RANGE.match(text)
    if found:
        return int(found[1]) <= int(found[2]) and len(found[1]) == len(found[2])
    return bool(_DN.match(text))
