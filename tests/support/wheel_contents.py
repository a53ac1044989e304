"""Check that a wheel holds the three packages with their type marks, and nothing beside them."""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

PACKAGES = {"wharfside_agent", "wharfside_client", "wharfside_protocol"}


def complaints(names: list[str]) -> list[str]:
    """What is wrong with a wheel of these file names; empty if nothing is."""
    tops = {name.split("/")[0] for name in names}
    foreign = {top for top in tops - PACKAGES if not top.endswith(".dist-info")}
    unmarked = {package for package in PACKAGES if f"{package}/py.typed" not in names}
    return [
        *(f"holds {top}, which is no wharfside package" for top in sorted(foreign)),
        *(f"lacks {package}, or its py.typed" for package in sorted(unmarked)),
    ]


def main(wheel: Path) -> int:
    with zipfile.ZipFile(wheel) as file:
        found = complaints(file.namelist())
    for complaint in found:
        print(f"{wheel.name} {complaint}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
