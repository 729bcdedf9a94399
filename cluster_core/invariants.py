"""What must hold between the tables of a node after every input; asserted by tests, and by the host after a fault."""

from __future__ import annotations

from cluster_core.clients import Clients
from cluster_core.edge import Edge
from cluster_core.session_controller.calls import Calls
from cluster_core.session_controller.legs import Legs
from cluster_core.store import Store
from cluster_core.t_controller.streams import Streams


def check_calls(calls: Calls, store: Store) -> None:
    """Calls and parties name each other, and exactly the answered ones are durable."""
    for number, party in calls.parties.items():
        assert number in calls.calls[party.conn_id].parties, f"party {number} is in no call"
        assert not party.leg or calls.by_leg.get(party.leg) == number, f"leg of party {number}"
    for conn_id, call in calls.calls.items():
        assert all(party in calls.parties for party in call.parties), f"call {conn_id:016x} names a lost party"
        assert call.answered == (store.get("calls", conn_id) is not None), f"call {conn_id:016x} durable"
    for table, live in (("calls", calls.calls), ("parties", calls.parties)):
        assert all(key in live for key in store.rows(table)), f"{table} that ended are still durable"


def check_transfers(calls: Calls, legs: Legs) -> None:
    """A transfer is one of a call that is there, among its own parties; who stays has somebody at the other end."""
    for conn_id, transfer in calls.transfers.items():
        assert conn_id in calls.calls, f"a transfer of the call {conn_id:016x}, which is over"
        parties = calls.calls[conn_id].parties
        assert transfer.stays in parties, f"who stays is not in call {conn_id:016x}"
        assert transfer.by in (0, *parties), f"who transfers is not in call {conn_id:016x}"
        assert transfer.comes in (0, *parties), f"who comes is not in call {conn_id:016x}"
        assert len({transfer.by, transfer.stays, transfer.comes} - {0}) == sum(
            map(bool, (transfer.by, transfer.stays, transfer.comes))
        ), f"one party twice in the transfer of call {conn_id:016x}"
    for number, party in calls.parties.items():
        gone = party.leg and legs.stage(party.leg) is None
        assert not gone, f"party {number} has the leg {party.leg}, which is over"


def check_streams(streams: Streams, store: Store) -> None:
    """An owner's picture stands on a durable record, at the same place of the DN's stream."""
    for dn, picture in streams.mine.items():
        if picture.owned:
            record = store.get("dns", dn)
            assert record is not None, f"an owner's picture of {dn} without its record"
            assert (record.epoch, record.seq) == (picture.epoch, picture.seq), f"place of {dn}"


def check_clients(clients: Clients, edge: Edge) -> None:
    """Every client is on a stream that is open."""
    for conn, client in clients.table.items():
        assert conn in edge.streams, f"client on closed stream {conn}"
        assert client.conn == conn
