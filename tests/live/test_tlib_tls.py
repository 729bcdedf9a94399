"""T-Library under TLS: the server proves itself, a client by its certificate, and the links between nodes too."""

from __future__ import annotations

import ssl
import subprocess
from pathlib import Path

import pytest

from refserver.client import ConnectionLost, TLibError, connect
from tests.live.cluster import cluster_text, run, running
from tlib_proto import MessageType

LISTENERS = '["port", "IPport", "TCport", "SmartProxy"]'


def made(folder: Path, name: str, signer: str = "") -> tuple[Path, Path]:
    """A key and a certificate for a name and 127.0.0.1, signed by `signer` or by itself."""
    key, certificate = folder / f"{name}.key", folder / f"{name}.pem"
    command = [
        "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
        "-keyout", str(key), "-out", str(certificate), "-subj", f"/CN={name}",
        "-addext", f"subjectAltName=DNS:{name},IP:127.0.0.1",
    ]  # fmt: skip
    if signer:
        command += ["-CA", str(folder / f"{signer}.pem"), "-CAkey", str(folder / f"{signer}.key")]
        command += ["-addext", "basicConstraints=CA:FALSE"]
    subprocess.run(command, check=True, capture_output=True)
    return key, certificate


def tls_text(folder: Path) -> str:
    key, certificate = made(folder, "server", "ca")
    options = (
        f'tls = {LISTENERS}\ntls-mutual = ["TCport"]\ncertificate = "{certificate}"\ncertificate-key = "{key}"\n'
        f'trusted-ca = "{folder / "ca.pem"}"\n'
    )
    text = cluster_text().replace('SmartProxy = "127.0.0.1:0"\n', f'SmartProxy = "127.0.0.1:0"\n{options}')
    return text.replace('[[client]]\nname = "GWS"', '[[client]]\nname = "GWS"\ncertificate = "gws.example"')


def context(folder: Path, name: str = "") -> ssl.SSLContext:
    made_context = ssl.create_default_context(cafile=folder / "ca.pem")
    if name:
        made_context.load_cert_chain(folder / f"{name}.pem", folder / f"{name}.key")
    return made_context


@pytest.mark.peer("openssl")
def test_a_certificate_proves_a_client_and_links_run_under_tls(tmp_path: Path) -> None:
    made(tmp_path, "ca")
    made(tmp_path, "gws.example", "ca")
    made(tmp_path, "other.example", "ca")

    async def body() -> None:
        async with running(tmp_path, text=tls_text(tmp_path)) as cluster:
            await cluster.phone("1002", "n2")
            tcport = cluster.address("n1", "tcontroller")

            async def desktop(name: str) -> object:
                client = await connect(*tcport, application="GWS", role="desktop", tls=context(tmp_path, name))
                try:
                    await client.register_address("1002")
                    return await client.agent_login("1002", "A2")
                finally:
                    await client.aclose()

            # n2 owns the DN: the answer came over a link under TLS.
            assert (await desktop("gws.example")).id == MessageType.EventAgentLogin  # type: ignore[attr-defined]
            with pytest.raises(TLibError):
                await desktop("other.example")
            with pytest.raises((ConnectionLost, OSError)):
                await desktop("")
            port = cluster.address("n2", "smartproxy")
            monitor = await connect(*port, application="m", role="monitor", tls=context(tmp_path))
            await monitor.register_address("1002")
            await monitor.aclose()
            with pytest.raises((ConnectionLost, OSError)):
                await connect(*port, application="m", role="monitor", timeout_s=5)

    run(body)
