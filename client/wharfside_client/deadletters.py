"""Dead letters: commands that a node terminated, or was given in vain; listed, and sent again.

The advisories of WHARFSIDE_ADV say which message of WHARFSIDE_CMD it was. Both are read
one by one, as the provisioner may.
"""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import msgspec

from wharfside_client.bus import Bus
from wharfside_client.calls import latest_deadline
from wharfside_client.durable import post_bytes
from wharfside_client.errors import ApiError
from wharfside_client.headers import headers_of
from wharfside_client.jetstream import JetStream
from wharfside_protocol.assets import ADV, CMD
from wharfside_protocol.codec import decode, encode
from wharfside_protocol.envelope import Command
from wharfside_protocol.errors import Invalid, NotFound
from wharfside_protocol.records import Counter, Record, Timestamp
from wharfside_protocol.subjects import check_name

MOST = 1000
"""Of the advisories the last so many are read."""

NO_MESSAGE = 10037
"""The server's code for a sequence that a stream does not have."""

TERMINATED, MAX_DELIVERIES = "MSG_TERMINATED", "MAX_DELIVERIES"
_KINDS = {TERMINATED: "terminated", MAX_DELIVERIES: "max-deliveries"}


class DeadLetter(Record, frozen=True, kw_only=True):
    """`seq` is the message's in WHARFSIDE_CMD. `subject` is nil once the stream has dropped
    it (24 h); `command` and `op` also where it is no command.
    """

    seq: Counter
    node: str
    kind: str
    at: Timestamp
    reason: str | None = None
    deliveries: Counter = 0
    subject: str | None = None
    command: str | None = None
    op: str | None = None


class _Advisory(msgspec.Struct):
    """What the server publishes (io.nats.jetstream.advisory.v1): the fields that are used."""

    consumer: str
    stream_seq: int
    timestamp: str
    deliveries: int = 0
    reason: str | None = None


class _Kept(msgspec.Struct):
    """A message as STREAM.MSG.GET gives it."""

    subject: str
    seq: int
    time: str
    data: bytes = b""


class DeadLetters:
    """For the provisioner, who may read the two streams and write to mailboxes."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._js = JetStream(bus)
        self._subjects = bus.settings.subjects

    async def list(self, node: str | None = None) -> list[DeadLetter]:
        """The last of all nodes or of one, the oldest first; one a message.

        Raises:
            ApiError: WHARFSIDE_ADV is missing (bootstrap first).
            Invalid: no node can be called so.
        """
        scope = "*" if node is None else check_name(node, "node")
        subject = f"$JS.EVENT.ADVISORY.CONSUMER.*.{CMD}.{scope}"
        state = (await self._js.api(f"STREAM.INFO.{ADV}"))["state"]
        at = max(int(state["first_seq"]), int(state["last_seq"]) - MOST + 1, 1)
        found: dict[int, DeadLetter] = {}
        while (kept := await self._get(ADV, {"seq": at, "next_by_subj": subject})) is not None:
            at = kept.seq + 1
            letter = await self._letter(kept)
            if letter is not None:
                found[letter.seq] = letter
        return [*found.values()]

    async def resend(self, seq: int) -> str:
        """Puts the message into its mailbox again; the id under which it is told of.

        A command that was given in vain (`max-deliveries`) keeps its id: whether it was
        done is known to its node. One that was terminated gets another, always the same:
        its own has its result already, an error. Its deadline begins anew, so whoever signed
        it did not sign this one: it is signed by the key of who sends it again, if there is one.

        Raises:
            NotFound: the stream has no such message any more, or it is not a dead letter.
            NotSetUp, Unanswered, ServerUnreachable, Denied: see `post_bytes`.
        """
        letter = next((each for each in await self.list() if each.seq == seq), None)
        kept = await self._get(CMD, {"seq": seq})
        if letter is None or kept is None:
            raise NotFound(f"no dead letter {seq}: `wharfside dead-letters` shows those there are")
        token = hashlib.sha256(f"{kept.subject} {kept.seq} {kept.time}".encode()).hexdigest()[:16]
        id_, data = f"resent-{token}", kept.data
        command, headers = _command(kept.data), None
        if command is not None:
            if letter.kind == _KINDS[MAX_DELIVERIES]:
                id_ = command.id
            anew = self._anew(command, id_)
            data, headers = encode(anew), headers_of(self._bus, anew)
        await post_bytes(self._bus, kept.subject, data, f"{letter.node}.{id_}.{token}", headers)
        return id_

    def _anew(self, command: Command, id_: str) -> Command:
        if self._bus.signer is None:
            return msgspec.structs.replace(command, id=id_, deadline=None)
        return msgspec.structs.replace(command, id=id_, deadline=latest_deadline(), actor=None)

    async def _letter(self, kept: _Kept) -> DeadLetter | None:
        kind = _KINDS.get(kept.subject.split(".")[4])
        try:
            told = msgspec.json.decode(kept.data, type=_Advisory)
        except msgspec.DecodeError:
            return None
        if kind is None:
            return None
        original = await self._get(CMD, {"seq": told.stream_seq})
        command = None if original is None else _command(original.data)
        return DeadLetter(
            seq=told.stream_seq,
            node=told.consumer,
            kind=kind,
            at=told.timestamp,
            reason=told.reason,
            deliveries=told.deliveries,
            subject=None if original is None else original.subject,
            command=None if command is None else command.id,
            op=None if command is None else command.op,
        )

    async def _get(self, stream: str, body: dict[str, Any]) -> _Kept | None:
        try:
            answer = await self._js.api(f"STREAM.MSG.GET.{stream}", body)
        except ApiError as error:
            if error.err_code == NO_MESSAGE:
                return None
            raise
        message = dict(answer["message"])
        message["data"] = base64.b64decode(message.get("data", ""))
        return msgspec.convert(message, _Kept)


def _command(data: bytes) -> Command | None:
    try:
        return decode(data, Command)
    except Invalid:
        return None
