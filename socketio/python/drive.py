"""Drives the server with python-socketio, by handlers as its documentation shows: each takes exactly the
arguments of its event. /usr/bin/python3 drive.py http://127.0.0.1:PORT
"""

import os
import queue
import sys
import threading
import traceback

import engineio
import socketio

PATIENCE = 60
url = sys.argv[1]
os.environ["NO_PROXY"] = "127.0.0.1"
# By default a client that polls gives up at an answer with more than 16 packets, whoever the server is.
engineio.payload.Payload.max_decode_packets = 1000


class InOrder(engineio.Client):
    """Calls handlers one after the other. The library starts a thread for each message, and on a busy
    machine an attachment can overtake its event."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.tasks = queue.Queue()
        threading.Thread(target=self.work, daemon=True).start()

    def work(self):
        while True:
            target, args, kwargs = self.tasks.get()
            try:
                target(*args, **kwargs)
            except Exception:
                traceback.print_exc()

    def start_background_task(self, target, *args, **kwargs):
        if target == self.handlers.get("message"):
            return self.tasks.put((target, args, kwargs))
        return super().start_background_task(target, *args, **kwargs)


class Client(socketio.Client):
    """A client, and what its handlers heard."""

    def __init__(self):
        super().__init__(reconnection=False, handle_sigint=False, request_timeout=PATIENCE)
        self.heard = queue.Queue()

    def _engineio_client_class(self):
        return InOrder

    def enter(self, transports, **more):
        self.connect(url, transports=transports, wait_timeout=PATIENCE, **more)
        equal(self.transport(), transports[-1])
        return self

    def expect(self, *want):
        for one in want:
            equal(self.heard.get(timeout=PATIENCE), one)


def equal(got, want):
    assert got == want, f"got {got!r}, want {want!r}"


def connects_with_auth(transports):
    sio = Client().enter(transports, auth={"token": "t"})
    equal(sio.call("auth"), {"token": "t"})
    assert sio.get_sid()
    sio.disconnect()


def sends_events_both_ways(transports):
    sio = Client()

    @sio.event
    def message(data):
        sio.heard.put(data)

    @sio.event
    def back(first, second):
        sio.heard.put((first, second))

    sio.enter(transports)
    values = ["text \u2028 😀", 1, -2.5, True, [], {}, [None, "x"], {"a": [{"b": "c"}]}]
    for value in values:
        sio.send(value)
    sio.expect(*values)
    sio.emit("back", ("two", 2))
    sio.expect(("two", 2))
    for i in range(200):
        sio.send(i)
    sio.expect(*range(200))
    sio.disconnect()


def sends_binary(transports):
    sio = Client()

    @sio.event
    def message(data):
        sio.heard.put(data)

    sio.enter(transports)
    data, large = bytes([0, 1, 2, 255]), bytes([7]) * 70_000
    for value in (data, large, {"a": [data, "x", large]}):
        sio.send(value)
        sio.expect(value)
    equal(sio.call("sum", data), 258)
    equal(sio.call("echo2", (data, {"a": [data, "x"], "b": large})), [data, {"a": [data, "x"], "b": large}])
    sio.disconnect()


def acknowledges_both_ways(transports):
    sio = Client()

    @sio.event
    def question(n):
        return n * 2, b"yes"

    @sio.event
    def answered(number, data):
        sio.heard.put((number, data))

    sio.enter(transports)
    equal(sio.call("echo", {"a": [1, None]}), {"a": [1, None]})
    sio.emit("echo", "called back", callback=sio.heard.put)
    sio.expect("called back")
    sio.emit("ask me", 21)
    sio.expect((42, b"yes"))
    sio.disconnect()


def has_rooms(transports):
    clients = [Client(), Client(), Client()]
    for sio in clients:
        sio.on("room", sio.heard.put)  # with what one argument there is
        sio.on("message", sio.heard.put)
        sio.enter(transports)
    a, b, c = clients
    a.call("join", "x")
    b.call("join", "x")
    c.call("join", "y")
    a.call("to", (["x"], [], "x"))
    a.call("to", (["x", "y"], [], "xy"))
    a.call("to", (["x", "y"], ["y"], "x-y"))
    b.call("leave", "x")
    a.call("to", (["x"], [], "left"))
    a.call("others", "others")
    for sio in clients:
        sio.send("end")
    a.expect("x", "xy", "x-y", "left", "end")
    b.expect("x", "xy", "x-y", "others", "end")
    c.expect("xy", "others", "end")
    for sio in clients:
        sio.disconnect()


class Room(socketio.ClientNamespace):
    """A namespace's events, by a class."""

    def __init__(self, namespace, heard):
        super().__init__(namespace)
        self.heard = heard

    def on_connect(self):
        self.heard.put("connected")

    def on_disconnect(self):
        self.heard.put("disconnected")

    def on_message(self, data):
        self.heard.put(data)


def has_namespaces(transports):
    sio = Client()

    @sio.event
    def message(data):
        sio.heard.put(("of another namespace", data))

    @sio.event
    def disconnect():
        sio.heard.put("gone")

    room = Room("/room-17", sio.heard)
    sio.register_namespace(room)
    sio.enter(transports)
    sio.expect("connected")
    assert sio.get_sid() != sio.get_sid("/room-17")
    room.send({"a": b"bytes"})
    sio.expect({"a": b"bytes"})
    equal(sio.call("where", namespace="/room-17"), "/room-17")
    sio.emit("kick")
    sio.expect("gone")
    equal(sio.call("where", namespace="/room-17"), "/room-17")
    sio.disconnect()
    sio.expect("disconnected")


def is_refused(transports):
    sio = Client()
    sio.on("connect", lambda: sio.heard.put("connected"))
    sio.on("connect_error", sio.heard.put, namespace="/refused")
    sio.on("connect_error", sio.heard.put, namespace="/unknown")
    # Without waiting in connect: that would be for a namespace that never comes.
    sio.connect(url, transports=transports, namespaces=["/", "/refused", "/unknown"], wait=False)
    equal(sio.transport(), transports[-1])
    sio.expect("connected", {"message": "not you", "data": {"code": 7}}, {"message": "Invalid namespace"})
    equal(sio.call("echo", "still here"), "still here")
    sio.disconnect()


failed = False
for transports in ["polling"], ["websocket"], ["polling", "websocket"]:
    for case in (
        connects_with_auth,
        sends_events_both_ways,
        sends_binary,
        acknowledges_both_ways,
        has_rooms,
        has_namespaces,
        is_refused,
    ):
        name = ",".join(transports) + " " + case.__name__.replace("_", " ")
        try:
            case(transports)
            print("ok", name, flush=True)
        except Exception:
            print("FAIL", name + ":", traceback.format_exc().strip().replace("\n", "\n\t"), flush=True)
            failed = True
sys.stdout.flush()
os._exit(failed)  # without waiting for the threads of what failed
