"""What a node is short of is waited for; whatever else goes wrong is told at once."""

from __future__ import annotations

import errno

import pytest

from wharfside_agent.services.shortage import insist


class Disk:
    """Refuses with `errors`, one a try, and then takes it."""

    def __init__(self, *errors: int) -> None:
        self._errors = list(errors)
        self.tries = 0

    async def write(self) -> str:
        self.tries += 1
        if self._errors:
            raise OSError(self._errors.pop(0), "refused")
        return "written"


@pytest.mark.parametrize("refusals", [0, 1, 2])
async def test_it_is_tried_until_there_is_room(refusals: int) -> None:
    disk = Disk(*[errno.ENOSPC, errno.EMFILE][:refusals])
    assert await insist("a row", disk.write) == "written"
    assert disk.tries == refusals + 1


@pytest.mark.parametrize("errors", [[errno.EIO], [errno.ENOSPC, errno.EIO]], ids=["first", "later"])
async def test_what_time_does_not_mend_is_raised(errors: list[int]) -> None:
    disk = Disk(*errors)
    with pytest.raises(OSError, match="refused") as caught:
        await insist("a row", disk.write)
    assert caught.value.errno == errno.EIO
    assert disk.tries == len(errors)
