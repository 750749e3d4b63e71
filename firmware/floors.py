"""Imports the lower floors from the ground up. The program, and each test on MicroPython, begins
with it.

Imports that wait for each other take stack. Desktop MicroPython on 32 bits has enough for about
eight, since each has room for a path of 4096 characters in its frame (128 on the ESP32). Once
these modules are there, no chain of imports is as long.
"""

import firmware.base.sockets
import firmware.metering.measurands
import firmware.net.tls
import firmware.net.websocket
import firmware.ocpp.configuration
import firmware.ocpp.keys  # noqa: F401
