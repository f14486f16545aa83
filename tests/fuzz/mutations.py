"""Ways to damage the bytes of a file, and what an error must look like."""

from collections.abc import Callable

import numpy as np


def mutate(content: bytes, rng: np.random.Generator) -> bytes:
    """Flip bits, cut, drop, insert, blank or swap bytes, often near the head of the file."""
    data = bytearray(content)
    reach = len(data) if rng.random() < 0.6 else min(len(data), 256)

    def place():
        return int(rng.integers(reach)) if reach else 0

    kind = rng.integers(7)
    if kind == 0 or not data:
        for _ in range(rng.integers(1, 20)):
            if data:
                data[place()] ^= 1 << int(rng.integers(8))
    elif kind == 1:
        del data[place() :]
    elif kind == 2:
        start = place()
        del data[start : start + int(rng.integers(1, 64))]
    elif kind == 3:
        start = place()
        data[start:start] = rng.bytes(int(rng.integers(1, 64)))
    elif kind == 4:
        start, length = place(), int(rng.integers(1, 256))
        data[start : start + length] = bytes(len(data[start : start + length]))
    elif kind == 5:
        start = place()
        data[start : start + 8] = b"\xff" * len(data[start : start + 8])
    else:
        first, second, length = place(), place(), int(rng.integers(1, 64))
        data[first : first + length] = data[second : second + length]
    return bytes(data)


def outcome(
    call: Callable[[], object], *documented: type[Exception], lines: int = 1
) -> tuple[str, object]:
    """Run something that may refuse its input with documented errors, each in one line.

    Args:
        call: What to run.
        *documented: The errors.
        lines: How many lines the message may have, where one call is given several inputs.

    Returns:
        `("ok", result)`, or the name of the error and `None`. Any other error passes through.
    """
    try:
        return "ok", call()
    except documented as error:
        message = str(error).strip()
        assert message, f"{type(error).__name__} without a message"
        assert message.count("\n") < lines, f"{type(error).__name__} of many lines: {message}"
        return type(error).__name__, None
