// MicroPython's settings for the images of all boards: what a charging station has no use for.
#define MICROPY_PY_BLUETOOTH    (0)
#define MICROPY_PY_ESPNOW       (0)
#define MICROPY_PY_NETWORK_LAN  (0)
