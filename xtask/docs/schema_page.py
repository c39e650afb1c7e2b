"""A page about a JSON schema: a heading for each document and each definition, with a row for each field at any depth.

    python3 schema_page.py SCHEMA > PAGE

A keyword that it cannot describe ends it, so that no page is silent about a part of its schema.
"""

import json
import re
import sys

DESCRIBED = {
    "$schema", "$defs", "$ref", "title", "description", "type", "properties", "required", "items", "enum", "const",
    "anyOf", "oneOf", "allOf", "additionalProperties", "minItems", "maxItems", "minimum", "maximum", "pattern", "format",
    "contentEncoding", "contentMediaType",
}


def anchor(name):
    """The anchor that mdBook gives to a heading."""
    kept = [letter for letter in name.lower().replace(" ", "-") if letter.isalnum() or letter in "-_"]
    return "".join(kept)


def type_heading(name):
    """A type may be called as a document is."""
    return f"Type {name}"


def type_of(schema):
    """The type in a few words; a definition is linked."""
    unknown = set(schema) - DESCRIBED
    if unknown:
        sys.exit(f"no words for {', '.join(sorted(unknown))} of a schema")
    if "$ref" in schema:
        name = schema["$ref"].removeprefix("#/$defs/")
        return f"[{name}](#{anchor(type_heading(name))})"
    if "const" in schema:
        return f"`{json.dumps(schema['const'])}`"
    if "enum" in schema:
        return " or ".join(f"`{json.dumps(value)}`" for value in schema["enum"])
    for word, between in (("anyOf", " or "), ("oneOf", " or "), ("allOf", " and ")):
        if word in schema:
            return between.join(dict.fromkeys(type_of(one) for one in schema[word]))
    kind = schema.get("type", "anything")
    kinds = kind if isinstance(kind, list) else [kind]
    inner = schema.get("items")
    if inner and "array" in kinds:
        kinds = [f"array of {type_of(inner)}" if one == "array" else one for one in kinds]
    more = schema.get("additionalProperties")
    if isinstance(more, dict) and "object" in kinds:
        kinds = [f"object of {type_of(more)}" if one == "object" else one for one in kinds]
    numbers = ("minItems", "maxItems", "minimum", "maximum", "format", "contentEncoding", "contentMediaType")
    limits = [f"{word} {schema[word]}" for word in numbers if word in schema]
    limits += [f"like `{schema['pattern']}`"] if "pattern" in schema else []
    return " or ".join(kinds) + "".join(f", {limit}" for limit in limits)


def rows(schema, path):
    """(path, type, whether it may be absent, description) of each field below a schema."""
    required = schema.get("required", [])
    for name, inner in schema.get("properties", {}).items():
        place = f"{path}.{name}" if path else name
        yield place, type_of(inner), name not in required, inner.get("description", "")
        yield from rows(inner, place)
    if isinstance(schema.get("items"), dict):
        yield from rows(schema["items"], f"{path}[]")
    if isinstance(schema.get("additionalProperties"), dict):
        yield from rows(schema["additionalProperties"], f"{path}.*" if path else "*")
    for word in ("anyOf", "oneOf", "allOf"):
        for inner in schema.get(word, []):
            yield from rows(inner, path)


def options_as_code(text):
    """Two hyphens would become a dash."""
    return re.sub(r"--[\w-]+( json)?", r"`\g<0>`", text)


def cell(text):
    return text.replace("|", "\\|").replace("\n", " ")


def part(name, schema):
    print(f"\n## {options_as_code(name)}\n")
    print(" ".join(filter(None, [schema.get("description", ""), f"Type: {type_of(schema)}."])))
    found = list(rows(schema, ""))
    if found:
        print("\n| field | type | what it is |\n| --- | --- | --- |")
    for path, kind, optional, description in found:
        words = ", ".join(filter(None, ["may be absent" if optional else "", description]))
        print(f"| `{path}` | {cell(kind)} | {cell(words)} |")


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        schema = json.load(file)
    print(f"# {options_as_code(schema['title'])}\n\n{schema.get('description', '')}")
    for name, inner in schema["properties"].items():
        part(name, inner)
    for name, inner in schema.get("$defs", {}).items():
        part(type_heading(name), inner)


main()
