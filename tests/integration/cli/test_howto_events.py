"""Every command of the howto on events works as it stands there."""

import re
import shlex
from pathlib import Path

import pytest
from terminal import Installation, Terminal

PAGE = Path(__file__).parents[3] / "docs" / "howto" / "receive-events.md"


def commands() -> list[str]:
    blocks = re.findall(r"```sh\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    return [line for block in blocks for line in block.splitlines()]


@pytest.mark.slow
def test_the_commands_of_the_page_work(calibr: Terminal, installation: Installation) -> None:
    calibr.become(installation.server.url, installation.tokens["admin"])

    assert len(commands()) == 8
    for line in commands():
        program, *arguments = shlex.split(line)
        assert program == "calibr"
        assert calibr(*arguments).code == 0, line
    assert calibr("subscription", "delete", "erp").code == 0
