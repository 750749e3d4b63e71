"""How the device's Wi-Fi is, for the self-test."""

import network


def look() -> tuple:
    """(connected, what to say)."""
    wlan = network.WLAN(network.STA_IF)
    if not wlan.isconnected():
        return False, "not connected, status %s" % wlan.status()
    return True, "%s, %s dBm" % (wlan.ifconfig()[0], wlan.status("rssi"))
