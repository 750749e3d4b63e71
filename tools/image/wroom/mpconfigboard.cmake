# ESP32 without PSRAM, 4 MB of flash: ESP32-WROOM-32.
set(IDF_TARGET esp32)
set(PARTITIONS partitions-4MiB.csv)
set(SDKCONFIG_DEFAULTS
    boards/sdkconfig.base
)
include(${CMAKE_CURRENT_LIST_DIR}/../image.cmake)

# Python's heap must not grow: see mpconfigheap.h.
list(APPEND MICROPY_DEF_BOARD
    MP_CONFIGFILE="mpconfigheap.h"
)
