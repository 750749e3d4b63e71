"""What runs first on the device: the permit low, crashes counted, the slot chosen.

No update ever changes this file: it has to start slots that are newer than itself.

The application lives in two folders, `a` and `b`. `boot.txt` says which one runs, in words
NAME=VALUE in any order; words that are unknown here are kept:

    slot=b    the slot to start
    trial=1   it is new and has yet to prove itself; the application writes 0 once it has
    tries=2   how often it was started on trial
    failed=1  the last trial ended in going back; the application reports that and writes 0
    image=X   a whole MicroPython has yet to prove itself, and X is the OTA slot of the one before;
              the application takes X away once it has

An update fills the slot that does not run, then replaces boot.txt by `slot=b trial=1 tries=0` and
resets. Three starts on trial, then the other slot is back: `slot=a trial=0 tries=0 failed=1`. The
watchdog runs during a trial from here on, so that a slot that can't even be imported resets too;
the application takes it over. The same holds for an image, in which the application may not even
be readable, whether its bootloader goes back by itself or not: three starts, then X is back.
boot.txt is replaced in one step (boot.new, then a rename). Where it is missing or says nothing
useful, slot a runs, or slot b where that is missing, and boot.txt is written anew.

RTC memory survives all but the loss of power. It holds `N STATE WHY`, N crashes in a row. STATE is
`run` from here on, `ok` before a reset that was meant, `bad` for one that was not; `run` is a
crash too if the watchdog or the chip itself made the reset. From the third on the application
starts in its safe state (firmware/device.py), until the power goes or it is told to try again.
"""

import os
import sys


def boot(machine):
    """Does all of it; `machine` is None on a PC."""
    starts = 3  # on trial
    patience_ms = 180000  # with a slot on trial, until its application feeds the watchdog
    is_s3 = "ESP32S3" in getattr(sys.implementation, "_machine", "")
    permit = "5" if is_s3 else "25"  # unless provision.json has another

    def there(name):
        try:
            os.stat(name)
            return True
        except OSError:
            return False

    if machine:
        try:
            import json

            with open("provision.json") as file:
                permit = str(json.load(file).get("pins", {}).get("permit", permit))
        except Exception as error:  # it must not keep the station from its console
            print("boot: provision.json:", error)
        try:
            low = 1 if "!" in permit else 0
            machine.Pin(int(permit.strip("!^")), machine.Pin.OUT, value=low)
        except Exception as error:
            print("boot: permit:", error)

    words = {}
    try:
        with open("boot.txt") as file:
            for word in file.read(200).split():
                name, _, value = word.partition("=")
                words[name] = value
    except (OSError, ValueError) as error:
        print("boot: boot.txt:", error)
    save = False
    slot = words.get("slot")
    if slot not in ("a", "b"):
        slot = "a" if there("a") or not there("b") else "b"
        words.update({"slot": slot, "trial": "0", "tries": "0"})
        save = there(slot)
    image = words.get("image") if machine else ""
    if image:
        try:
            from esp32 import Partition

            running = Partition(Partition.RUNNING)  # type: ignore[arg-type]
            if running.info()[4] == image:  # the bootloader went back
                image = words["image"] = ""
                save = True
        except Exception as error:
            print("boot: image:", error)

    def undo():
        """The next reset starts the image before. Whether that can be."""
        try:
            from esp32 import Partition

            Partition(image).set_boot()
        except Exception as error:
            print("boot: image:", error)
            return False
        print("boot: the image did not prove itself")
        machine.RTC().memory(b"0 ok")
        return True

    other = "b" if slot == "a" else "a"
    trial = words.get("trial") == "1"
    back = undone = False
    tries = words.get("tries", "")
    count = int(tries) if tries.isdigit() else 0
    if trial or image:
        save = True
        words["tries"] = str(count + 1)
    if image and count >= starts:
        undone = undo()
        image = ""
        words.update({"image": "", "tries": "0", "failed": "1"})
    if trial:
        back = there(other) and (count >= starts or not there(slot))
        if back:
            print("boot: slot %s did not prove itself" % slot)
            slot, other, trial = other, slot, False
            words.update({"slot": slot, "trial": "0", "tries": "0", "failed": "1"})
    elif not there(slot) and there(other):
        slot = other
    if save:
        try:
            with open("boot.new", "w") as file:
                file.write(" ".join("%s=%s" % item for item in words.items()) + "\n")
            os.rename("boot.new", "boot.txt")
        except OSError as error:  # what can't be counted is not tried
            print("boot: boot.txt:", error)
            if trial and there(other):
                slot, trial = other, False
            if image:
                undone = undo()

    if undone:
        machine.reset()
    if machine:
        memory = machine.RTC().memory().split(None, 2)
        cause = machine.reset_cause()
        crashes = 0
        why = b""
        if cause != machine.PWRON_RESET and len(memory) > 1 and memory[0].isdigit() and not back:
            crashes = int(memory[0])
            if memory[1] == b"ok":
                crashes = 0
            elif memory[1] == b"bad":
                crashes += 1
                why = b" " + memory[2] if len(memory) > 2 else b""
            elif cause == machine.WDT_RESET:
                crashes += 1
                why = b" the watchdog"
            elif cause == machine.HARD_RESET:
                crashes += 1
                why = b" the chip's own reset"
        machine.RTC().memory(str(crashes).encode() + b" run" + why)
        if trial or image:
            machine.WDT(timeout=patience_ms)

    if there(slot):
        root = os.getcwd()
        sys.path.insert(1, root + ("" if root.endswith("/") else "/") + slot)
        print("boot: slot %s%s" % (slot, ", on trial" if trial else ""))


try:
    import machine
except ImportError:
    machine = None  # type: ignore
boot(machine if hasattr(machine, "reset_cause") else None)
del boot, machine
