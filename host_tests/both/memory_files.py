"""Files and a store in RAM, for tests that are not about the flash itself."""


class _File:
    def __init__(self, files, name, mode):
        self.files = files
        self.name = name
        if mode == "rb":
            if name not in files.data:
                raise OSError(2)
        elif mode == "wb" or name not in files.data:
            files.data[name] = b""
        self.at = 0
        self.new = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.new:
            self.files.data[self.name] += self.new

    def read(self, size=None):
        data = self.files.data[self.name]
        end = len(data) if size is None else self.at + size
        piece = data[self.at : end]
        self.at += len(piece)
        return piece

    def seek(self, offset):
        self.at = offset

    def write(self, data):
        size = len(self.files.data[self.name]) + len(self.new) + len(data)
        if size > self.files.slack and len(self.new) + len(data) > self.files.free():
            self.new = b""
            raise OSError(28)
        self.new += data


class MemoryFiles:
    """As firmware.base.store.Files. `limit`: bytes that all files together may have; `slack`: a
    file so small does not count, as LittleFS has small ones among its metadata."""

    def __init__(self, limit=1000000, slack=0):
        self.changes = 0
        self.data = {}
        self.limit = limit
        self.slack = slack

    def open(self, name, mode):
        self.changes += mode != "rb"
        return _File(self, name, mode)

    def rename(self, old, new):
        self.changes += 1
        self.data[new] = self.data.pop(old)

    def remove(self, name):
        self.changes += 1
        if name not in self.data:
            raise OSError(2)
        del self.data[name]

    def listdir(self, name):
        names = [n[len(name) + 1 :] for n in self.data if n.startswith(name + "/")]
        return [n for n in names if "/" not in n]

    def mkdir(self, name):
        pass

    def size(self, name):
        if name not in self.data:
            raise OSError(2)
        return len(self.data[name])

    def free(self):
        used = sum(len(data) for data in self.data.values() if len(data) > self.slack)
        return max(0, self.limit - used)


class MemoryStore(dict):
    """As firmware.base.store.Store; keep it to survive a restart."""

    def read(self, name):
        return self.get(name)

    def write(self, name, data):
        self[name] = data

    def remove(self, name):
        self.pop(name, None)
