// MicroPython's settings for the port, but for a heap of one fixed size: growing, it would take the
// memory that Wi-Fi and TLS need. The port sets these two without asking whether the board has.
#include <mpconfigport.h>

#undef MICROPY_GC_SPLIT_HEAP
#undef MICROPY_GC_SPLIT_HEAP_AUTO
#define MICROPY_GC_SPLIT_HEAP           (0)
#define MICROPY_GC_SPLIT_HEAP_AUTO      (0)
