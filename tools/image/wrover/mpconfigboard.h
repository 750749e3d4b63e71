#define MICROPY_HW_BOARD_NAME           "Wallbridge on ESP32 with PSRAM"
#define MICROPY_HW_MCU_NAME             "ESP32"

#include "../mpconfigimage.h"
