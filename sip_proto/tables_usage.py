"""The state machines of a registration (client side), of a subscription and of a referral (both sides) as data (RFC
3261 section 10.2, RFC 6665 section 4, RFC 3515 section 2.4).

Inputs are first what the program asks (a missing row is the caller's fault), then what the peer or time brings (a
missing row is ignored, or answered by the machine).
"""

from enum import IntEnum


class RegistrationState(IntEnum):
    """ASKING has no binding yet, REFRESHING has one, STOPPING waits for an answer before it takes the binding back."""

    IDLE = 0
    ASKING = 1
    BOUND = 2
    REFRESHING = 3
    WAITING = 4
    STOPPING = 5
    LEAVING = 6


class RegistrationInput(IntEnum):
    """AGAIN is an answer that wants the same request in other words (401, 407, 423), DUE the timer, LOST a stream that
    broke."""

    REGISTER = 0
    UNREGISTER = 1
    SUCCESS = 2
    AGAIN = 3
    FAILURE = 4
    DUE = 5
    LOST = 6


_R, _I = RegistrationState, RegistrationInput

# A row that leads to ASKING, REFRESHING or LEAVING sends a REGISTER.
REGISTRATION_TRANSITIONS: dict[tuple[RegistrationState, RegistrationInput], RegistrationState] = {
    (_R.IDLE, _I.REGISTER): _R.ASKING,
    (_R.ASKING, _I.UNREGISTER): _R.STOPPING,
    (_R.ASKING, _I.SUCCESS): _R.BOUND,
    (_R.ASKING, _I.AGAIN): _R.ASKING,
    (_R.ASKING, _I.FAILURE): _R.WAITING,
    (_R.BOUND, _I.REGISTER): _R.REFRESHING,
    (_R.BOUND, _I.UNREGISTER): _R.LEAVING,
    (_R.BOUND, _I.DUE): _R.REFRESHING,
    (_R.BOUND, _I.LOST): _R.REFRESHING,
    (_R.REFRESHING, _I.UNREGISTER): _R.STOPPING,
    (_R.REFRESHING, _I.SUCCESS): _R.BOUND,
    (_R.REFRESHING, _I.AGAIN): _R.REFRESHING,
    (_R.REFRESHING, _I.FAILURE): _R.WAITING,
    (_R.WAITING, _I.REGISTER): _R.ASKING,
    (_R.WAITING, _I.UNREGISTER): _R.LEAVING,
    (_R.WAITING, _I.DUE): _R.ASKING,
    (_R.STOPPING, _I.SUCCESS): _R.LEAVING,
    (_R.STOPPING, _I.AGAIN): _R.LEAVING,
    (_R.STOPPING, _I.FAILURE): _R.LEAVING,
    (_R.LEAVING, _I.SUCCESS): _R.IDLE,
    (_R.LEAVING, _I.AGAIN): _R.LEAVING,
    (_R.LEAVING, _I.FAILURE): _R.IDLE,
}


class SubscriptionState(IntEnum):
    """ASKING to LEAVING are a subscriber's, ASKED and SERVING a notifier's."""

    ASKING = 0
    ACTIVE = 1
    LEAVING = 2
    ASKED = 3
    SERVING = 4
    GONE = 5


class SubscriptionInput(IntEnum):
    """GOT_END is a NOTIFY that says terminated, GOT_REFUSAL a response after which the usage is over."""

    REFRESH = 0
    LEAVE = 1
    ACCEPT = 2
    REJECT = 3
    NOTIFY = 4
    END = 5
    GOT_NOTIFY = 6
    GOT_END = 7
    GOT_REFUSAL = 8
    GOT_SUBSCRIBE = 9
    EXPIRED = 10


_U, _V = SubscriptionState, SubscriptionInput

SUBSCRIPTION_TRANSITIONS: dict[tuple[SubscriptionState, SubscriptionInput], SubscriptionState] = {
    (_U.ASKING, _V.GOT_NOTIFY): _U.ACTIVE,
    (_U.ASKING, _V.GOT_END): _U.GONE,
    (_U.ASKING, _V.GOT_REFUSAL): _U.GONE,
    (_U.ASKING, _V.EXPIRED): _U.GONE,
    (_U.ACTIVE, _V.REFRESH): _U.ACTIVE,
    (_U.ACTIVE, _V.LEAVE): _U.LEAVING,
    (_U.ACTIVE, _V.GOT_NOTIFY): _U.ACTIVE,
    (_U.ACTIVE, _V.GOT_END): _U.GONE,
    (_U.ACTIVE, _V.GOT_REFUSAL): _U.GONE,
    (_U.ACTIVE, _V.EXPIRED): _U.GONE,
    (_U.LEAVING, _V.GOT_NOTIFY): _U.LEAVING,
    (_U.LEAVING, _V.GOT_END): _U.GONE,
    (_U.LEAVING, _V.GOT_REFUSAL): _U.GONE,
    (_U.LEAVING, _V.EXPIRED): _U.GONE,
    (_U.ASKED, _V.ACCEPT): _U.SERVING,
    (_U.ASKED, _V.REJECT): _U.GONE,
    (_U.ASKED, _V.EXPIRED): _U.GONE,
    (_U.SERVING, _V.NOTIFY): _U.SERVING,
    (_U.SERVING, _V.END): _U.GONE,
    (_U.SERVING, _V.GOT_REFUSAL): _U.GONE,
    (_U.SERVING, _V.GOT_SUBSCRIBE): _U.SERVING,
    (_U.SERVING, _V.EXPIRED): _U.GONE,
}


class ReferralState(IntEnum):
    """ASKING to ANSWER_DUE (the last NOTIFY overtook the answer) are of who sent the REFER, ASKED to REPORTED (the last
    NOTIFY is out) of who got it."""

    ASKING = 0
    WATCHING = 1
    ANSWER_DUE = 2
    ASKED = 3
    REPORTING = 4
    REPORTED = 5
    GONE = 6


class ReferralInput(IntEnum):
    """ACCEPT_SILENT and GOT_SILENT are a 2xx after which nothing is reported, END is the report of a final response,
    GOT_LEAVE a SUBSCRIBE that gives the reports back, GOT_ORDER a 500 to the last NOTIFY, which another request
    overtook, LEG_ENDED the end of the call that the REFER was sent in."""

    ACCEPT = 0
    ACCEPT_SILENT = 1
    REJECT = 2
    REPORT = 3
    END = 4
    GOT_SUCCESS = 5
    GOT_SILENT = 6
    GOT_REFUSAL = 7
    GOT_NOTIFY = 8
    GOT_END = 9
    GOT_SUBSCRIBE = 10
    GOT_LEAVE = 11
    EXPIRED = 12
    LEG_ENDED = 13
    GOT_ORDER = 14


_F, _J = ReferralState, ReferralInput

REFERRAL_TRANSITIONS: dict[tuple[ReferralState, ReferralInput], ReferralState] = {
    (_F.ASKING, _J.GOT_SUCCESS): _F.WATCHING,
    (_F.ASKING, _J.GOT_SILENT): _F.GONE,
    (_F.ASKING, _J.GOT_REFUSAL): _F.GONE,
    (_F.ASKING, _J.GOT_NOTIFY): _F.ASKING,
    (_F.ASKING, _J.GOT_END): _F.ANSWER_DUE,
    (_F.ASKING, _J.LEG_ENDED): _F.GONE,
    (_F.WATCHING, _J.GOT_NOTIFY): _F.WATCHING,
    (_F.WATCHING, _J.GOT_END): _F.GONE,
    (_F.WATCHING, _J.EXPIRED): _F.GONE,
    (_F.WATCHING, _J.LEG_ENDED): _F.GONE,
    (_F.ANSWER_DUE, _J.GOT_SUCCESS): _F.GONE,
    (_F.ANSWER_DUE, _J.GOT_SILENT): _F.GONE,
    (_F.ANSWER_DUE, _J.GOT_REFUSAL): _F.GONE,
    (_F.ANSWER_DUE, _J.LEG_ENDED): _F.GONE,
    (_F.ASKED, _J.ACCEPT): _F.REPORTING,
    (_F.ASKED, _J.ACCEPT_SILENT): _F.GONE,
    (_F.ASKED, _J.REJECT): _F.GONE,
    (_F.ASKED, _J.EXPIRED): _F.GONE,
    (_F.ASKED, _J.LEG_ENDED): _F.GONE,
    (_F.REPORTING, _J.REPORT): _F.REPORTING,
    (_F.REPORTING, _J.END): _F.REPORTED,
    (_F.REPORTING, _J.GOT_REFUSAL): _F.GONE,
    (_F.REPORTING, _J.GOT_SUBSCRIBE): _F.REPORTING,
    (_F.REPORTING, _J.GOT_LEAVE): _F.REPORTED,
    (_F.REPORTING, _J.EXPIRED): _F.REPORTED,
    (_F.REPORTING, _J.LEG_ENDED): _F.GONE,
    (_F.REPORTED, _J.GOT_ORDER): _F.REPORTED,
    (_F.REPORTED, _J.GOT_SUCCESS): _F.GONE,
    (_F.REPORTED, _J.GOT_REFUSAL): _F.GONE,
    (_F.REPORTED, _J.LEG_ENDED): _F.GONE,
}
