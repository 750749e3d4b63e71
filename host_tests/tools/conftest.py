"""What the tests of the tools for a board share."""

import pytest

from host_tests.tools.pty_board import PtyBoard
from tools import board


@pytest.fixture
def pty_board(tmp_path, micropython, monkeypatch):
    """A board at the end of a pty. However busy this machine is, it is not taken for gone."""
    micropython(64)
    monkeypatch.setattr(board, "SILENT_S", 60)
    monkeypatch.setattr(board, "ENTER_S", 60)
    with PtyBoard(tmp_path) as made:
        yield made
