"""Checks that Python's msgpack reads every golden frame of RFC 0005; run without a daemon."""

import pathlib
import re
import struct

import msgpack

RFC = pathlib.Path(__file__).parents[2] / "rfcs/0005-wire-protocol.md"
golden = re.search(r"```golden\n(.*?)```", RFC.read_text(), re.S).group(1)
frames = re.findall(r"(.*):\n((?:[0-9a-f]+\n)+)", golden)
for name, text in frames:
    frame = bytes.fromhex(text.replace("\n", ""))
    (length,) = struct.unpack(">I", frame[:4])
    assert length == len(frame) - 4, name
    id, tag, body = msgpack.unpackb(frame[4:])
    assert isinstance(id, int) and isinstance(tag, int) and isinstance(body, (dict, list)), name
print(f"{len(frames)} golden frames read")
