"""Every bound of the package in one record, and the protocol's times."""

import msgspec


class Limits(msgspec.Struct, frozen=True):
    """Bounds of messages (bytes, counts) and of an Endpoint's tables (entries); beyond one: an answer,
    never growth (ours)."""

    message: int = 65_535
    head: int = 16_384
    headers: int = 128
    header: int = 4_096
    uri: int = 512
    method: int = 32
    transactions: int = 200_000
    legs: int = 50_000
    forks: int = 8
    nonces: int = 10_000
    contacts: int = 16
    flows: int = 2_048
    waiting: int = 262_144
    lookups: int = 1_000
    records: int = 32
    targets: int = 32
    subscriptions: int = 50_000
    offers: int = 8
    offer_tries: int = 5
    provisionals: int = 8
    referrals: int = 10_000
    leg_referrals: int = 8
    document: int = 65_535
    document_entries: int = 128
    vias: int = 32
    routes: int = 32
    realms: int = 8


class Timings(msgspec.Struct, frozen=True):
    """T1, T2, T4 in microseconds (RFC 3261 section 17), and how long an INVITE may ring (its timer C),
    a stream take to open, a message in it to arrive."""

    t1_us: int = 500_000
    t2_us: int = 4_000_000
    t4_us: int = 5_000_000
    ring_us: int = 300_000_000
    connect_us: int = 10_000_000
    message_us: int = 5_000_000


DEFAULT_LIMITS = Limits()
DEFAULT_TIMINGS = Timings()
