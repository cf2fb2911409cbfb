"""A kvs client in Python, written from rfcs/0005-wire-protocol.md alone (needs the `msgpack` package).

One blocking connection and no reconnect: what a client must do to put, get, wait and watch, and no more. Run as a program
it does these against the daemon at $KVS_URI, checks the answers, and prints `ok`.
"""

import os
import socket
import struct
import sys

import msgpack

HELLO, COMMIT, LOOKUP, WAIT, WATCH, CREDIT, CANCEL = 1, 2, 3, 7, 8, 9, 10
FINAL, ERROR, ITEM = 0, 1, 2


class KvsError(Exception):
    def __init__(self, body):
        super().__init__(f"{body['name']}: {body['message']}")
        self.name = body["name"]


class Client:
    def __init__(self, uri):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(uri.removeprefix("unix:"))
        self.next_id, self.next_number = 0, 1
        self.arrived = {}  # id -> frames not yet looked at
        self.server = self.call(HELLO, {"versions": [2], "client": os.urandom(16)})

    def send(self, op, body, id=None):
        if id is None:
            id, self.next_id = self.next_id, self.next_id + 1
            self.arrived[id] = []
        frame = msgpack.packb([id, op, body])
        self.socket.sendall(struct.pack(">I", len(frame)) + frame)
        return id

    def read(self, size):
        data = b""
        while len(data) < size:
            part = self.socket.recv(size - len(data))
            if not part:
                raise EOFError("the daemon closed the connection")
            data += part
        return data

    def receive(self, id):
        """The next frame of that id; frames of other ids are kept for whoever asks for them."""
        while not self.arrived[id]:
            (size,) = struct.unpack(">I", self.read(4))
            other, status, body = msgpack.unpackb(self.read(size))
            self.arrived[other].append((status, body))
        status, body = self.arrived[id].pop(0)
        if status == ERROR:
            raise KvsError(body)
        return status, body

    def call(self, op, body):
        return self.receive(self.send(op, body))[1]

    def commit(self, *operations, conditions=(), namespace="primary"):
        """The position of the commit, and for each operation None or the sum of an add."""
        number, self.next_number = self.next_number, self.next_number + 1
        incarnation, version, results, root = self.call(COMMIT, {
            "namespace": namespace, "number": number, "acknowledged": number,
            "conditions": list(conditions), "operations": list(operations),
        })[:4]
        return {"incarnation": incarnation, "version": version}, results

    def put(self, key, value):
        return self.commit({"put": {"key": key, "value": value}})

    def get(self, key, **at):
        found = self.call(LOOKUP, {"namespace": "primary", "key": key, "at": at or "current"})
        incarnation, version, entry, root, place, treeobj = found[:6]
        assert entry is None or isinstance(entry, bytes), "no value, or a long one"
        return entry

    def wait(self, version):
        return self.call(WAIT, {"namespace": "primary", "version": version})["position"]

    def watch(self, scope, start="now", credit=2):
        """Yields (variant, fields) for each item; the first is `started`. Closing the generator cancels."""
        id = self.send(WATCH, {
            "namespace": "primary", "scopes": [{"text": scope}], "start": start, "credit": credit,
        })
        status = None
        try:
            while status != FINAL:
                status, body = self.receive(id)
                for variant, fields in body.items():
                    if variant in ("initial", "changes", "gap"):
                        self.send(CREDIT, {"add": 1}, id)
                    yield variant, fields
        finally:
            self.send(CANCEL, {}, id)
            while status == ITEM:
                status, _ = self.receive(id)


def main():
    client = Client(os.environ["KVS_URI"])
    watch = client.watch("py.*.state")
    assert next(watch)[0] == "started"
    states = [b"submitted", b"running", b"complete"]
    positions = [client.put("py.1.state", state)[0] for state in states]
    assert client.get("py.1.state") == states[-1]
    assert client.get("py.1.state", version=positions[0]["version"]) == states[0]
    assert client.get("py.missing") is None
    assert client.wait(positions[-1]["version"])["version"] >= positions[-1]["version"]
    for state, position in zip(states, positions):
        variant, fields = next(watch)
        assert variant == "changes" and fields["position"] == position, fields
        assert fields["changes"] == [{"key": "py.1.state", "kind": "put", "value": {"bytes": state}}]
    watch.close()
    again = client.watch("py.1.state", {"version": positions[1]})
    seen = [fields for variant, fields in (next(again) for _ in range(3)) if variant == "changes"]
    assert [fields["changes"][0]["value"]["bytes"] for fields in seen] == states[1:]
    again.close()
    _, results = client.commit({"add": {"key": "py.n", "delta": 2}}, {"unlink": {"key": "py.1"}})
    assert results == [2, None], results
    try:
        client.commit(conditions=[{"present": {"key": "py.1"}}])
    except KvsError as error:
        assert error.name == "condition-failed"
    else:
        sys.exit("a condition that does not hold was not refused")
    print("ok")


if __name__ == "__main__":
    main()
