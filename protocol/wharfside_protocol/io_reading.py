"""Frames as they are read: one written as ours are at once, all else as strictly as any record."""

from __future__ import annotations

import msgspec

from wharfside_protocol.codec import convert, unpack
from wharfside_protocol.errors import Invalid
from wharfside_protocol.io_frames import MAX_WIRE_BYTES, Data, DownFrame, UpFrame
from wharfside_protocol.io_writing import encode_frame, is_written_as
from wharfside_protocol.records import Record

_read_data = msgspec.msgpack.Decoder(Data).decode


class FrameUp(Record, frozen=True, kw_only=True):
    """Never on the wire: msgspec keeps what it knows of a record, and of a bare union nothing."""

    frame: UpFrame


class FrameDown(Record, frozen=True, kw_only=True):
    """See FrameUp."""

    frame: DownFrame


def up_frame(data: bytes) -> UpFrame:
    """What a peer sent to the node.

    Raises:
        Invalid: it is no frame, or none that goes up.
    """
    return _data(data) or convert({"frame": unpack(data)}, FrameUp).frame


def down_frame(data: bytes) -> DownFrame:
    """What the node sent to a peer.

    Raises:
        Invalid: it is no frame, or none that goes down.
    """
    return _data(data) or convert({"frame": unpack(data)}, FrameDown).frame


def _data(data: bytes) -> Data | None:
    """A `Data` that is written as ours are, read at once; None: another frame, or one to be looked
    at closely. What is written into the very same bytes again had no key twice; and each list and
    string in one is bounded by its type before there is room made for it.

    Raises:
        Invalid: it is too large for any frame.
    """
    if len(data) > MAX_WIRE_BYTES:
        raise Invalid(f"frame of {len(data)} bytes; at most {MAX_WIRE_BYTES} are one")
    try:
        frame = _read_data(data)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    return frame if is_written_as(data, encode_frame(frame)) else None
