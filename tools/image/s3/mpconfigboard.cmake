# ESP32-S3 with octal PSRAM, 8 MB of flash or more: ESP32-S3-WROOM-1-N8R8.
set(IDF_TARGET esp32s3)
set(PARTITIONS partitions-8MiB.csv)
set(SDKCONFIG_DEFAULTS
    boards/sdkconfig.base
    boards/sdkconfig.usb
    boards/sdkconfig.spiram_sx
    boards/sdkconfig.240mhz
    boards/sdkconfig.spiram_oct
)
include(${CMAKE_CURRENT_LIST_DIR}/../image.cmake)
