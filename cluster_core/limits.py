"""Every bound of a node in one place: nothing a peer sends grows memory beyond these (design 3, rule 5)."""

from __future__ import annotations

import msgspec

SECOND_US = 1_000_000
MILLISECOND_US = 1_000


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds of tables, queues and waits of one node; counts, bytes or microseconds as the name says."""

    connections: int = 2_048
    registrations_per_client: int = 200_000
    resume_us: int = 30 * SECOND_US
    resume_bytes: int = 2 * 1_048_576
    history_bytes: int = 8 * 1_048_576
    parked_sessions: int = 256
    reporting_sessions: int = 16
    reporting_filter_keys: int = 256
    pictures_a_second: int = 1_000
    backlog_us: int = 3_600 * SECOND_US
    backlog_bytes: int = 64 * 1_048_576
    backlog_events: int = 200_000
    backlog_bytes_at_once: int = 262_144
    bulk_dns_at_once: int = 500
    dns_at_once: int = 200
    snapshot_bytes_at_once: int = 65_536
    bulk_wait_us: int = 10 * MILLISECOND_US
    calls: int = 10_000
    calls_per_dn: int = 16
    user_data_bytes: int = 16_000
    name_chars: int = 255
    bindings_per_dn: int = 4
    subscriptions: int = 20_000
    watchers_per_dn: int = 256
    watches_per_dn: int = 256
    requests_in_flight: int = 4_096
    write_queue_bytes: int = 4 * 1_048_576
    forwards_unacknowledged: int = 1_000
    request_deadline_us: int = 15 * SECOND_US
    locate_deadline_us: int = 200 * MILLISECOND_US
    peer_loss_us: int = 300 * MILLISECOND_US
    parties_deadline_us: int = 1 * SECOND_US
    link_ping_us: int = 1 * SECOND_US
    link_redial_us: int = 500 * MILLISECOND_US
    membership_refresh_us: int = 1 * SECOND_US
    membership_margin_us: int = 100 * MILLISECOND_US
    forward_us: int = 20 * SECOND_US
    ring_us: int = 60 * SECOND_US
    routing_us: int = 30 * SECOND_US
    parting_us: int = 2 * SECOND_US
    claim_deadline_us: int = 2 * SECOND_US
    name_deadline_us: int = 2 * SECOND_US
    lookup_deadline_us: int = 5 * SECOND_US
    name_ttl_max_us: int = 3_600 * SECOND_US
    names_in_flight: int = 256
    names_kept: int = 1_024
    trunk_targets: int = 4
    passed_per_sender: int = 8
    message_bytes: int = 1_300
    registration_min_s: int = 5
    registration_max_s: int = 3_600
    keepalive_us: int = 0
    source_rate: int = 30
    proven_source_rate: int = 300
    source_streams: int = 16
    proven_source_streams: int = 64
    source_idle_us: int = 120 * SECOND_US
    sources: int = 10_000
    failed_proofs: int = 10
    failed_proofs_us: int = 60 * SECOND_US
    ban_us: int = 300 * SECOND_US
