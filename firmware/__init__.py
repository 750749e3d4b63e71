"""The firmware: everything that ships to the ESP32."""

VERSION = "0.1.0"
BUILD = 1795305600  # 2026-11-22T00:00:00Z: no clock is right that says an earlier time
