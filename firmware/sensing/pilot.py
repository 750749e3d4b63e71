"""Control pilot and proximity (IEC 61851-1): volts to states, current to duty and back, PP."""

MIN_MA = 6000  # below, there is no charging
STEADY = 1000  # per mille: +12 V without PWM, no offer
_DIODE_MV = -10000  # a low side above this: no diode in the vehicle


def levels(burst) -> tuple:
    """(high, low) in mV of a burst of at least three samples, synchronous to nothing.

    The outermost sample on each side is dropped, the next two are averaged: one spike changes
    nothing, and the narrowest pulse (6 A: a tenth of each period) still fills the high side.
    """
    top = second = third = -32768  # the three highest
    bottom = above = next_above = 32767  # and the three lowest
    for mv in burst:
        if mv > third:
            if mv > top:
                top, second, third = mv, top, second
            elif mv > second:
                second, third = mv, second
            else:
                third = mv
        if mv < next_above:
            if mv < bottom:
                bottom, above, next_above = mv, bottom, above
            elif mv < above:
                above, next_above = mv, above
            else:
                next_above = mv
    return (second + third) // 2, (above + next_above) // 2


def classify(high_mv: int, low_mv: int, pwm: bool) -> str:
    """The pilot's state "A" to "F"; "" between the windows (each 1 V around its nominal), and
    for a vehicle whose diode is missing or shorted, which shows only while PWM is driven."""
    if -13000 <= high_mv <= -11000:
        return "F"
    below = 13000 - high_mv  # each state is 3 V below the one before
    if not 0 <= below < 15000 or below % 3000 > 2000:
        return ""
    state = "ABCDE"[below // 3000]
    return "" if pwm and low_mv > _DIODE_MV and state != "E" else state


def duty(ma: int) -> int:
    """The duty in per mille that offers at most `ma`; 1000 (steady, no offer) below 6 A."""
    if ma < MIN_MA:
        return STEADY
    return ma // 60 if ma <= 51000 else min(ma, 80000) // 250 + 640


def current(permille: int) -> int:
    """What a duty allows the vehicle to draw on each phase, mA; 0 for none (5 % is digital)."""
    if permille < 80 or permille > 970:
        return 0
    if permille <= 850:
        return max(permille * 60, MIN_MA)
    return min((permille - 640) * 250, 80000)


def pp_limit(ohm: int) -> int | None:
    """What the cable in the socket carries, mA; None without a cable, 0 for a short: an error."""
    if ohm < 75:
        return 0
    if ohm < 150:
        return 63000
    if ohm < 330:
        return 32000
    if ohm < 1000:
        return 20000
    return 13000 if ohm <= 2200 else None
