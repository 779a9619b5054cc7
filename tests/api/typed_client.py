"""Writes a typed Python client from the OpenAPI document: a TypedDict per schema, a method per operation.

Amounts stay strings, as they are on the wire. Standard library only, so that the text can be kept anywhere.
"""

import keyword
import re
from typing import Any

HEAD = '''"""A client of the Hedgerow API, written from its OpenAPI document."""

from collections.abc import Callable
from typing import Any, Literal, NotRequired, TypedDict, cast
from urllib.parse import quote, urlencode

Transport = Callable[[str, str, Any, dict[str, str]], tuple[int, Any]]
"""(method, path with query, body or None, headers) → (status, answer)."""


class Refused(Exception):
    """A problem answer."""

    def __init__(self, status: int, problem: Any) -> None:
        super().__init__(f"{status} {problem}")
        self.status = status
        self.code = str((problem or {}).get("code", ""))
'''

CALL = """
    def _call(self, method: str, path: str, query: dict[str, Any], body: Any, headers: dict[str, str]) -> Any:
        asked = {name: value for name, value in query.items() if value is not None}
        status, answer = self._send(method, path + ("?" + urlencode(asked) if asked else ""), body, headers)
        if status >= 400:
            raise Refused(status, answer)
        return answer
"""


def write_client(document: dict[str, Any]) -> str:
    """The module's text."""
    parts = [HEAD]
    for name, schema in sorted(document["components"]["schemas"].items()):
        parts.append(write_type(identifier(name), schema))
    parts.append("\n\nclass Api:\n    def __init__(self, send: Transport) -> None:\n        self._send = send\n" + CALL)
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            parts.append(write_method(path, method, operation))
    return "".join(parts)


def write_type(name: str, schema: dict[str, Any]) -> str:
    if "properties" not in schema:
        return f"\n\n{name} = {kind(schema)}\n"
    required = set(schema.get("required", ()))
    fields = ", ".join(
        f'"{field}": "{kind(inner) if field in required else f"NotRequired[{kind(inner)}]"}"'.replace("'", "\\'")
        if "Literal" not in kind(inner)
        else f'"{field}": {kind(inner) if field in required else f"NotRequired[{kind(inner)}]"}'
        for field, inner in schema["properties"].items()
    )
    return f'\n\n{name} = TypedDict("{name}", {{{fields}}})\n'


def write_method(path: str, method: str, operation: dict[str, Any]) -> str:
    given = operation.get("parameters", [])
    in_path = [one["name"] for one in given if one["in"] == "path"]
    query = [one for one in given if one["in"] == "query"]
    headers = [one for one in given if one["in"] == "header"]
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
    arguments = [f"{name}: str" for name in in_path]
    keywords = [f"body: {kind(body)}"] if body else []
    keywords += [f"{identifier(one['name'])}: {kind(one['schema'])} | None = None" for one in (*query, *headers)]
    signature = ", ".join(["self", *arguments, *(["*", *keywords] if keywords else [])])
    answer = next((operation["responses"][code] for code in (200, 201, 202) if code in operation["responses"]), {})
    returned = kind(answer["content"]["application/json"]["schema"]) if "content" in answer else "None"
    name = identifier(f"{method}_{path.removeprefix('/api/')}")
    address = re.sub(r"\{(\w+)\}", r"{quote(\1, safe='')}", path)
    asked = ", ".join(f'"{one["name"]}": {identifier(one["name"])}' for one in query)
    sent = ", ".join(f'"{one["name"]}": {identifier(one["name"])}' for one in headers)
    noted = f"{{k: v for k, v in {{{sent}}}.items() if v}}" if sent else "{}"
    call = f'self._call("{method.upper()}", f"{address}", {{{asked}}}, {"body" if body else "None"}, {noted})'
    return f'\n    def {name}({signature}) -> "{returned}":\n        return cast("{returned}", {call})\n'


def kind(schema: dict[str, Any]) -> str:
    """The Python type of a schema."""
    if "$ref" in schema:
        return identifier(schema["$ref"].rpartition("/")[2])
    if "enum" in schema or "const" in schema:
        return f"Literal[{', '.join(repr(value) for value in schema.get('enum', [schema.get('const')]))}]"
    if "anyOf" in schema:
        return " | ".join(dict.fromkeys(kind(inner) for inner in schema["anyOf"]))
    if "allOf" in schema and len(schema["allOf"]) == 1:
        return kind(schema["allOf"][0])
    if schema.get("type") == "array":
        return f"list[{kind(schema.get('items', {}))}]"
    plain = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "null": "None"}
    return plain.get(schema.get("type", ""), "dict[str, Any]" if schema.get("type") == "object" else "Any")


def identifier(text: str) -> str:
    word = re.sub(r"\W+", "_", text).strip("_")
    return f"{word}_" if keyword.iskeyword(word) else word
