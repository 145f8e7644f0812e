# Holds JSON documents against the schema: each argument is a file, and must be valid.
# With --mutate, each is changed in every way below instead, and none of these may be valid.
# With --hashes, its stack hashes are made again from its frames, as docs/contract.md says.
import copy
import json
import re
import sys

import jsonschema

MUTATIONS = {
    "no contract": lambda r: r.pop("contract"),
    "another contract": lambda r: r.update(contract="coropanic/2"),
    "no kind": lambda r: r.pop("kind"),
    "an unknown kind": lambda r: r.update(kind="oops"),
    "a trace id in capitals": lambda r: r.update(trace_id="A" * 32),
    "trace flags that are a number": lambda r: r.update(trace_flags=1),
    "a trace id without a span id": lambda r: r.pop("span_id"),
    "a span id without a trace id": lambda r: r.pop("trace_id"),
    "a short span id": lambda r: r.update(span_id="0"),
    "a time that is a number": lambda r: r.update(time=5),
    "a sequence that is text": lambda r: r.update(seq="5"),
    "no error code": lambda r: r.pop("error_code"),
    "an empty error code": lambda r: r.update(error_code=""),
    "a hash of another length": lambda r: r.update(stack_hash="0" * 15),
    "an unknown hash version": lambda r: r.update(hash_version=3),
    "frames that are no list": lambda r: r.update(frames={}),
    "a frame without a source": lambda r: r.update(frames=[{"what": "Lua"}]),
    "a fingerprint of another length": lambda r: r.update(
        frames=[{"what": "Lua", "source": "x", "fingerprint": "0" * 15}]),
    "a line that is text": lambda r: r.update(frames=[{"what": "Lua", "source": "x", "line": "1"}]),
    "an empty chain": lambda r: r.update(chain=[]),
    "a chain of texts": lambda r: r.update(chain=["x"]),
    "a task without an id": lambda r: r.update(task={"name": "x", "spawned_at": "x:1", "status": "done"}),
    "an unknown status": lambda r: r.update(
        task={"id": 1, "name": "x", "spawned_at": "x:1", "status": "gone"}),
    "an unknown source": lambda r: r.update(source="weather"),
    "a cause that is text": lambda r: r.update(cause="x"),
    "an event of an unknown kind": lambda r: r.update(
        last_events=[{"kind": "dance", "age": 1, "task": 1, "relation": "self"}]),
    "an event after the panic": lambda r: r.update(
        last_events=[{"kind": "park", "age": -1, "task": 1, "relation": "self"}]),
    "an event of a stranger": lambda r: r.update(
        last_events=[{"kind": "park", "age": 1, "task": 1, "relation": "friend"}]),
    "a value that is null": lambda r: r.update(value=None),
}


def fnv1a(data):
    result = 0xCBF29CE484222325
    for byte in data:
        result = (result ^ byte) * 0x100000001B3 % 2**64
    return "%016x" % result


def module(source):
    if source == "[C]":
        return "[c]"
    if source.startswith('[string "'):
        return "[string]"
    base = re.split(r"[/\\]", source)[-1]
    return re.sub("[A-Z]", lambda letter: letter.group().lower(), base)


def identity(frame):
    if frame["what"] == "main":
        return "main"
    return frame.get("fingerprint", frame.get("name", "?"))


def stack_hash(frames, with_c):
    lines = []
    for frame in frames:
        line = "%s:%s\n" % (module(frame["source"]), identity(frame))
        if (with_c or frame["what"] != "C") and lines[-1:] != [line]:
            lines.append(line)
    return fnv1a("".join(lines).encode("utf-8"))


def check_hashes(path, record):
    frames = record.get("frames", [])
    for field, with_c in (("stack_hash", False), ("stack_hash_full", True)):
        if record[field] != stack_hash(frames, with_c):
            print("%s: %s is %s" % (path, field, record[field]))
            return 1
    return 0


def main():
    schema = json.load(open("docs/coropanic-1.schema.json", encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    arguments = sys.argv[1:]
    option = arguments.pop(0) if arguments[:1] in (["--mutate"], ["--hashes"]) else None
    mutate = option == "--mutate"
    failures = 0
    for path in arguments:
        record = json.load(open(path, encoding="utf-8"))
        if option == "--hashes":
            failures += check_hashes(path, record)
            continue
        if not mutate:
            for error in validator.iter_errors(record):
                print("%s: %s: %s" % (path, "/".join(map(str, error.path)), error.message[:200]))
                failures += 1
            continue
        for name, change in MUTATIONS.items():
            changed = copy.deepcopy(record)
            change(changed)
            if validator.is_valid(changed):
                print("%s: valid with %s" % (path, name))
                failures += 1
    sys.exit(1 if failures else 0)


main()
