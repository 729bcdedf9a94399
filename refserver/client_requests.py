"""The T-Library functions of the client, with the parameters of their published prototypes.

Every function returns the event that answers it and raises what `Client.request` raises. A destination
travels as OtherDN, as public logs show it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeAlias

from refserver.client_errors import TLibError
from tlib_proto.constants import (
    ERROR_TEXTS,
    AddressInfoType,
    AddressType,
    AgentWorkMode,
    Attribute,
    CallInfoType,
    ControlMode,
    ErrorCode,
    ForwardMode,
    MakeCallType,
    MessageType,
    RegisterMode,
    RouteType,
)
from tlib_proto.records import KVList, KVValue, Message, Value

Pairs: TypeAlias = "Mapping[str, PairValue] | Sequence[tuple[str, PairValue]]"
PairValue: TypeAlias = "str | int | bytes | Pairs"
"""What programs may give for a key-value list: a mapping, or pairs when keys repeat; both nest."""

_CODE_NAMES = {int(code): code.name for code in ErrorCode}


def error_of(message: Message) -> TLibError:
    """The exception that says what an EventError says."""
    number = message.number(Attribute.ErrorCode)
    text = message.text(Attribute.ErrorMessage) or ERROR_TEXTS.get(number, "")
    return TLibError(number, _CODE_NAMES.get(number, "UNPUBLISHED"), text)


def pairs_of(value: Pairs) -> KVList:
    """A key-value list from a mapping or from pairs, lists within included."""
    items = value.items() if isinstance(value, Mapping) else value
    return tuple((key, _pair_value(inner)) for key, inner in items)


def _pair_value(value: PairValue) -> KVValue:
    if isinstance(value, str | int | bytes):
        return value
    return pairs_of(value)


def matcher(
    what: MessageType | Callable[[Message], bool] | Iterable[MessageType], dn: str | None, conn_id: int | None
) -> tuple[Callable[[Message], bool], str]:
    """A test for messages and what it looks for in words."""
    check: Callable[[Message], bool] | None = None
    ids: frozenset[int] = frozenset()
    if isinstance(what, MessageType):
        ids, meaning = frozenset((int(what),)), what.name
    elif callable(what):
        check, meaning = what, "such message"
    else:
        kinds = tuple(what)
        ids, meaning = frozenset(int(kind) for kind in kinds), " or ".join(kind.name for kind in kinds)
    if dn is not None:
        meaning += f" on {dn}"
    if conn_id is not None:
        meaning += f" of {conn_id:016x}"

    def wants(message: Message) -> bool:
        if dn is not None and message.get(Attribute.ThisDN) != dn:
            return False
        if conn_id is not None and message.get(Attribute.ConnID) != conn_id:
            return False
        return check(message) if check is not None else message.id in ids

    return wants, meaning


class TLibraryFunctions:
    """The functions; `request` sends one and waits for its answer."""

    async def request(self, message: Message, timeout_s: float | None = None) -> Message:
        """Send a request and return its answer."""
        raise NotImplementedError

    async def _ask(
        self,
        kind: MessageType,
        attributes: dict[int, Value],
        *,
        user_data: Pairs = (),
        reasons: Pairs = (),
        extensions: Pairs = (),
        timeout_s: float | None = None,
    ) -> Message:
        lists = (
            (Attribute.UserData, user_data),
            (Attribute.Reasons, reasons),
            (Attribute.Extensions, extensions),
        )
        for attribute, value in lists:
            if value:
                attributes[attribute] = pairs_of(value)
        return await self.request(Message(kind, 0, attributes), timeout_s)

    # the session and its DNs

    async def query_server(self, extensions: Pairs = ()) -> Message:
        """TQueryServer; answered by EventServerInfo."""
        return await self._ask(MessageType.RequestQueryServer, {}, extensions=extensions)

    async def register_address(
        self,
        dn: str,
        register_mode: RegisterMode = RegisterMode.Share,
        control_mode: ControlMode = ControlMode.RegisterDefault,
        address_type: AddressType = AddressType.DN,
        extensions: Pairs = (),
    ) -> Message:
        """TRegisterAddress; answered by EventRegistered."""
        attributes: dict[int, Value] = {
            Attribute.ThisDN: dn,
            Attribute.RegisterMode: int(register_mode),
            Attribute.ControlMode: int(control_mode),
            Attribute.AddressType: int(address_type),
        }
        return await self._ask(MessageType.RequestRegisterAddress, attributes, extensions=extensions)

    async def unregister_address(
        self, dn: str, control_mode: ControlMode = ControlMode.RegisterDefault, extensions: Pairs = ()
    ) -> Message:
        """TUnregisterAddress; answered by EventUnregistered."""
        attributes: dict[int, Value] = {Attribute.ThisDN: dn, Attribute.ControlMode: int(control_mode)}
        return await self._ask(MessageType.RequestUnregisterAddress, attributes, extensions=extensions)

    async def register_all(self, node_dns: bool = False, extensions: Pairs = ()) -> Message:
        """The bulk request of smart clients: the DNs that the node owns; `node_dns` adds those of its calls.

        An EventRegistered for each DN comes first, to `events`; answered by EventRegisteredAll (ours).
        """
        given = {**dict(extensions), **({"node-dns": 1} if node_dns else {})}
        return await self._ask(MessageType.RequestRegisterAll, {}, extensions=given)

    async def unregister_all(self) -> Message:
        """Ends the bulk registration; answered by EventUnregisteredAll."""
        return await self._ask(MessageType.RequestUnregisterAll, {})

    async def query_address(
        self,
        dn: str,
        info_type: AddressInfoType = AddressInfoType.DNStatus,
        address_type: AddressType = AddressType.DN,
        extensions: Pairs = (),
    ) -> Message:
        """TQueryAddress; answered by EventAddressInfo."""
        attributes: dict[int, Value] = {
            Attribute.ThisDN: dn,
            Attribute.AddressType: int(address_type),
            Attribute.AddressInfoType: int(info_type),
        }
        return await self._ask(MessageType.RequestQueryAddress, attributes, extensions=extensions)

    # agents

    async def agent_login(
        self,
        dn: str,
        agent_id: str,
        queue: str = "",
        workmode: AgentWorkMode = AgentWorkMode.Unknown,
        password: str = "",
        reasons: Pairs = (),
        extensions: Pairs = (),
    ) -> Message:
        """TAgentLogin; answered by EventAgentLogin."""
        attributes = _agent(dn, queue, workmode)
        attributes[Attribute.AgentID] = agent_id
        if password:
            attributes[Attribute.Password] = password
        return await self._ask(
            MessageType.RequestAgentLogin, attributes, reasons=reasons, extensions=extensions
        )

    async def agent_logout(
        self, dn: str, queue: str = "", reasons: Pairs = (), extensions: Pairs = ()
    ) -> Message:
        """TAgentLogout; answered by EventAgentLogout, or EventQueueLogout while other queues remain."""
        attributes = _agent(dn, queue, None)
        return await self._ask(
            MessageType.RequestAgentLogout, attributes, reasons=reasons, extensions=extensions
        )

    async def agent_set_ready(
        self,
        dn: str,
        queue: str = "",
        workmode: AgentWorkMode = AgentWorkMode.Unknown,
        reasons: Pairs = (),
        extensions: Pairs = (),
    ) -> Message:
        """TAgentSetReady; answered by EventAgentReady."""
        attributes = _agent(dn, queue, workmode)
        return await self._ask(
            MessageType.RequestAgentReady, attributes, reasons=reasons, extensions=extensions
        )

    async def agent_set_not_ready(
        self,
        dn: str,
        queue: str = "",
        workmode: AgentWorkMode = AgentWorkMode.Unknown,
        reasons: Pairs = (),
        extensions: Pairs = (),
    ) -> Message:
        """TAgentSetNotReady; answered by EventAgentNotReady."""
        attributes = _agent(dn, queue, workmode)
        return await self._ask(
            MessageType.RequestAgentNotReady, attributes, reasons=reasons, extensions=extensions
        )

    # what a DN does with its calls

    async def set_dnd_on(self, dn: str, reasons: Pairs = (), extensions: Pairs = ()) -> Message:
        """TSetDNDOn: the DN is not to be disturbed; answered by EventDNDOn."""
        attributes: dict[int, Value] = {Attribute.ThisDN: dn}
        return await self._ask(MessageType.RequestSetDNDOn, attributes, reasons=reasons, extensions=extensions)

    async def set_dnd_off(self, dn: str, reasons: Pairs = (), extensions: Pairs = ()) -> Message:
        """TSetDNDOff; answered by EventDNDOff."""
        attributes: dict[int, Value] = {Attribute.ThisDN: dn}
        return await self._ask(MessageType.RequestSetDNDOff, attributes, reasons=reasons, extensions=extensions)

    async def call_set_forward(
        self,
        dn: str,
        destination: str,
        mode: ForwardMode = ForwardMode.Unconditional,
        reasons: Pairs = (),
        extensions: Pairs = (),
    ) -> Message:
        """TCallSetForward, which replaces the forward that there is; answered by EventForwardSet."""
        attributes: dict[int, Value] = {
            Attribute.ThisDN: dn,
            Attribute.OtherDN: destination,
            Attribute.ForwardMode: int(mode),
        }
        return await self._ask(
            MessageType.RequestCallForwardSet, attributes, reasons=reasons, extensions=extensions
        )

    async def call_cancel_forward(
        self, dn: str, mode: ForwardMode = ForwardMode.None_, reasons: Pairs = (), extensions: Pairs = ()
    ) -> Message:
        """TCallCancelForward, of that mode or of whatever there is; answered by EventForwardCancel."""
        attributes: dict[int, Value] = {Attribute.ThisDN: dn}
        if mode is not ForwardMode.None_:
            attributes[Attribute.ForwardMode] = int(mode)
        return await self._ask(
            MessageType.RequestCallForwardCancel, attributes, reasons=reasons, extensions=extensions
        )

    # calls

    async def make_call(
        self,
        dn: str,
        destination: str,
        user_data: Pairs = (),
        make_call_type: MakeCallType = MakeCallType.Regular,
        reasons: Pairs = (),
        extensions: Pairs = (),
        timeout_s: float | None = None,
    ) -> Message:
        """TMakeCall; answered by EventDialing on the maker's DN."""
        attributes: dict[int, Value] = {
            Attribute.ThisDN: dn,
            Attribute.OtherDN: destination,
            Attribute.MakeCallType: int(make_call_type),
        }
        return await self._ask(
            MessageType.RequestMakeCall,
            attributes,
            user_data=user_data,
            reasons=reasons,
            extensions=extensions,
            timeout_s=timeout_s,
        )

    async def answer_call(
        self, dn: str, conn_id: int, reasons: Pairs = (), extensions: Pairs = ()
    ) -> Message:
        """TAnswerCall; answered by EventEstablished."""
        return await self._on_call(MessageType.RequestAnswerCall, dn, conn_id, reasons, extensions)

    async def release_call(
        self, dn: str, conn_id: int, reasons: Pairs = (), extensions: Pairs = ()
    ) -> Message:
        """TReleaseCall; answered by EventReleased."""
        return await self._on_call(MessageType.RequestReleaseCall, dn, conn_id, reasons, extensions)

    async def hold_call(self, dn: str, conn_id: int, reasons: Pairs = (), extensions: Pairs = ()) -> Message:
        """THoldCall; answered by EventHeld."""
        return await self._on_call(MessageType.RequestHoldCall, dn, conn_id, reasons, extensions)

    async def retrieve_call(
        self, dn: str, conn_id: int, reasons: Pairs = (), extensions: Pairs = ()
    ) -> Message:
        """TRetrieveCall; answered by EventRetrieved."""
        return await self._on_call(MessageType.RequestRetrieveCall, dn, conn_id, reasons, extensions)

    async def single_step_transfer(
        self,
        dn: str,
        conn_id: int,
        destination: str,
        user_data: Pairs = (),
        reasons: Pairs = (),
        extensions: Pairs = (),
    ) -> Message:
        """TSingleStepTransfer; answered by EventReleased when the destination rings."""
        return await self._to(
            MessageType.RequestSingleStepTransfer, dn, conn_id, destination, user_data, reasons, extensions
        )

    async def initiate_transfer(
        self,
        dn: str,
        conn_id: int,
        destination: str,
        user_data: Pairs = (),
        reasons: Pairs = (),
        extensions: Pairs = (),
    ) -> Message:
        """TInitiateTransfer; answered by EventDialing of the consultation, whose ConnID is its own."""
        return await self._to(
            MessageType.RequestInitiateTransfer, dn, conn_id, destination, user_data, reasons, extensions
        )

    async def complete_transfer(
        self, dn: str, conn_id: int, consult_conn_id: int, reasons: Pairs = (), extensions: Pairs = ()
    ) -> Message:
        """TCompleteTransfer; answered by EventReleased of the held call, whose ConnID the other two keep."""
        attributes: dict[int, Value] = {
            Attribute.ThisDN: dn,
            Attribute.ConnID: conn_id,
            Attribute.TransferConnID: consult_conn_id,
        }
        return await self._ask(
            MessageType.RequestCompleteTransfer, attributes, reasons=reasons, extensions=extensions
        )

    async def reconnect_call(
        self, dn: str, consult_conn_id: int, held_conn_id: int, reasons: Pairs = (), extensions: Pairs = ()
    ) -> Message:
        """TReconnectCall; answered by EventRetrieved of the held call, when the consultation is released."""
        attributes: dict[int, Value] = {
            Attribute.ThisDN: dn,
            Attribute.ConnID: consult_conn_id,
            Attribute.PreviousConnID: held_conn_id,
        }
        return await self._ask(
            MessageType.RequestReconnectCall, attributes, reasons=reasons, extensions=extensions
        )

    async def alternate_call(
        self, dn: str, active_conn_id: int, held_conn_id: int, reasons: Pairs = (), extensions: Pairs = ()
    ) -> Message:
        """TAlternateCall; answered by EventRetrieved of the held call, when the active one is held."""
        attributes: dict[int, Value] = {
            Attribute.ThisDN: dn,
            Attribute.ConnID: active_conn_id,
            Attribute.PreviousConnID: held_conn_id,
        }
        return await self._ask(
            MessageType.RequestAlternateCall, attributes, reasons=reasons, extensions=extensions
        )

    async def mute_transfer(
        self,
        dn: str,
        conn_id: int,
        destination: str,
        user_data: Pairs = (),
        reasons: Pairs = (),
        extensions: Pairs = (),
    ) -> Message:
        """TMuteTransfer; answered by EventReleased of the call when the destination rings."""
        return await self._to(
            MessageType.RequestMuteTransfer, dn, conn_id, destination, user_data, reasons, extensions
        )

    async def redirect_call(
        self, dn: str, conn_id: int, destination: str, reasons: Pairs = (), extensions: Pairs = ()
    ) -> Message:
        """TRedirectCall of a call that rings; answered by EventReleased, CallState Redirected."""
        return await self._to(
            MessageType.RequestRedirectCall, dn, conn_id, destination, (), reasons, extensions
        )

    async def clear_call(self, dn: str, conn_id: int, reasons: Pairs = (), extensions: Pairs = ()) -> Message:
        """TClearCall, for all parties; answered by EventReleased."""
        return await self._on_call(MessageType.RequestClearCall, dn, conn_id, reasons, extensions)

    async def send_dtmf(
        self, dn: str, conn_id: int, digits: str, reasons: Pairs = (), extensions: Pairs = ()
    ) -> Message:
        """TSendDTMF, up to 64 of 0-9 A-D * #; answered by EventDTMFSent when the other end has taken the last."""
        attributes: dict[int, Value] = {
            Attribute.ThisDN: dn,
            Attribute.ConnID: conn_id,
            Attribute.DTMFDigits: digits,
        }
        return await self._ask(MessageType.RequestSendDTMF, attributes, reasons=reasons, extensions=extensions)

    async def route_call(
        self,
        dn: str,
        conn_id: int,
        destination: str,
        route_type: RouteType = RouteType.Unknown,
        user_data: Pairs = (),
        reasons: Pairs = (),
        extensions: Pairs = (),
    ) -> Message:
        """TRouteCall; `dn` is the Routing Point; answered by EventRouteUsed."""
        attributes: dict[int, Value] = {
            Attribute.ThisDN: dn,
            Attribute.ConnID: conn_id,
            Attribute.OtherDN: destination,
            Attribute.RouteType: int(route_type),
        }
        return await self._ask(
            MessageType.RequestRouteCall,
            attributes,
            user_data=user_data,
            reasons=reasons,
            extensions=extensions,
        )

    async def attach_user_data(self, dn: str, conn_id: int, user_data: Pairs) -> Message:
        """TAttachUserData; answered by EventAttachedDataChanged with the whole list after the change."""
        attributes: dict[int, Value] = {
            Attribute.ThisDN: dn,
            Attribute.ConnID: conn_id,
            Attribute.UserData: pairs_of(user_data),
        }
        return await self._ask(MessageType.RequestAttachUserData, attributes)

    async def query_call(
        self, dn: str, conn_id: int, info_type: CallInfoType = CallInfoType.PartiesQuery, extensions: Pairs = ()
    ) -> Message:
        """TQueryCall; answered by EventPartyInfo: the call's data, its parties in Extensions."""
        attributes: dict[int, Value] = {
            Attribute.ThisDN: dn,
            Attribute.ConnID: conn_id,
            Attribute.CallInfoType: int(info_type),
        }
        return await self._ask(MessageType.RequestQueryCall, attributes, extensions=extensions)

    async def update_user_data(self, dn: str, conn_id: int, user_data: Pairs) -> Message:
        """TUpdateUserData, which replaces what has the same key; answered by EventAttachedDataChanged."""
        attributes: dict[int, Value] = {
            Attribute.ThisDN: dn,
            Attribute.ConnID: conn_id,
            Attribute.UserData: pairs_of(user_data),
        }
        return await self._ask(MessageType.RequestUpdateUserData, attributes)

    async def delete_user_data(self, dn: str, conn_id: int, key: str) -> Message:
        """TDeleteUserData, of one key; answered by EventAttachedDataChanged, also when nothing had it."""
        attributes: dict[int, Value] = {
            Attribute.ThisDN: dn,
            Attribute.ConnID: conn_id,
            Attribute.DataKey: key,
        }
        return await self._ask(MessageType.RequestDeletePair, attributes)

    async def delete_all_user_data(self, dn: str, conn_id: int) -> Message:
        """TDeleteAllUserData; answered by EventAttachedDataChanged with an empty list."""
        return await self._on_call(MessageType.RequestDeleteUserData, dn, conn_id, (), ())

    async def _on_call(
        self, kind: MessageType, dn: str, conn_id: int, reasons: Pairs, extensions: Pairs
    ) -> Message:
        attributes: dict[int, Value] = {Attribute.ThisDN: dn, Attribute.ConnID: conn_id}
        return await self._ask(kind, attributes, reasons=reasons, extensions=extensions)

    async def _to(
        self,
        kind: MessageType,
        dn: str,
        conn_id: int,
        destination: str,
        user_data: Pairs,
        reasons: Pairs,
        extensions: Pairs,
    ) -> Message:
        attributes: dict[int, Value] = {
            Attribute.ThisDN: dn,
            Attribute.ConnID: conn_id,
            Attribute.OtherDN: destination,
        }
        return await self._ask(kind, attributes, user_data=user_data, reasons=reasons, extensions=extensions)

    # private services

    async def private_service(
        self, service: int = 0, dn: str = "", conn_id: int = 0, user_data: Pairs = (), extensions: Pairs = ()
    ) -> Message:
        """TPrivateService; answered by EventACK or EventPrivateInfo, as the service has it."""
        attributes: dict[int, Value] = {Attribute.PrivateMsgID: service}
        if dn:
            attributes[Attribute.ThisDN] = dn
        if conn_id:
            attributes[Attribute.ConnID] = conn_id
        return await self._ask(
            MessageType.RequestPrivateService, attributes, user_data=user_data, extensions=extensions
        )

    async def start_session(self, session_id: str = "", extensions: Pairs = ()) -> Message:
        """Opens or resumes a reporting session on IPport; answered by EventACK, then its events flow.

        Without a name it ends with the connection. `extensions` as docs/client.md says: SequenceId, UdataFilter,
        InteractionSnapshot.
        """
        named = {"SessionId": session_id} if session_id else {}
        return await self.private_service(extensions={**named, **dict(extensions)})

    async def acknowledge_events(self, sequence_id: str) -> Message:
        """Tells the server of a reporting session that events up to this one will not be asked for again (ours)."""
        return await self.private_service(extensions={"Acknowledged": sequence_id})

    async def end_session(self) -> Message:
        """Ends the reporting session for good: its interactions go to others of the pool (ours)."""
        return await self.private_service(extensions={"SessionEnd": 1})


def _agent(dn: str, queue: str, workmode: AgentWorkMode | None) -> dict[int, Value]:
    attributes: dict[int, Value] = {Attribute.ThisDN: dn}
    if queue:
        attributes[Attribute.ThisQueue] = queue
    if workmode is not None:
        attributes[Attribute.AgentWorkMode] = int(workmode)
    return attributes
