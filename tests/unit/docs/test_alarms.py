"""Every alarm that deploy/ ships is explained, and no other is."""

from __future__ import annotations

import re
from pathlib import Path

TOP = Path(__file__).parents[3]


def test_the_page_has_a_line_for_each_alarm() -> None:
    shipped = re.findall(
        r"- alert: (\w+)", (TOP / "deploy" / "prometheus" / "alerts.yml").read_text()
    )
    page = (TOP / "docs" / "operations.md").read_text()
    alarms = page.partition("### Alarms\n")[2].partition("\n## ")[0]
    assert re.findall(r"`(Wharfside\w+)`", alarms) == shipped
