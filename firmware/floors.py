"""Imports the firmware from the ground floor up. The program, and each test on MicroPython, begins
with it.

Imports that wait for each other take stack. Desktop MicroPython on 32 bits has enough for about
eight, since each has room for a path of 4096 characters in its frame (128 on the ESP32). In this
order, in which each module finds most of what it imports, no more than six wait.
"""

# isort: off
import firmware.base.sockets
import firmware.metering.measurands
import firmware.charging.evse
import firmware.net.tls
import firmware.net.websocket
import firmware.ocpp.keys
import firmware.ocpp.configuration
import firmware.ocpp.rpc
import firmware.ocpp.connection
import firmware.ocpp.handlers.dispatch
import firmware.station  # noqa: F401
