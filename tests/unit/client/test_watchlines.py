"""What `ps --watch` says of nodes."""

from __future__ import annotations

import msgspec
import pytest
from tests.integration.client_kit import TIME, presence

from wharfside_client import NodeChanged
from wharfside_client.changes import WatchedNode
from wharfside_client.cli.output import Output
from wharfside_client.cli.watchlines import WatchLines
from wharfside_protocol.views import NodeInfo


def node(info: NodeInfo, *, silent: bool = False) -> WatchedNode:
    return WatchedNode(info, TIME, silent)


def test_a_node_is_told_when_its_standing_changes_and_for_nothing_else(
    capsys: pytest.CaptureFixture[str],
) -> None:
    up = presence("n1")
    draining = msgspec.structs.replace(up, state="draining")
    served = msgspec.structs.replace(up, mailbox="serving", since_seq=3)
    lines = WatchLines(Output(), all=False)
    for change in (
        NodeChanged(None, node(up)),
        NodeChanged(node(up), node(served)),
        NodeChanged(node(served), node(draining)),
        NodeChanged(node(draining), node(draining, silent=True)),
        NodeChanged(node(draining, silent=True), node(served)),
    ):
        lines.tell(change)
    said = [line.rpartition(" ")[2] for line in capsys.readouterr().err.splitlines()]
    assert said == ["up", "draining", "silent", "up"]
