#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The parser, the JSON Schema and the manual agree on what a policy is.

Usage: policies.py PARSE-POLICY SCHEMA MANUAL POLICIES SHIPPED...

PARSE-POLICY is the project's parser (parse-policy.c), MANUAL the source of tdx-auth.policy(5),
POLICIES the directory with the files:

  good/               both accept them
  bad/                both refuse them, the parser with one error
  bad-beyond-schema/  the parser refuses them with one error. The schema accepts them, or a reader of
                      YAML does before it: JSON Schema sees neither how a value is written nor two
                      things at once

The first line of a bad file is a comment that says what is wrong. SHIPPED are good, and so are the
examples of the manual: the literal blocks that begin with "version: 1" or with a comment.

YAML is read as its version 1.1 has it and as 1.2 has it, as editors do the one or the other.
"""
import json
import os
import re
import subprocess
import sys
import tempfile

try:
    import jsonschema
    import yaml
except ImportError as error:
    sys.exit(f"Bail out! {error}: install python3-jsonschema and python3-yaml (./dev setup)")

SCALARS_OF_1_2 = [
    ("null", r"^(?:null|Null|NULL|~|)$", None),
    ("bool", r"^(?:true|True|TRUE|false|False|FALSE)$", lambda s: s.lower() == "true"),
    ("int", r"^[-+]?[0-9]+$", int),
    ("int", r"^0o[0-7]+$", lambda s: int(s[2:], 8)),
    ("int", r"^0x[0-9a-fA-F]+$", lambda s: int(s, 16)),
    ("float", r"^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$", float),
]


class Yaml11(yaml.SafeLoader):
    """YAML 1.1 as far as JSON has its types. A key is what stands there."""

    yaml_implicit_resolvers = {
        first: [(tag, regexp) for tag, regexp in resolvers
                if not tag.endswith((":timestamp", ":merge", ":value"))]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node, deep=False):
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.YAMLError("a key that is not a scalar")
        return {key.value: self.construct_object(value, deep=True) for key, value in node.value}


Yaml11.add_constructor("tag:yaml.org,2002:map", Yaml11.construct_mapping)


class Yaml12(Yaml11):
    """The core schema of YAML 1.2."""

    yaml_implicit_resolvers = {}

    def construct_plain(self, node):
        for _, pattern, read in SCALARS_OF_1_2:
            if re.search(pattern, node.value):
                return read(node.value) if read else None
        raise yaml.YAMLError(f"{node.tag} {node.value}")


for kind, pattern, _ in SCALARS_OF_1_2:
    Yaml12.add_implicit_resolver(f"tag:yaml.org,2002:{kind}", re.compile(pattern), None)
    Yaml12.add_constructor(f"tag:yaml.org,2002:{kind}", Yaml12.construct_plain)

number = 0
failed = 0


def report(name, problem):
    global number, failed
    number += 1
    if problem:
        failed += 1
        print(f"not ok {number} - {name}")
        print("".join(f"# {line}\n" for line in problem.splitlines()), end="")
    else:
        print(f"ok {number} - {name}")


def check_schema(validator, path):
    """None, or why the schema does not accept the file: by the one YAML, and by the other."""
    problems = []
    for reader in (Yaml11, Yaml12):
        with open(path, "rb") as file:
            try:
                value = yaml.load(file, reader)
                error = jsonschema.exceptions.best_match(validator.iter_errors(value))
                problems.append(error and f"{error.json_path}: {error.message}")
            except (yaml.YAMLError, ValueError) as error:
                problems.append(f"not to be read: {error}")
    return problems


def run_parser(parser, paths):
    """The lines about each file."""
    # All files are read, and a crash is none of the answers.
    output = subprocess.run([parser, *paths], stdout=subprocess.PIPE, check=True).stdout
    answers = {path: [] for path in paths}
    for line in output.decode(errors="replace").splitlines():
        path = next(path for path in paths if line.startswith(path + ":"))
        answers[path].append(line[len(path) + 1:].strip())
    return answers


def judge_good(answer, problems):
    if answer != ["good"]:
        return "the parser refuses it: " + "; ".join(answer)
    refused = next(filter(None, problems), None)
    return refused and f"the schema refuses it: {refused}"


def judge_bad(answer, problems):
    if answer == ["good"]:
        return "the parser accepts it"
    if len(answer) != 1:
        return "the parser finds more than what is wrong:\n" + "\n".join(answer)
    return None if all(problems) else "the schema accepts it"


def judge_beyond(answer, problems):
    of_parser = judge_bad(answer, ["-"])
    if of_parser:
        return of_parser
    if any(problem is None or problem.startswith("not to be read") for problem in problems):
        return None
    return f"the schema refuses it: it belongs into bad/\n{problems[0]}"


def judge_comment(path):
    with open(path, "rb") as file:
        first = file.readline().removeprefix(b"\xef\xbb\xbf")
    return None if re.match(rb"# \S", first) else "the first line does not say what is wrong"


def extract_examples(manual, directory):
    """Writes the examples of the manual into files. Returns their paths."""
    with open(manual, encoding="utf-8") as file:
        blocks = re.findall(r"^```\n(.*?)^```$", file.read(), re.MULTILINE | re.DOTALL)
    directory = os.path.join(directory, "manual")
    os.mkdir(directory)
    paths = []
    for i, block in enumerate(blocks, 1):
        if block.startswith(("version: 1\n", "# ")):
            paths.append(os.path.join(directory, f"example-{i}.yaml"))
            with open(paths[-1], "w", encoding="utf-8") as file:
                file.write(block)
        elif re.search(r"^ *(rules|match|action):", block, re.MULTILINE):
            report(f"manual, literal block {i}", "looks like a policy, and does not begin like one")
    return paths


def keys_of(value):
    """Every key that is used in a policy, or described by the schema."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from keys_of(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from keys_of(inner)


def properties_of(schema):
    if isinstance(schema, list):
        for inner in schema:
            yield from properties_of(inner)
    elif isinstance(schema, dict):
        for key, inner in schema.items():
            if key == "properties":
                yield from inner.items()
            yield from properties_of(inner)


def check_coverage(schema, good):
    used = set()
    for path in good:
        with open(path, "rb") as file:
            used.update(keys_of(yaml.load(file, Yaml12)))
    missing = {key for key, _ in properties_of(schema)} - used
    return missing and "no good file has: " + ", ".join(sorted(missing))


def check_descriptions(schema):
    described = {key for key, inner in properties_of(schema)
                 if isinstance(inner, dict) and "description" in inner}
    bare = {key for key, _ in properties_of(schema)} - described
    return bare and "no description: " + ", ".join(sorted(bare))


def main():
    parser, schema_path, manual, policies, *shipped = sys.argv[1:]
    with open(schema_path, encoding="utf-8") as file:
        schema = json.load(file)
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)

    def files(kind):
        directory = os.path.join(policies, kind)
        return sorted(os.path.join(directory, name) for name in os.listdir(directory))

    with tempfile.TemporaryDirectory() as directory:
        examples = extract_examples(manual, directory)
        good = files("good") + examples + shipped
        bad = files("bad")
        beyond = files("bad-beyond-schema")
        answers = run_parser(parser, good + bad + beyond)
        for path in good:
            report(name_of(path), judge_good(answers[path], check_schema(validator, path)))
        for path in bad:
            report(name_of(path), judge_comment(path) or
                   judge_bad(answers[path], check_schema(validator, path)))
        for path in beyond:
            report(name_of(path), judge_comment(path) or
                   judge_beyond(answers[path], check_schema(validator, path)))
        report("every key is in a good file", check_coverage(schema, good))
    report("every key has a description", check_descriptions(schema))
    report("the manual has examples", None if len(examples) >= 4 else f"{len(examples)}")
    print(f"1..{number}")
    sys.exit(1 if failed else 0)


def name_of(path):
    return "/".join(path.split(os.sep)[-2:])


main()
