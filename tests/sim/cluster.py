"""A cluster as stories need it: nodes n1, n2 ..., phones 1001 ..., a Routing Point, a trunk, clients by role."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

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
from tests.sim.actors import Client, Phone
from tests.sim.world import SECOND, World
from tlib_proto import Message, MessageType

PORTS = {
    ClientRole.ROUTER: "tlib",
    ClientRole.REPORTING: "iproxy",
    ClientRole.DESKTOP: "tcontroller",
    ClientRole.SMART: "tcontroller",
    ClientRole.MONITOR: "smartproxy",
}
TRUNK = ("192.0.2.200", 5060)
PSTN = "7001"


def hashed(secret: str) -> str:
    """A secret as it is configured, hashed as cheaply as may be."""
    salt = b"salt-of-a-test"
    digest = hashlib.scrypt(secret.encode(), salt=salt, n=16, r=1, p=1, dklen=32)
    return f"scrypt$16$1$1${salt.hex()}${digest.hex()}"


CLIENTS = (
    ClientSettings(name="URS", role=ClientRole.ROUTER),
    ClientSettings(name="ORS", role=ClientRole.ROUTER),
    ClientSettings(name="ICON", role=ClientRole.REPORTING),
    ClientSettings(name="Desk", role=ClientRole.DESKTOP),
    ClientSettings(name="Narrow", role=ClientRole.DESKTOP, dns=("1000-1001",)),
    ClientSettings(name="GWS", role=ClientRole.DESKTOP, secret=hashed("gws")),
    ClientSettings(name="GWS2", role=ClientRole.DESKTOP, secret=hashed("gws2")),
    ClientSettings(name="SFS", role=ClientRole.SMART),
    ClientSettings(name="Stat", role=ClientRole.MONITOR),
)


def settings(
    nodes: int = 2, *, optimised: bool = True, limits: Limits | None = None, phones: int = 4
) -> ClusterSettings:
    """A cluster of so many nodes and phones."""
    made = []
    for number in range(1, nodes + 1):
        host = f"192.0.2.{number}"
        ports = [f"{host}:{port}" for port in (5060, 3301, 3302, 3303, 3304)]
        made.append(
            NodeSettings(
                name=f"n{number}",
                number=number,
                geo_location=f"DC{number}",
                members=(_member(ports),),
            )
        )
    dns = {
        "cluster": DnSettings(dn="cluster", type=DnType.VOIP_SERVICE),
        "8000": DnSettings(dn="8000", type=DnType.ROUTING_POINT, default_dn="1001"),
        "8001": DnSettings(dn="8001", type=DnType.ROUTING_POINT),
        "pstn": DnSettings(dn="pstn", type=DnType.TRUNK, prefix="9", contact=f"sip:{TRUNK[0]}:{TRUNK[1]}"),
        PSTN: DnSettings(dn=PSTN, type=DnType.EXTENSION, contact=f"sip:{PSTN}@{TRUNK[0]}:{TRUNK[1]}"),
    }
    for number in range(1001, 1001 + phones):
        dns[str(number)] = DnSettings(dn=str(number), type=DnType.EXTENSION, password="secret")
    return ClusterSettings(
        name="sim",
        realm="sim.example",
        nodes=tuple(made),
        dns=dns,
        clients=CLIENTS,
        options=ClusterOptions(dn_owner_applications=("GWS", "GWS2"), smart_proxy_enabled=optimised),
        limits=limits or Limits(),
        link_secret="one cluster",
    )


def _member(ports: list[str]) -> MemberSettings:
    sip, tlib, iproxy, tcontroller, smartproxy = ports
    return MemberSettings(name="a", sip=sip, tlib=tlib, iproxy=iproxy, tcontroller=tcontroller, smartproxy=smartproxy)


class Cluster:
    """A running cluster, and who was told to use it; every client is checked by `check`.

    `options` are those of DNs, by name, that differ from the usual ones.
    """

    def __init__(
        self,
        nodes: int = 2,
        *,
        seed: int = 1,
        optimised: bool = True,
        limits: Limits | None = None,
        strict: bool = True,
        phones: int = 4,
        options: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        made = settings(nodes, optimised=optimised, limits=limits, phones=phones)
        dns = {dn: msgspec.structs.replace(known, **(options or {}).get(dn, {})) for dn, known in made.dns.items()}
        self.world = World(seed, msgspec.structs.replace(made, dns=dns), strict=strict)
        self.hosts = self.world.hosts
        self.clients: list[Client] = []
        self.phones: dict[str, Phone] = {}
        self.world.until(self.connected)

    def connected(self) -> bool:
        """Whether every pair of nodes has its links, and every Smart Proxy knows everything."""
        alive = [host for host in self.hosts.values() if host.alive]
        return all(
            host.node.t_controller.links.is_up(other.name)
            for host in alive
            for other in alive
            if other is not host and not self.world.is_cut(host.name, other.name)
        ) and all(
            host.node.smart_proxy.is_synchronised or len(alive) < len(self.hosts) or self._any_cut() for host in alive
        )

    def _any_cut(self) -> bool:
        names = list(self.hosts)
        return any(self.world.is_cut(a, b) for a in names for b in names)

    def client(self, name: str, role: ClientRole, node: str, secret: str = "") -> Client:
        """A client of that role, connected and accepted."""
        client = Client(self.world, f"{name}@{node}", role.value, node, PORTS[role], secret)
        self.clients.append(client)
        self.world.until(lambda: client.linked is not None or client.ended)
        assert client.linked is not None, client.ended
        return client

    def router(self, node: str, *dns: str, name: str = "URS") -> Client:
        """A router that registered these DNs."""
        client = self.client(name, ClientRole.ROUTER, node)
        client.register(*dns)
        client.forget()
        return client

    def desktop(self, node: str, *dns: str, name: str = "Desk", secret: str = "") -> Client:
        """A desktop that registered these DNs."""
        client = self.client(name, ClientRole.DESKTOP, node, secret)
        client.register(*dns)
        client.forget()
        return client

    def smart(self, node: str, *, node_dns: bool = False) -> Client:
        """A smart client that asked for all."""
        client = self.client("SFS", ClientRole.SMART, node)
        extensions = (("node-dns", 1),) if node_dns else ()
        done = client.ask(MessageType.RequestRegisterAll, Extensions=extensions)
        assert done.id == MessageType.EventRegisteredAll
        client.forget()
        return client

    def reporter(self, node: str) -> Client:
        """A reporting client whose session is open."""
        client = self.client("ICON", ClientRole.REPORTING, node)
        done = client.ask(MessageType.RequestPrivateService, PrivateMsgID=1)
        assert done.id == MessageType.EventACK
        client.forget()
        return client

    def monitor(self, node: str, *dns: str) -> Client:
        """A monitor that registered these DNs."""
        client = self.client("Stat", ClientRole.MONITOR, node)
        client.register(*dns)
        client.forget()
        return client

    def phone(self, number: str, node: str, *, register: bool = True, password: str = "secret") -> Phone:
        """A phone, registered at a node."""
        at = ("198.51.100.1", 10_000 + len(self.phones))
        phone = Phone(self.world, number, node, at, password)
        self.phones[number] = phone
        if register:
            phone.register()
            self.world.until(lambda: phone.registered is not None)
            assert phone.registered == 200, phone.registered
            self.world.until(lambda: self.owner(number) is not None)
            self.settle()
        return phone

    def caller(self, node: str = "n1") -> Phone:
        """Somebody in the PSTN, who calls by the trunk."""
        phone = Phone(self.world, "5551234", node, TRUNK)
        self.phones["trunk"] = phone
        return phone

    def owner(self, dn: str) -> str | None:
        """The node that serves as the owner of a DN."""
        for name, host in self.hosts.items():
            if host.alive and host.node.t_controller.owned.serves(dn):
                return name
        return None

    def settle(self, us: int = SECOND // 2) -> None:
        """Let what is under way come to its end."""
        self.world.run(us)

    def check(self, *, agree: bool = True) -> None:
        """All invariants; with `agree` also that everybody sees the same."""
        self.world.check()
        for client in self.clients:
            client.check()
        if agree:
            self.world.pictures_agree()
            self.clients_agree()
            self.watchers_agree()

    def clients_agree(self) -> None:
        """What each client at TCport and SmartProxy made of its events is what its node knows."""
        from tests.sim.world import seen

        for client in self.clients:
            host = self.hosts[client.node]
            if client.ended or not host.alive:
                continue
            for dn, picture in client.pictures.items():
                if client.port == "smartproxy":
                    known = host.node.smart_proxy.view(dn)
                else:
                    known = host.node.t_controller.streams.view(dn)
                    if client.role == "smart":
                        mine = host.node.t_controller.streams.mine.get(dn)
                        if mine is None:
                            continue
                        known = mine
                assert seen(picture) == seen(known), f"{client.name} sees {picture}, its node {known}"

    def watchers_agree(self) -> None:
        """Those who registered the same DN at any TCport, and the monitors, see the same of it."""
        from tests.sim.world import seen

        for dn in self.world.settings.dns:
            views = {}
            for client in self.clients:
                if dn not in client.pictures or client.ended or client.role == "smart":
                    continue
                views[client.name + client.port] = seen(client.pictures[dn])
            assert len({repr(view) for view in views.values()}) <= 1, f"{dn} is seen differently: {views}"

    def quiet(self, *but: str) -> None:
        """No call, leg, offer or request anywhere, nor anything else that is counted, but these."""
        for host in self.hosts.values():
            if not host.alive:
                continue
            counts = host.node.counts()
            left = {
                name: size
                for name, size in counts.items()
                if size and name not in ("clients", "streams", "owned_dns", "agents", *but)
            }
            assert not left, f"{host.name} is left with {left}"


def conn_id_of(message: Message) -> int:
    """The ConnID of an event."""
    from tlib_proto import Attribute

    return message.number(Attribute.ConnID)
