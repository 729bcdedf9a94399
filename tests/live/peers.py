"""Peers that are not ours: SIPp as a caller, baresip as an agent's phone, Kamailio as a proxy."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.certificates import Pair

KAMAILIO = Path(__file__).parents[2] / "examples" / "kamailio.cfg"
PROXY_HOST = "127.0.0.2"
MODULES = ("/usr/lib/baresip/modules", "/usr/lib64/baresip/modules", "/usr/local/lib/baresip/modules")
EVENT_S = 20

_SDP = """v=0
o=sipp 1 {version} IN IP4 [local_ip]
s=-
c=IN IP4 [media_ip]
t=0 0
m=audio [media_port] RTP/AVP 0 8
a={direction}
"""

_CALL = """
<send retrans="500"><![CDATA[
INVITE sip:[service]@[remote_ip]:[remote_port] SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
From: <sip:2125550100@[local_ip]>;tag=[call_number]
To: <sip:[service]@[remote_ip]>
Call-ID: [call_id]
CSeq: 1 INVITE
Contact: <sip:2125550100@[local_ip]:[local_port];transport=[transport]>
Max-Forwards: 70
Content-Type: application/sdp
Content-Length: [len]

{sdp}]]></send>
<recv response="100" optional="true"/>
<recv response="180" optional="true"/>
<recv response="183" optional="true"/>
<recv response="200" rrs="true"/>
<send><![CDATA[
ACK [next_url] SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
From: <sip:2125550100@[local_ip]>;tag=[call_number]
To: <sip:[service]@[remote_ip]>[peer_tag_param]
[routes]
Call-ID: [call_id]
CSeq: 1 ACK
Max-Forwards: 70
Content-Length: 0

]]></send>
"""
_REINVITED = """
<recv request="INVITE"/>
<send retrans="500"><![CDATA[
SIP/2.0 200 OK
[last_Via:]
[last_From:]
[last_To:]
[last_Call-ID:]
[last_CSeq:]
Contact: <sip:2125550100@[local_ip]:[local_port];transport=[transport]>
Content-Type: application/sdp
Content-Length: [len]

{sdp}]]></send>
<recv request="ACK"/>
"""
_RELEASED = """
<recv request="BYE"/>
<send><![CDATA[
SIP/2.0 200 OK
[last_Via:]
[last_From:]
[last_To:]
[last_Call-ID:]
[last_CSeq:]
Content-Length: 0

]]></send>
"""


def scenario(directions: tuple[str, ...] = ()) -> str:
    """A caller that is re-INVITEd once for each direction, then waits for the other side to hang up."""
    text = _CALL.format(sdp=_SDP.format(version=1, direction="sendrecv"))
    for number, direction in enumerate(directions):
        text += _REINVITED.format(sdp=_SDP.format(version=number + 2, direction=direction))
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<scenario name="caller">{text}{_RELEASED}</scenario>\n'


@asynccontextmanager
async def sipp(
    folder: Path, target: tuple[str, int], number: str, text: str, transport: str = "udp", port: int = 0
) -> AsyncIterator[None]:
    """One call by SIPp to a number, or with a `port` one call to SIPp there, while the block runs; at its end SIPp must
    have seen all of its scenario.
    """
    file = folder / f"sipp-{number}.xml"
    file.write_text(text)
    errors_file = folder / f"sipp-{number}.err"
    process = await asyncio.create_subprocess_exec(
        *("sipp", f"{target[0]}:{target[1]}", "-sf", str(file), "-s", number, "-m", "1", "-i", "127.0.0.1"),
        *("-t", {"udp": "u1", "tcp": "t1"}[transport], *(("-p", str(port)) if port else ())),
        *("-nostdin", "-timeout", "45", "-timeout_error", "-trace_err", "-error_file", str(errors_file)),
        cwd=folder,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        if port:
            await _listens(transport, port)
        yield
        _, errors = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    said = errors_file.read_text() if errors_file.exists() else ""
    assert process.returncode == 0, f"sipp ended with {process.returncode}\n{errors.decode()}{said}"


async def _listens(transport: str, port: int) -> None:
    """Wait until a socket of this machine has the port."""
    async with asyncio.timeout(EVENT_S):
        while f":{port:04X} " not in Path(f"/proc/net/{transport}").read_text():
            await asyncio.sleep(0.02)  # SIPp says nothing when it is ready


@asynccontextmanager
async def sipp_call(
    folder: Path, target: tuple[str, int], number: str, directions: tuple[str, ...] = (), transport: str = "udp"
) -> AsyncIterator[None]:
    """A call by SIPp that is re-INVITEd once for each direction, then released."""
    async with sipp(folder, target, number, scenario(directions), transport):
        yield


class Baresip:
    """A headless baresip, driven through its ctrl_tcp module: netstrings of JSON."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._events: list[dict[str, Any]] = []

    async def start(
        self, number: str, password: str, registrar: tuple[str, int], transport: str, pair: Pair | None
    ) -> None:
        modules = next(path for path in MODULES if Path(path).is_dir())
        control = free_port()
        self._folder.mkdir()
        (self._folder / "config").write_text(
            "sip_listen 127.0.0.1:0\n"
            f"module_path {modules}\n"
            "module g711.so\nmodule aubridge.so\n"
            "module_app account.so\nmodule_app menu.so\nmodule_app ctrl_tcp.so\n"
            "audio_source aubridge,one\naudio_player aubridge,one\naudio_alert aubridge,two\n"
            f"ctrl_tcp_listen 127.0.0.1:{control}\n" + self._tls(pair)
        )
        (self._folder / "accounts").write_text(
            f"<sip:{number}@{registrar[0]}:{registrar[1]};transport={transport}>"
            f";auth_user={number};auth_pass={password};regint=60;answermode=manual\n"
        )
        (self._folder / "contacts").write_text("")
        self._process = await asyncio.create_subprocess_exec(
            *("baresip", "-4", "-f", str(self._folder)),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        self._said: list[str] = []
        await self._until("baresip is ready")
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", control)
        # Its REGISTER_OK may have been told before anybody listened; what it prints is not lost.
        await self._until("200 OK")
        self._reading = asyncio.create_task(self._read_all())

    def _tls(self, pair: Pair | None) -> str:
        """Its own certificate, which others see when they connect to it, and whom it believes."""
        if pair is None:
            return ""
        both = self._folder / "both.pem"
        both.write_bytes(pair.certificate.read_bytes() + pair.key.read_bytes())
        return f"sip_certificate {both}\nsip_cafile {pair.certificate}\n"

    async def _until(self, text: str) -> None:
        assert self._process.stdout is not None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(EVENT_S):
                while line := (await self._process.stdout.readline()).decode("utf-8", "replace"):
                    self._said.append(line)
                    if text in line:
                        return
        self._process.kill()
        await self._process.wait()
        raise AssertionError(f"baresip did not say {text!r}:\n{''.join(self._said)}")

    async def _read_all(self) -> None:
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            self._said.append(line.decode("utf-8", "replace"))

    async def command(self, name: str, parameters: str = "") -> None:
        """Send a command of baresip's menu."""
        text = json.dumps({"command": name, "params": parameters}).encode()
        self._writer.write(b"%d:%s," % (len(text), text))
        await self._writer.drain()

    async def wait_for(self, kind: str) -> dict[str, Any]:
        """The next event of a type, such as CALL_INCOMING, CALL_ESTABLISHED, CALL_CLOSED."""
        for index, event in enumerate(self._events):
            if event.get("type") == kind:
                return self._events.pop(index)
        try:
            async with asyncio.timeout(EVENT_S):
                while True:
                    length = await self._reader.readuntil(b":")
                    assert re.fullmatch(rb"[0-9]{1,6}:", length)
                    event = json.loads((await self._reader.readexactly(int(length[:-1]) + 1))[:-1])
                    if event.get("type") == kind:
                        return event  # type: ignore[no-any-return]
                    self._events.append(event)
        except (TimeoutError, asyncio.IncompleteReadError):
            raise AssertionError(f"baresip: no {kind}; it said:\n{''.join(self._said)}") from None

    async def stop(self) -> None:
        """Unregister and quit."""
        with contextlib.suppress(OSError):
            await self.command("quit")
        try:
            async with asyncio.timeout(EVENT_S):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
        await self._reading
        self._writer.close()


@asynccontextmanager
async def baresip(
    folder: Path,
    number: str,
    password: str,
    registrar: tuple[str, int],
    transport: str = "udp",
    pair: Pair | None = None,
) -> AsyncIterator[Baresip]:
    """A registered baresip; over TLS it needs a certificate, of which it believes the issuer too."""
    phone = Baresip(folder / "baresip")
    await phone.start(number, password, registrar, transport, pair)
    try:
        yield phone
    finally:
        await phone.stop()


@asynccontextmanager
async def kamailio(folder: Path, *nodes: tuple[str, int]) -> AsyncIterator[tuple[str, int]]:
    """Kamailio with our example's configuration in front of nodes, the first of them preferred; its address."""
    rows = [f"1 sip:{host}:{port} 0 {100 - place}\n" for place, (host, port) in enumerate(nodes)]
    (folder / "nodes.list").write_text("".join(rows))
    port = free_port(PROXY_HOST)
    process = await asyncio.create_subprocess_exec(
        *("kamailio", "-f", str(KAMAILIO), "-DD", "-E", "-m", "32", "-M", "4", "-Y", str(folder)),
        *("-A", f"PROXY_HOST={PROXY_HOST}", "-A", f"PROXY_PORT={port}", "-A", f'NODES_FILE="{folder}/nodes.list"'),
        *("-A", "PROXY_WORKERS=1"),  # what a test sends arrives in order
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    said: list[str] = []

    async def ready() -> None:
        async with asyncio.timeout(EVENT_S):
            while not said or "the proxy is ready" not in said[-1]:
                line = await process.stderr.readline()  # type: ignore[union-attr]
                assert line, f"kamailio ended:\n{''.join(said)}"
                said.append(line.decode("utf-8", "replace"))

    try:
        await ready()
        yield PROXY_HOST, port
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        _, rest = await process.communicate()
    complaints = [line for line in rest.decode("utf-8", "replace").splitlines() if "ERROR" in line]
    assert not complaints, "\n".join(complaints)


def free_port(host: str = "127.0.0.1") -> int:
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])
