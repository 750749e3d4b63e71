"""The network: the WebSocket, file transfers, TLS, Wi-Fi, the time of day."""
