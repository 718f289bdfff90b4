"""Protocol-buffer messages, walked by hand: what an ONNX file is made of.

This keeps the default install free of the onnx package, and nothing of a
stranger's file is believed before it has been looked at here.
Source: the Protocol Buffers encoding guide.
"""

from __future__ import annotations

from collections.abc import Iterator

MOST_FIELDS = 1_000_000  # of one message: a file of nothing but empty fields would take minutes

VARINT, EIGHT, BYTES, FOUR = 0, 1, 2, 5  # wire types


def fields(data: memoryview) -> Iterator[tuple[int, int, memoryview]]:
    """Number, wire type and content of each field.

    Raises IndexError or ValueError if it is no message.
    """
    position = 0
    for _ in range(MOST_FIELDS):
        if position >= len(data):
            return
        tag, position = varint(data, position)
        number, wire = tag >> 3, tag & 7
        start = position
        if wire == VARINT:
            position = varint(data, position)[1]
        elif wire in (EIGHT, FOUR):
            position += 8 if wire == EIGHT else 4
        elif wire == BYTES:
            length, start = varint(data, position)
            position = start + length
        else:
            raise ValueError(f"wire type {wire}")
        if number == 0 or position > len(data):
            raise ValueError("field 0, or past the end")
        yield number, wire, data[start:position]
    raise ValueError("too many fields")


def varint(data: memoryview, position: int) -> tuple[int, int]:
    """A number of 1 to 10 bytes, and where it ends."""
    result = 0
    for shift in range(0, 70, 7):
        byte = data[position]
        position += 1
        result |= (byte & 0x7F) << shift
        if byte < 0x80:
            return result, position
    raise ValueError("varint too long")


class Message:
    """The fields of one message by number, in their order."""

    def __init__(self, data: memoryview) -> None:
        self._values: dict[int, list[tuple[int, memoryview]]] = {}
        for number, wire, value in fields(data):
            self._values.setdefault(number, []).append((wire, value))

    @property
    def numbers(self) -> set[int]:
        """Of the fields that are there."""
        return set(self._values)

    def messages(self, number: int) -> list[Message]:
        """The messages in a field."""
        return [Message(value) for value in self.contents(number)]

    def contents(self, number: int) -> list[memoryview]:
        """The bytes in a field. Raises ValueError if they are numbers."""
        values = self._values.get(number, [])
        if any(wire != BYTES for wire, _ in values):
            raise ValueError(f"field {number} is no message")
        return [value for _, value in values]

    def texts(self, number: int) -> list[str]:
        """The texts in a field."""
        return [bytes(value).decode() for value in self.contents(number)]

    def text(self, number: int) -> str:
        """The one text of a field; "" if it is not there."""
        self._once(number)
        return (self.texts(number) or [""])[0]

    def integers(self, number: int) -> list[int]:
        """The numbers in a field, in one piece or one by one; negative ones too."""
        found: list[int] = []
        for wire, value in self._values.get(number, []):
            if wire not in (VARINT, BYTES):
                raise ValueError(f"field {number} is no integer")
            position = 0
            while position < len(value):
                number_, position = varint(value, position)
                found.append(number_ - (1 << 64) if number_ >> 63 else number_)
        return found

    def integer(self, number: int, default: int = 0) -> int:
        """The one number of a field."""
        self._once(number)
        return (self.integers(number) or [default])[0]

    def _once(self, number: int) -> None:
        # Readers differ on which of two to take: there must not be two.
        if (times := len(self._values.get(number, []))) > 1:
            raise ValueError(f"field {number} is there {times} times")
