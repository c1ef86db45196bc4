"""Whether the samples of deploy/logs take the lines of a gateway. See tests/outside/log_samples.sh.

log_samples.py FOLDER LOG: the samples, and what a gateway wrote.

Vector's program runs with Vector's compiler. The other two programs are not here, so this reads their files: the syntax,
that each component leads to another one, the time, and the fields.
"""

import datetime
import json
import pathlib
import re
import sys

import yaml
from vrl_python import VRLRuntime

FOLDER, LOG = (pathlib.Path(name) for name in sys.argv[1:])
# What systemd writes about the unit, and what a panic may look like.
NO_JSON = ["Started tieline.service - Tieline.", "", '"a text"', "[1]", "{", "thread 'main' panicked"]


def check(holds, text):
    if not holds:
        sys.exit(f"log_samples: {text}")


def moment(text, form):
    """The moment that a line's timestamp tells."""
    return datetime.datetime.strptime(text, form).replace(tzinfo=datetime.timezone.utc)


def vector(lines):
    tree = yaml.safe_load((FOLDER / "vector.yaml").read_text())
    sources, transforms, sinks = tree["sources"], tree["transforms"], tree["sinks"]
    for name, part in [*transforms.items(), *sinks.items()]:
        check(set(part["inputs"]) <= sources.keys() | transforms.keys(), f"vector.yaml: {name} has an unknown input")
    check(sinks["loki"]["inputs"] == ["tieline"], "vector.yaml: the sink skips the transform")
    runtime, program = VRLRuntime(), transforms["tieline"]["source"]
    fault = VRLRuntime.check_syntax(program)
    check(fault is None, f"vector.yaml: {fault}")
    labels = {name for text in sinks["loki"]["labels"].values() for name in re.findall(r"{{ *(\w+) *}}", text)}
    for line in lines:
        event = runtime.execute(program, {"message": json.dumps(line), "host": "h", "source_type": "journald"})
        event = event.processed_event
        told = event.pop("timestamp")
        # The compiler's Python side shows a moment as text; Vector itself keeps it as a moment.
        told = datetime.datetime.fromisoformat(str(told).replace(" UTC", "+00:00"))
        wanted = dict(line)
        check(told == moment(wanted.pop("timestamp"), "%Y-%m-%dT%H:%M:%S.%fZ"), f"vector.yaml: another time: {told}")
        check(event == wanted | {"host": "h", "source_type": "journald"}, f"vector.yaml: {line} became {event}")
        check(labels <= event.keys(), f"vector.yaml: {line} lacks a label of {labels}")
    for line in NO_JSON:
        event = runtime.execute(program, {"message": line}).processed_event
        check(event == {"message": line, "level": "NONE"}, f"vector.yaml: {line!r} became {event}")


def fluent_bit(lines, fields):
    tree = yaml.safe_load((FOLDER / "fluent-bit.yaml").read_text())
    parser, pipeline = tree["parsers"][0], tree["pipeline"]
    tags = {part["tag"] for part in pipeline["inputs"]}
    for part in pipeline["filters"] + pipeline["outputs"]:
        check(part["match"] in tags, f"fluent-bit.yaml: {part['name']} matches no tag")
    check(pipeline["filters"][0]["parser"] == parser["name"], "fluent-bit.yaml: no such parser")
    # %L is Fluent Bit's word for a fraction of a second.
    form = parser["time_format"].replace("%S.%L", "%S.%f")
    for line in lines:
        moment(line[parser["time_key"]], form)
    named = re.findall(r"\$(\w+)", pipeline["outputs"][0]["labels"])
    check(named and set(named) <= fields["each"], f"fluent-bit.yaml: not every line has {named}")


TOKEN = re.compile(r'\s+|//[^\n]*|(?P<text>"(?:[^"\\]|\\.)*")|(?P<word>[A-Za-z_][\w.]*)|(?P<mark>[{}\[\]=,])')


class Alloy:
    """Reads the part of Alloy's language that the sample uses: blocks, and values that are texts, lists, maps or names."""

    def __init__(self, text):
        self.tokens, at = [], 0
        while at < len(text):
            found = TOKEN.match(text, at)
            check(found, f"config.alloy: unreadable at {text[at:at + 20]!r}")
            if found.lastgroup:
                self.tokens.append((found.lastgroup, found.group()))
            at = found.end()
        self.tokens.append(("end", ""))

    def take(self, *wanted):
        token = self.tokens.pop(0)
        check(not wanted or token[0] in wanted or token[1] in wanted, f"config.alloy: {token} where {wanted} belongs")
        return token

    def body(self, end):
        """Attributes by name, and blocks as a list of (name, label, body)."""
        attributes, inner = {}, []
        while self.tokens[0][1] != end or self.tokens[0][0] == "text":
            name = self.take("word")[1]
            if self.tokens[0][1] == "=":
                self.take("=")
                check(name not in attributes, f"config.alloy: {name} twice")
                attributes[name] = self.value()
            else:
                label = self.take("text")[1][1:-1] if self.tokens[0][0] == "text" else None
                self.take("{")
                inner.append((name, label, self.body("}")))
                self.take("}")
        return attributes, inner

    def value(self):
        kind, text = self.take("text", "word", "{", "[")
        if kind == "text":
            return json.loads(text)
        if kind == "word":
            return ("name", text)
        result, end = ({}, "}") if text == "{" else ([], "]")
        while self.tokens[0][1] != end:
            if text == "{":
                name = self.take("word", "text")[1].strip('"')
                self.take("=")
                result[name] = self.value()
            else:
                result.append(self.value())
            if self.tokens[0][1] != end:
                self.take(",")
        self.take(end)
        return result


def alloy(lines, fields):
    reader = Alloy((FOLDER / "config.alloy").read_text())
    _, blocks = reader.body("")
    receivers = {f"{name}.{label}.receiver" for name, label, _ in blocks}
    for name, label, (attributes, _) in blocks:
        for target in attributes.get("forward_to", []):
            check(target[1] in receivers, f"config.alloy: {name} forwards to nothing")
    stages = {name: attributes for block in blocks for name, _, (attributes, _) in block[2][1]}
    taken = stages["stage.json"]["expressions"]
    check(taken.keys() <= fields["some"], f"config.alloy: no line has one of {sorted(taken)}")
    labels, metadata = stages["stage.labels"]["values"], stages["stage.structured_metadata"]["values"]
    check(labels.keys() <= fields["each"], f"config.alloy: not every line has {sorted(labels)}")
    check(metadata.keys() | labels.keys() <= taken.keys(), "config.alloy: a value that stage.json does not take")
    stamp = stages["stage.timestamp"]
    check(stamp["source"] in taken and stamp["format"] == "RFC3339Nano", "config.alloy: no time")
    for line in lines:
        check(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z", line[stamp["source"]]), "not RFC 3339")


def questions(fields):
    """The questions of the page ask for fields that there are."""
    page = (FOLDER / "README.md").read_text()
    asked = re.search(r"```logql\n(.*?)```", page, re.S).group(1)
    names = re.findall(r"\| (\w+) *(?:=|!=|>=)|unwrap (\w+)|by \((\w+)\)", asked)
    names = {name for found in names for name in found if name}
    check(len(names) > 5 and names <= fields["some"], f"README.md asks for {sorted(names - fields['some'])}")


def main():
    lines = [json.loads(line) for line in LOG.read_text().splitlines()]
    kinds = {line["message"] for line in lines}
    check({"listening", "answered"} <= kinds and len(kinds) > 2, f"too few kinds of lines: {kinds}")
    check({200, 401, 404} <= {line.get("status") for line in lines}, "too few kinds of answers")
    check(not any(isinstance(value, (dict, list)) for line in lines for value in line.values()), "a line is not flat")
    fields = {"some": set().union(*lines), "each": set.intersection(*(set(line) for line in lines))}
    vector(lines)
    fluent_bit(lines, fields)
    alloy(lines, fields)
    questions(fields)
    print(f"{len(lines)} lines of {len(kinds)} kinds: Vector's program was run; the samples for Alloy and Fluent Bit were read")


main()
