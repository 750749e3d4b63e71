"""ISO 8601 date-times (OCPP 3.15) to and from Unix seconds, in integers only."""


def _number(data, start, count, highest):
    value = 0
    for digit in data[start : start + count]:
        if not 48 <= digit < 58:
            raise ValueError("not a date-time")
        value = value * 10 + digit - 48
    if value > highest:
        raise ValueError("out of range")
    return value


def _days(year, month, day):
    """Days since 1970-01-01, Gregorian; counts from March, so that a leap day comes last."""
    year -= month < 3
    leap = year // 4 - year // 100 + year // 400
    return year * 365 + leap + ((month + 9) % 12 * 153 + 2) // 5 + day - 719469


def parse(text: str) -> int:
    """Unix seconds of `2024-02-29T12:00:00`, then perhaps a fraction of up to 9 digits, which
    is dropped, then `Z`, `+01:00`, `+0100`, `+01` or nothing (UTC). Raises ValueError."""
    data = text.encode()  # MicroPython would keep each character of text[i] for ever
    end = len(data)
    if not 19 <= end <= 35 or bytes((data[4], data[7], data[10], data[13], data[16])) != b"--T::":
        raise ValueError("not a date-time")
    year = _number(data, 0, 4, 9999)
    month = _number(data, 5, 2, 12)
    day = _number(data, 8, 2, 31)
    if not (year and month and 0 < day <= _days(year, month + 1, 1) - _days(year, month, 1)):
        raise ValueError("out of range")
    epoch = _days(year, month, day) * 86400 + _number(data, 11, 2, 23) * 3600
    epoch += _number(data, 14, 2, 59) * 60 + _number(data, 17, 2, 59)
    at = 19
    if data[19:20] == b".":
        at = 20
        while at < end and 48 <= data[at] < 58:
            at += 1
        if not 20 < at <= 29:
            raise ValueError("a fraction has 1 to 9 digits")
    zone = data[at:]
    if len(zone) == 6 and zone[3] == 58:
        zone = zone[:3] + zone[4:]
    if zone in (b"", b"Z"):
        return epoch
    if zone[0] not in b"+-" or len(zone) not in (3, 5):
        raise ValueError("not a zone")
    offset = _number(zone, 1, 2, 23) * 3600
    if len(zone) == 5:
        offset += _number(zone, 3, 2, 59) * 60
    return epoch + offset if zone[0] == 45 else epoch - offset


def text(epoch: int) -> str:
    """`YYYY-MM-DDTHH:MM:SSZ` of Unix seconds."""
    days, seconds = divmod(epoch, 86400)
    century, rest = divmod(4 * days + 2877875, 146097)
    year, rest = divmod(rest // 4 * 4 + 3, 1461)
    month, rest = divmod(rest // 4 * 5 + 2, 153)
    year += century * 100 + (month > 9)
    month += -9 if month > 9 else 3
    clock = (year, month, rest // 5 + 1, seconds // 3600, seconds // 60 % 60, seconds % 60)
    return "%04d-%02d-%02dT%02d:%02d:%02dZ" % clock
