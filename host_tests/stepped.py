"""The program as main.py starts it, on a MicroPython whose clock the test moves (virtual.py).

micropython -m host_tests.stepped FD OPTIONS...
"""

import sys

from host_tests import virtual  # before the firmware: it replaces the clock

virtual.follow(int(sys.argv.pop(1)))

from firmware import app  # noqa: E402

app.main(sys.argv[1:])
