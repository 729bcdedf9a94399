"""`refserver call`: calls made and controlled by hand (ours)."""

from __future__ import annotations

from refserver import client_command
from refserver.client_command import Verb

TEXT = "Make a call, or do something with one, at a TCport; `route` at the default port."

VERBS = (
    Verb("make", "TMakeCall", lambda c, g: c.make_call(g.dn, g.to, g.data), options=("to", "data")),
    Verb("answer", "TAnswerCall", lambda c, g: c.answer_call(g.dn, g.conn), options=("conn",)),
    Verb("release", "TReleaseCall", lambda c, g: c.release_call(g.dn, g.conn), options=("conn",)),
    Verb("hold", "THoldCall", lambda c, g: c.hold_call(g.dn, g.conn), options=("conn",)),
    Verb("retrieve", "TRetrieveCall", lambda c, g: c.retrieve_call(g.dn, g.conn), options=("conn",)),
    Verb(
        "transfer",
        "TSingleStepTransfer",
        lambda c, g: c.single_step_transfer(g.dn, g.conn, g.to, g.data),
        options=("conn", "to", "data"),
    ),
    Verb(
        "consult",
        "TInitiateTransfer",
        lambda c, g: c.initiate_transfer(g.dn, g.conn, g.to, g.data),
        options=("conn", "to", "data"),
    ),
    Verb(
        "complete",
        "TCompleteTransfer; --other is the consultation",
        lambda c, g: c.complete_transfer(g.dn, g.conn, g.other),
        options=("conn", "other"),
    ),
    Verb(
        "reconnect",
        "TReconnectCall; --conn is the consultation, --other the held call",
        lambda c, g: c.reconnect_call(g.dn, g.conn, g.other),
        options=("conn", "other"),
    ),
    Verb(
        "alternate",
        "TAlternateCall; --conn is the active call, --other the held one",
        lambda c, g: c.alternate_call(g.dn, g.conn, g.other),
        options=("conn", "other"),
    ),
    Verb(
        "mute-transfer",
        "TMuteTransfer",
        lambda c, g: c.mute_transfer(g.dn, g.conn, g.to, g.data),
        options=("conn", "to", "data"),
    ),
    Verb(
        "redirect",
        "TRedirectCall of a call that rings",
        lambda c, g: c.redirect_call(g.dn, g.conn, g.to),
        options=("conn", "to"),
    ),
    Verb("query", "TQueryCall", lambda c, g: c.query_call(g.dn, g.conn), options=("conn",)),
    Verb("clear", "TClearCall", lambda c, g: c.clear_call(g.dn, g.conn), options=("conn",)),
    Verb(
        "digits",
        "TSendDTMF",
        lambda c, g: c.send_dtmf(g.dn, g.conn, g.digits),
        options=("conn", "digits"),
    ),
    Verb(
        "route",
        "TRouteCall; --dn is the Routing Point",
        lambda c, g: c.route_call(g.dn, g.conn, g.to, user_data=g.data),
        ("router",),
        ("conn", "to", "data"),
    ),
    Verb(
        "attach",
        "TAttachUserData",
        lambda c, g: c.attach_user_data(g.dn, g.conn, g.data),
        options=("conn", "pairs"),
    ),
    Verb(
        "update",
        "TUpdateUserData",
        lambda c, g: c.update_user_data(g.dn, g.conn, g.data),
        options=("conn", "pairs"),
    ),
    Verb(
        "delete",
        "TDeleteUserData",
        lambda c, g: c.delete_user_data(g.dn, g.conn, g.key),
        options=("conn", "key"),
    ),
)


def main(argv: list[str]) -> int:
    """The command; returns the exit status."""
    return client_command.main("call", TEXT, VERBS, argv)
