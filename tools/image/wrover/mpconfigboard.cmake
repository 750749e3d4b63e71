# ESP32 with PSRAM, 4 MB of flash or more: ESP32-WROVER-E.
set(IDF_TARGET esp32)
set(PARTITIONS partitions-4MiB.csv)
set(SDKCONFIG_DEFAULTS
    boards/sdkconfig.base
    boards/sdkconfig.spiram
)
include(${CMAKE_CURRENT_LIST_DIR}/../image.cmake)
