"""The phone's side of offer and answer, without any media (RFC 3264)."""

from __future__ import annotations

from sip_proto import ParseError, audio, audio_answer, parse_sdp

DISCARD_PORT = 9


class Media:
    """One session's description: its version grows with each one sent (RFC 3264 section 8).

    `held` is what we want, `remote` the direction that the peer described last.
    """

    def __init__(self, host: str, session: int) -> None:
        self._host = host
        self._session = session
        self._version = 0
        self.held = False
        self.remote = "sendrecv"

    @property
    def held_by_peer(self) -> bool:
        """True while the peer does not want to hear us."""
        return self.remote in ("sendonly", "inactive")

    def offer(self) -> bytes:
        """An offer of one audio stream: sendonly while we hold, inactive while both do, else sendrecv."""
        self._version += 1
        direction = "sendrecv"
        if self.held:
            direction = "inactive" if self.held_by_peer else "sendonly"
        return audio(self._host, DISCARD_PORT, session=self._session, version=self._version, direction=direction)

    def answer(self, offer: bytes) -> bytes | None:
        """The answer to an offer, an offer when there was none; None without a common format."""
        if not offer:
            return self.offer()
        try:
            described = parse_sdp(offer)
            self._version += 1
            body = audio_answer(described, self._host, DISCARD_PORT, session=self._session, version=self._version)
        except ParseError:
            return None
        self.remote = described.direction()
        if body is None or not self.held:
            return body
        direction = "sendonly" if self.remote in ("sendrecv", "recvonly") else "inactive"
        self._version += 1
        return parse_sdp(body).with_direction(direction).to_bytes()

    def read(self, body: bytes) -> None:
        """Note what the peer described; what cannot be read changes nothing."""
        if body:
            try:
                self.remote = parse_sdp(body).direction()
            except ParseError:
                return
