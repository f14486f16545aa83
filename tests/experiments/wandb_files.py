"""What W&B wrote while it was offline, read with W&B's own messages.

A `.wandb` file is a log of LevelDB (https://github.com/google/leveldb/blob/main/doc/log_format.md):
after seven bytes of W&B's, blocks of 32 KiB with pieces of records, each after a checksum of four
bytes, its length in two and its kind in one: whole, first, middle or last.
"""

import json
import struct

from wandb.proto import wandb_internal_pb2 as messages

_BLOCK, _HEADER = 32 * 1024, 7
_WHOLE, _FIRST, _LAST = 1, 2, 4


def records(path):
    content, place, whole = path.read_bytes(), _HEADER, b""
    assert content[:4] == b":W&B"
    while place + _HEADER <= len(content):
        left = _BLOCK - place % _BLOCK
        if left < _HEADER:
            place += left
            continue
        _, length, kind = struct.unpack_from("<IHB", content, place)
        piece = content[place + _HEADER : place + _HEADER + length]
        place += _HEADER + length
        whole = piece if kind in (_WHOLE, _FIRST) else whole + piece
        if kind in (_WHOLE, _LAST):
            record = messages.Record()
            record.ParseFromString(whole)
            yield record


def read(path):
    """The run, its configuration, rows of history, summary and exit code."""
    found = {"history": [], "summary": {}, "exit": None}
    for record in records(path):
        if record.HasField("run"):
            found["run"] = record.run
            found["config"] = _items(record.run.config.update)
        elif record.HasField("history"):
            found["history"].append(_items(record.history.item))
        elif record.HasField("summary"):
            found["summary"] |= _items(record.summary.update)
        elif record.HasField("exit"):
            found["exit"] = record.exit.exit_code
    return found


def _items(items):
    return {
        "/".join([item.key] if item.key else item.nested_key): json.loads(item.value_json)
        for item in items
    }
