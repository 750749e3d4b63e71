#define MICROPY_HW_BOARD_NAME           "Wallbridge on ESP32"
#define MICROPY_HW_MCU_NAME             "ESP32"

// All the heap that Python has: see mpconfigheap.h.
#define MICROPY_GC_INITIAL_HEAP_SIZE    (112 * 1024)

#include "../mpconfigimage.h"
