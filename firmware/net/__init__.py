"""The network: websocket, transfers, Wi-Fi."""
