#define MICROPY_HW_BOARD_NAME           "Wallbridge on ESP32-S3 with PSRAM"
#define MICROPY_HW_MCU_NAME             "ESP32S3"

// The console is on the socket of the USB-to-serial chip too, not on the chip's own USB alone.
#define MICROPY_HW_ENABLE_UART_REPL     (1)

// Its source is for later versions of ESP-IDF than the pinned one.
#define MICROPY_PY_MACHINE_I2C_TARGET   (0)

#include "../mpconfigimage.h"
