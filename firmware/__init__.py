"""The firmware: everything that ships to the ESP32."""
