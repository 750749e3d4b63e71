"""A log for tests."""

_MOST = 1000  # lines that are kept


class Log:
    """Keeps the newest lines: `lines` has their texts, `levels` the level of each. It is its own
    writer for every part."""

    def __init__(self):
        self.lines = []
        self.levels = []

    def __call__(self, part):
        return self

    def _write(self, level, text, args):
        self.lines.append(text % args if args else text)
        self.levels.append(level)
        if len(self.lines) > _MOST:
            self.lines.pop(0)
            self.levels.pop(0)

    def debug(self, text, *args):
        self._write("debug", text, args)

    def info(self, text, *args):
        self._write("info", text, args)

    def warning(self, text, *args):
        self._write("warning", text, args)

    def error(self, text, *args):
        self._write("error", text, args)

    def errors(self):
        """The texts of the errors, oldest first."""
        return [line for level, line in zip(self.levels, self.lines) if level == "error"]

    def said(self, text):
        """Whether a line holds this text."""
        return any(text in line for line in self.lines)

    def has(self, level, text):
        """Whether a line of this level holds this text."""
        return any(at == level and text in line for at, line in zip(self.levels, self.lines))
