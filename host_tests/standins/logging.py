"""Stands in for micropython-lib's logging where that isn't installed: lines to stderr."""

import sys


class _Logger:
    level = 30

    def setLevel(self, level):
        self.level = level

    def log(self, level, text, *args):
        if level >= self.level:
            _stream.write((text % args if args else text) + "\n")


_loggers = {}
_stream = sys.stderr


def getLogger(name=""):
    return _loggers.setdefault(name, _Logger())


def basicConfig(**options):
    """Lines go out as they are, whatever format is asked for."""
    global _stream
    _stream = options.get("stream") or sys.stderr
