"""A device from boot.py on, in real time, for test_slots.py: the chip and its circuit in software,
a car that comes after a second or is there already, a meter on the UART. Started in the folder
that is the flash."""

import sys
import time

from host_tests.both import fake_machine


class Chip(fake_machine.Chip):
    """In real time."""

    def __init__(self):
        self._begin = time.ticks_ms()
        super().__init__()
        self.UART = Uart

    @property
    def us(self):
        return (
            1000000
            + time.ticks_diff(time.ticks_ms(), self._begin) * 1000
            + (time.ticks_us() % 1000)
        )

    @us.setter
    def us(self, value):
        pass


class Circuit(fake_machine.Circuit):
    """A car comes, and asks for energy when it is offered."""

    car_comes_us = 2000000

    def mv(self, number):
        if self.chip.us > self.car_comes_us:
            self.pp_ohm = 220
            self.ohm = 882 if self.chip.pwm[27].duty < 65536 else 2740
        return super().mv(number)


class Uart(fake_machine.UART):
    """The meter's, with a meter at its end."""

    def write(self, data):
        from firmware.board.simulated import serial_lines
        from firmware.sensing.meters import RegisterMap

        if data:
            values = {"energy": 123456, "power": 0, "frequency": 50000}
            for n in "123":
                values["v" + n], values["i" + n], values["p" + n] = 230000, 0, 0
            self.hear(serial_lines.meter_answer(RegisterMap("iEM3155"), 1, bytes(data), values))
        return super().write(data)


class Python:
    """`micropython`."""

    def __init__(self):
        self.const = lambda value: value

    def kbd_intr(self, character):
        print("interrupt key", character)


class Esp32:
    """`esp32` of a chip without PSRAM, and without a file system of its own."""

    HEAP_DATA = 4

    @staticmethod
    def idf_heap_info(kind):
        return ()  # else it would have to have a name, too

    class Partition:
        TYPE_DATA = 1

        @staticmethod
        def find(kind, label):
            return []


def main(memory, cause, car):
    """One life; how it ends is printed. `car`: "comes", or is there "already"."""
    chip = Chip()
    chip.memory = memory.encode()
    chip.cause = int(cause)
    circuit = Circuit(chip)
    if car == "already":
        circuit.car_comes_us = 0
    sys.modules["micropython"] = Python()
    sys.modules["esp32"] = Esp32
    scope = {"__name__": "__main__"}
    sys.argv[:] = []
    with open("boot.py") as file:
        exec(file.read(), scope)
    from firmware.base import runtime

    runtime.DEVICE = True
    try:
        with open("main.py") as file:
            exec(file.read(), scope)
        print("repl", chip.outputs.get(25), chip.timeout_ms)
    except fake_machine.Reset:
        print("reset", chip.outputs.get(25), str(chip.memory, "utf-8"))


main(*sys.argv[1:])
