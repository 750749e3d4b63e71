"""The one entry on every runtime; never changed by an update. What starts is in firmware.app."""

import sys

from firmware import app

app.main(sys.argv[1:])
