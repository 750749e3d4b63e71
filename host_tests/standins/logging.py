"""Stands in for micropython-lib's logging where that isn't installed: lines to stderr."""

import sys


class _Logger:
    level = 30

    def setLevel(self, level):
        self.level = level

    def log(self, level, text, *args):
        if level >= self.level:
            sys.stderr.write((text % args if args else text) + "\n")


_loggers = {}


def getLogger(name=""):
    return _loggers.setdefault(name, _Logger())


def basicConfig(**options):
    """Lines go to stderr as they are, whatever is asked for."""
