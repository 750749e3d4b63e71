"""A drawing in SVG with the symbols of a schematic (IEC 60617 where there is one).

Coordinates are in pixels on a grid of 10. A symbol with two ends is drawn from (x, y) into a
direction, "r", "l", "u" or "d", is 60 long and returns its other end. Each part with a reference,
R1 or IC2, is kept in `parts` for the bill of materials: there its value goes on behind a
semicolon, which is not drawn.
"""

from collections import namedtuple
from xml.sax.saxutils import escape

Part = namedtuple("Part", ("ref", "value"))
Text = namedtuple("Text", ("x", "y", "text", "size", "anchor", "kind"))
Box = namedtuple("Box", ("left", "top", "right", "bottom", "text"))

LENGTH = 60  # of a symbol with two ends
_STEPS = {"r": (1, 0), "l": (-1, 0), "u": (0, -1), "d": (0, 1)}
_STYLE = """
.w{stroke:#222;stroke-width:1.6;fill:none}
.s{stroke:#222;stroke-width:1.6;fill:#fff}
.k{stroke:#222;stroke-width:1.2;fill:#222}
.f{stroke:#888;stroke-width:1.2;fill:none;stroke-dasharray:6 4}
.m{stroke:#b00020;stroke-width:2.6;fill:none}
.b{stroke:#1d4f91;stroke-width:1.6;fill:#eef4fb}
.i{stroke:#b26a00;stroke-width:1.6;fill:#fff6e5}
.h{stroke:#b00020;stroke-width:1.6;fill:#fdecee}
text{font-family:Arial,Helvetica,'DejaVu Sans',sans-serif;fill:#111}
.n{fill:#1d4f91;font-weight:bold}
.v{fill:#7a4b00}
"""


class Sheet:
    """One drawing. `title` stands at its top left; `width` and `height` in pixels."""

    def __init__(self, title: str, width: int, height: int):
        self.width, self.height = width, height
        self.parts = []
        self.texts = []
        self._shapes = []
        self._lines = []  # of the wires, two points each
        self.title = title
        self.text(20, 28, title, size=18)

    # plain shapes

    def text(self, x, y, text, size=13, anchor="start", kind=""):
        """A line of text; `anchor` start, middle or end; `y` is its base line."""
        if not text:
            return
        self.texts.append(Text(x, y, text, size, anchor, kind))
        self._shapes.append(
            f'<text x="{x}" y="{y}" font-size="{size}" text-anchor="{anchor}"'
            + (f' class="{kind}"' if kind else "")
            + f">{escape(text)}</text>"
        )

    def note(self, x, y, *lines, size=12):
        """Lines of text under each other."""
        for number, line in enumerate(lines):
            self.text(x, y + number * (size + 5), line, size=size)

    def wire(self, *points, kind="w"):
        """A line over these points, (x, y) each."""
        text = " ".join(f"{x},{y}" for x, y in points)
        self._lines += zip(points, points[1:])
        self._shapes.append(f'<polyline class="{kind}" points="{text}"/>')

    def area(self, *points, kind="s"):
        """A filled polygon."""
        text = " ".join(f"{x},{y}" for x, y in points)
        self._shapes.append(f'<polygon class="{kind}" points="{text}"/>')

    def rect(self, x, y, width, height, kind="s", round=0):
        """A rectangle."""
        size = f'x="{x}" y="{y}" width="{width}" height="{height}" rx="{round}"'
        self._shapes.append(f'<rect class="{kind}" {size}/>')

    def circle(self, x, y, radius, kind="s"):
        """A circle."""
        self._shapes.append(f'<circle class="{kind}" cx="{x}" cy="{y}" r="{radius}"/>')

    def path(self, text, kind="w"):
        """An SVG path."""
        self._shapes.append(f'<path class="{kind}" d="{text}"/>')

    def arrow(self, x, y, direction, kind="k"):
        """The head of an arrow whose tip is at (x, y)."""
        dx, dy = _STEPS[direction]
        back_x, back_y = x - dx * 9, y - dy * 9
        self.area(
            (x, y),
            (back_x - dy * 4, back_y - dx * 4),
            (back_x + dy * 4, back_y + dx * 4),
            kind=kind,
        )

    def dot(self, *points):
        """Junctions of wires."""
        for x, y in points:
            self.circle(x, y, 3.2, kind="k")

    def frame(self, x, y, width, height, title):
        """A dashed frame around what belongs together."""
        self.rect(x, y, width, height, kind="f", round=6)
        self.text(x + 10, y + 18, title, size=13, kind="v")

    def box(self, x, y, width, height, *lines, kind="b"):
        """A block with lines of text in its middle."""
        self.rect(x, y, width, height, kind=kind, round=6)
        top = y + height / 2 - (len(lines) - 1) * 8.5 + 4.5
        for number, line in enumerate(lines):
            self.text(x + width / 2, top + number * 17, line, anchor="middle")

    # names at the end of wires

    def net(self, x, y, name, direction="r"):
        """A signal's name at the end of a wire that comes from the other side."""
        dx, _ = _STEPS[direction]
        self.circle(x, y, 3.5)
        anchor = {"r": "start", "l": "end", "u": "middle", "d": "middle"}[direction]
        self.text(
            x + 9 * dx,
            y + {"u": -9, "d": 19}.get(direction, 5),
            name,
            anchor=anchor,
            kind="n",
        )

    def ground(self, x, y):
        """0 V: a symbol at the end of a wire from above."""
        self.wire((x, y), (x, y + 8))
        self.wire((x - 12, y + 8), (x + 12, y + 8))
        self.wire((x - 7, y + 13), (x + 7, y + 13))
        self.wire((x - 3, y + 18), (x + 3, y + 18))

    def rail(self, x, y, name):
        """A supply's name over a wire that goes down."""
        self.wire((x - 10, y), (x + 10, y))
        self.text(x, y - 6, name, size=12, anchor="middle", kind="n")

    def rail_below(self, x, y, name):
        """A negative supply's name under a wire that comes from above."""
        self.wire((x - 10, y), (x + 10, y))
        self.text(x, y + 16, name, size=12, anchor="middle", kind="n")

    # parts

    def unplaced(self, value, *refs):
        """Parts that a note or a block stands for: they are in the bill of materials only."""
        for ref in refs:
            self._part(ref, value)

    def _part(self, ref, value):
        if ref:
            self.parts.append(Part(ref, value))

    def _label(self, x, y, direction, ref, value, side, gap=15):
        """The names of a part that begins at (x, y): along a horizontal one above it (`side` 1)
        or below (-1), beside a vertical one to the right (1) or left (-1)."""
        dx, dy = _STEPS[direction]
        middle_x, middle_y = x + dx * LENGTH / 2, y + dy * LENGTH / 2
        shown = value.split(";")[0]
        if dx:
            at = middle_y - gap if side > 0 else middle_y + gap + 10
            self.text(middle_x, at, (ref + " " + shown).strip(), size=12, anchor="middle")
        else:
            anchor = "start" if side > 0 else "end"
            at = middle_x + gap * side
            self.text(at, middle_y - 2, ref, size=12, anchor=anchor)
            self.text(at, middle_y + 13, shown, size=12, anchor=anchor)

    def _ends(self, x, y, direction, gap):
        """Draws the wires at both ends of a symbol whose body takes 2 * `gap`; returns the middle
        and the other end."""
        dx, dy = _STEPS[direction]
        middle = (x + dx * LENGTH / 2, y + dy * LENGTH / 2)
        end = (x + dx * LENGTH, y + dy * LENGTH)
        self.wire((x, y), (middle[0] - dx * gap, middle[1] - dy * gap))
        self.wire((middle[0] + dx * gap, middle[1] + dy * gap), end)
        return middle, end

    def resistor(self, x, y, direction, ref, value, side=1):
        """A resistor."""
        (mx, my), end = self._ends(x, y, direction, 18)
        if direction in "rl":
            self.rect(mx - 18, my - 7, 36, 14)
        else:
            self.rect(mx - 7, my - 18, 14, 36)
        self._label(x, y, direction, ref, value, side)
        self._part(ref, value)
        return end

    def thermistor(self, x, y, direction, ref, value, side=1):
        """An NTC, drawn downwards."""
        end = self.resistor(x, y, direction, ref, value, side)
        mx, my = x, y + LENGTH / 2
        self.wire((mx - 16, my + 18), (mx - 9, my + 18), (mx + 12, my - 16))
        return end

    def capacitor(self, x, y, direction, ref, value, side=1):
        """A capacitor."""
        (mx, my), end = self._ends(x, y, direction, 4)
        for sign in (-4, 4):
            if direction in "rl":
                self.wire((mx + sign, my - 12), (mx + sign, my + 12))
            else:
                self.wire((mx - 12, my + sign), (mx + 12, my + sign))
        self._label(x, y, direction, ref, value, side, gap=19)
        self._part(ref, value)
        return end

    def diode(self, x, y, direction, ref, value, side=1, kind=""):
        """A diode from its anode to its cathode. `kind`: "" plain, "s" Schottky, "t" a TVS for
        both directions, "l" an LED."""
        (mx, my), end = self._ends(x, y, direction, 8)
        dx, dy = _STEPS[direction]

        def at(along, across):
            return (mx + dx * along - dy * across, my + dy * along + dx * across)

        if kind == "t":
            self.area(at(-8, -9), at(-8, 9), at(0, 0), kind="k")
            self.area(at(8, -9), at(8, 9), at(0, 0), kind="k")
            self.wire(at(-4, -12), at(0, -9), at(0, 9), at(4, 12))
        else:
            self.area(at(-8, -9), at(-8, 9), at(8, 0), kind="k")
            if kind == "s":
                self.wire(at(4, -6), at(4, -10), at(8, -10), at(8, 10), at(12, 10), at(12, 6))
            else:
                self.wire(at(8, -10), at(8, 10))
        self._label(x, y, direction, ref, value, side, gap=17)
        self._part(ref, value)
        return end

    def fuse(self, x, y, direction, ref, value, side=1):
        """A fuse, or a resettable one."""
        (mx, my), end = self._ends(x, y, direction, 18)
        if direction in "rl":
            self.rect(mx - 18, my - 6, 36, 12)
            self.wire((mx - 18, my), (mx + 18, my))
        else:
            self.rect(mx - 6, my - 18, 12, 36)
            self.wire((mx, my - 18), (mx, my + 18))
        self._label(x, y, direction, ref, value, side)
        self._part(ref, value)
        return end

    def coil(self, x, y, direction, ref, value, side=1, count=True):
        """A relay's or a contactor's coil; `count`: it is a part of its own here."""
        (mx, my), end = self._ends(x, y, direction, 12)
        if direction in "rl":
            self.rect(mx - 12, my - 18, 24, 36)
            self.wire((mx - 6, my + 18), (mx + 6, my - 18))
            self._label(x, y, direction, ref, value, side, gap=24)
        else:
            self.rect(mx - 18, my - 12, 36, 24)
            self.wire((mx - 18, my + 6), (mx + 18, my - 6))
            self._label(x, y, direction, ref, value, side, gap=26)
        if count:
            self._part(ref, value)
        return end

    def contact(self, x, y, direction, name, side=1, closed=False):
        """A relay's contact at rest: open, or closed."""
        (mx, my), end = self._ends(x, y, direction, 16)
        if direction in "rl":
            left = mx - 16
            self.wire((left, my), (mx + 16 if closed else mx + 12, my - (5 if closed else 14)))
            if closed:
                self.wire((mx + 16, my), (mx + 16, my - 9))
        else:
            low = my + 16
            self.wire((mx, low), (mx - (5 if closed else 14), my - (16 if closed else 12)))
            if closed:
                self.wire((mx, my - 16), (mx - 9, my - 16))
        dx, _ = _STEPS[direction]
        if dx:
            at = my - 20 if side > 0 else my + 20
            self.text(mx, at, name, size=12, anchor="middle")
        else:
            at = mx + 12 if side > 0 else mx - 20
            self.text(at, my + 4, name, size=12, anchor="start" if side > 0 else "end")
        return end

    # parts with more ends

    def nmos(self, x, y, ref, value):
        """An n-channel MOSFET with its gate at (x, y). Returns drain (up) and source (down)."""
        self.wire((x, y), (x + 16, y))
        self.wire((x + 16, y - 14), (x + 16, y + 14))
        for dy in (-12, 0, 12):
            self.wire((x + 21, y + dy - 5), (x + 21, y + dy + 5))
        self.wire((x + 21, y - 12), (x + 34, y - 12), (x + 34, y - 30))
        self.wire((x + 21, y + 12), (x + 34, y + 12), (x + 34, y + 30))
        self.wire((x + 21, y), (x + 34, y), (x + 34, y + 12))
        self.arrow(x + 22, y, "l")
        self.text(x + 44, y - 2, ref, size=12)
        self.text(x + 44, y + 13, value, size=12)
        self._part(ref, value)
        return (x + 34, y - 30), (x + 34, y + 30)

    def pmos(self, x, y, ref, value):
        """A p-channel MOSFET with its gate at (x, y). Returns source (up) and drain (down)."""
        self.wire((x, y), (x + 16, y))
        self.wire((x + 16, y - 14), (x + 16, y + 14))
        for dy in (-12, 0, 12):
            self.wire((x + 21, y + dy - 5), (x + 21, y + dy + 5))
        self.wire((x + 21, y - 12), (x + 34, y - 12), (x + 34, y - 30))
        self.wire((x + 21, y + 12), (x + 34, y + 12), (x + 34, y + 30))
        self.wire((x + 21, y), (x + 34, y), (x + 34, y - 12))
        self.arrow(x + 34, y, "r")
        self.text(x + 44, y - 2, ref, size=12)
        self.text(x + 44, y + 13, value, size=12)
        self._part(ref, value)
        return (x + 34, y - 30), (x + 34, y + 30)

    def amplifier(self, x, y, ref, value, plus_up=True, label_y=0, count=True):
        """An amplifier or a comparator whose output is at (x, y). Returns its inputs: the upper
        and the lower one."""
        self.area((x - 70, y - 35), (x - 70, y + 35), (x, y))
        upper, lower = ("+", "–") if plus_up else ("–", "+")
        self.text(x - 64, y - 13, upper, size=15)
        self.text(x - 64, y + 23, lower, size=15)
        self.text(x - 30, y + (label_y or 42), f"{ref} {value}".strip(), size=12, anchor="middle")
        if count:
            self._part(ref, value)
        return (x - 70, y - 18), (x - 70, y + 18)

    def gate(self, x, y, ref, value, sign, inputs=2, step=30):
        """A logic gate (IEC: a box with `sign`) whose output is at (x, y). Returns its inputs."""
        height = step * inputs
        top = y - height / 2
        self.rect(x - 60, top, 60, height)
        self.text(x - 30, top + 20, sign, size=15, anchor="middle")
        self.text(x - 30, top - 8, f"{ref} {value}", size=12, anchor="middle")
        self._part(ref, value)
        return [(x - 60, top + step / 2 + step * n) for n in range(inputs)]

    def chip(self, x, y, width, height, ref, value, left=(), right=(), step=30, below=True):
        """A box with named pins; `left` and `right`: names from top to bottom, "" leaves a gap.
        Returns the ends of the pins' wires by name."""
        self.rect(x, y, width, height)
        ends = {}
        for number, name in enumerate(left):
            at = y + step / 2 + 5 + number * step
            if name:
                self.wire((x - 20, at), (x, at))
                self.text(x + 6, at + 4, name, size=12)
                ends[name] = (x - 20, at)
        for number, name in enumerate(right):
            at = y + step / 2 + 5 + number * step
            if name:
                self.wire((x + width, at), (x + width + 20, at))
                self.text(x + width - 6, at + 4, name, size=12, anchor="end")
                ends[name] = (x + width + 20, at)
        label = f"{ref} {value}".strip()
        at = y + height + 17 if below else y - 8
        self.text(x + width / 2, at, label, size=12, anchor="middle")
        self._part(ref, value)
        return ends

    # the result

    def svg(self) -> str:
        """The file's text."""
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{self.width}" height="{self.height}"'
            f' viewBox="0 0 {self.width} {self.height}" role="img">\n'
            f"<title>{escape(self.title)}</title>\n<style>{_STYLE}</style>\n"
            f'<rect width="{self.width}" height="{self.height}" fill="#fff"/>\n'
        )
        return head + "\n".join(self._shapes) + "\n</svg>\n"

    def text_boxes(self):
        """About where each text lies, and 2 around it: a letter is 0.6 of its size wide, 0.68
        where it is bold."""
        for x, y, text, size, anchor, kind in self.texts:
            width = len(text) * size * (0.68 if kind == "n" else 0.6)
            left = x - {"start": 0, "middle": width / 2, "end": width}[anchor]
            yield Box(left - 2, y - size * 0.8, left + width + 2, y + size * 0.2, text)

    def overlaps(self) -> list:
        """The texts that lie over each other or over a wire, and those that leave the sheet."""
        boxes = list(self.text_boxes())
        found = []
        for number, one in enumerate(boxes):
            if one.left < 0 or one.right > self.width or one.bottom > self.height:
                found.append((one.text, "the sheet's edge"))
            for (x1, y1), (x2, y2) in self._lines:
                if (
                    min(x1, x2) < one.right
                    and one.left < max(x1, x2)
                    and min(y1, y2) < one.bottom
                    and one.top < max(y1, y2)
                ):
                    found.append((one.text, f"the wire {x1},{y1} {x2},{y2}"))
            for other in boxes[number + 1 :]:
                if (
                    one.left < other.right
                    and other.left < one.right
                    and one.top < other.bottom
                    and other.top < one.bottom
                ):
                    found.append((one.text, other.text))
        return found
