"""The OpenAPI description, ready to judge requests, answers and webhooks.

The description is read once and its `$ref`s are put in place, because following them again for
each of 500 numbers would make every create slow.
"""

import copy
import functools
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

OPENAPI_FILE = Path(__file__).parent / "openapi" / "porting.openapi.yaml"
HOSTING_FILE = OPENAPI_FILE.with_name("hosting.openapi.yaml")
# The project stands in the path of the one description and in the server of the other.
PROJECT = "projectId"
OTHER = 0  # stands for every status that a description does not list by itself
METHODS = ("get", "post", "put", "delete", "patch")
# Keys an order has on read and no write takes; Sinch may ignore or refuse them in an update.
READ_ONLY_ORDER_KEYS = frozenset({"id", "status", "notes", "documents", "createdDate"})
_READ_ONLY_NUMBER_KEYS = """
status countryCode phoneNumberGroup focDate rejectReason exclusionReason exclusionTime
exclusionDate excludedFeatures activateTime activatedDate confirmedDate activateUser
"""
READ_ONLY_NUMBER_KEYS = frozenset(_READ_ONLY_NUMBER_KEYS.split())

Schema = dict[str, Any]


@dataclass(frozen=True)
class Finding:
    """One departure from the contract: where it is, which rule it breaks, and words for it."""

    where: str
    field: str
    rule: str
    description: str


@dataclass(frozen=True)
class Operation:
    """One operation of the description, with its validators compiled."""

    id: str
    method: str
    path: str
    path_parameters: Mapping[str, Draft202012Validator]
    query_parameters: Mapping[str, tuple[Schema, Draft202012Validator]]
    body: Draft202012Validator | None
    body_required: bool
    media_type: str
    answers: Mapping[int, Draft202012Validator | None]


@functools.cache
def load_contract(path: Path = OPENAPI_FILE) -> "Contract":
    """Return the contract, read and compiled once per process."""
    return Contract(yaml.safe_load(path.read_text(encoding="utf-8")))


HOSTING_EVENT = "Event about an imported or hosted number"  # the title of all its callbacks


class Contract:
    """What a client may send to Sinch, and what Sinch may send back."""

    def __init__(self, document: Schema) -> None:
        self._document = document
        self.operations: dict[str, Operation] = {}
        self._events: dict[str, Draft202012Validator] = {}
        for path, item in document["paths"].items():
            for method in METHODS:
                if method in item:
                    operation = self._operation(path, method, item)
                    self.operations[operation.id] = operation
        for item in document["webhooks"].values():
            if "summary" not in item["post"]:
                continue
            schema = item["post"]["requestBody"]["content"]["application/json"]["schema"]
            self._events[item["post"]["summary"]] = self._validator(schema)

    def check_parameters(
        self,
        operation: Operation,
        path_values: Mapping[str, str],
        query: Mapping[str, list[str]],
    ) -> list[Finding]:
        """Return what is wrong with the path and the query of a request."""
        findings = []
        for name, validator in operation.path_parameters.items():
            for _error in validator.iter_errors(path_values.get(name, "")):
                findings.append(Finding("path", name, "pattern", "Not an id"))
                break
        for name, values in query.items():
            if name not in operation.query_parameters:
                findings.append(Finding("query", name, "unknown", "Unknown parameter"))
                continue
            schema, validator = operation.query_parameters[name]
            value: Any = values[-1]
            if schema.get("type") == "integer" and re.fullmatch(r"-?\d+", value):
                value = int(value)
            for error in validator.iter_errors(value):
                findings.append(Finding("query", name, str(error.validator), _words(error)))
                break
        return findings

    def check_body(self, operation: Operation, body: Any) -> list[Finding]:
        """Return what is wrong with a request body, in field paths such as
        `phoneNumbers[0].endUser.state`."""
        if operation.body is None:
            return []
        return list(_findings(operation.body.iter_errors(body)))

    def check_answer(self, operation_id: str, status: int, body: Any) -> list[str]:
        """Return what is wrong with an answer; None stands for an empty body, which always passes.

        A status that the description does not list is reported too, except that any success may
        stand in for the listed one: clients have to accept every 2xx.
        """
        operation = self.operations[operation_id]
        listed = status
        if status not in operation.answers and 200 <= status < 300:
            listed = min(answer for answer in operation.answers if answer != OTHER)
        if listed not in operation.answers and OTHER in operation.answers:
            listed = OTHER
        if listed not in operation.answers:
            return [f"{operation_id} does not answer {status}"]
        validator = operation.answers[listed]
        if body is None or validator is None:
            return []
        return [
            f"{operation_id} {status}: {finding.field or 'body'}: {finding.description}"
            for finding in _findings(validator.iter_errors(body))
        ]

    def check_event(self, event: Mapping[str, Any]) -> list[str]:
        """Return what is wrong with a webhook body."""
        name = str(event.get("type") or event.get("event") or "")
        if "eventType" in event:
            name = HOSTING_EVENT
        if name not in self._events:
            return [f"There is no event {name!r}"]
        return [
            f"{name}: {finding.field or 'body'}: {finding.description}"
            for finding in _findings(self._events[name].iter_errors(event))
        ]

    def _operation(self, path: str, method: str, item: Schema) -> Operation:
        spec = item[method]
        parameters = [
            self._resolve(p) for p in (*item.get("parameters", ()), *spec.get("parameters", ()))
        ]
        body = self._resolve(spec["requestBody"]) if "requestBody" in spec else {}
        media_type = next(iter(body.get("content", {})), "")
        answers: dict[int, Draft202012Validator | None] = {}
        for status, answer in spec["responses"].items():
            content = self._resolve(answer).get("content", {}).get("application/json")
            listed = OTHER if status == "default" else int(status)
            answers[listed] = self._validator(content["schema"]) if content else None
        return Operation(
            id=spec["operationId"],
            method=method.upper(),
            path=path,
            path_parameters={
                p["name"]: self._validator(p["schema"])
                for p in parameters
                if p["in"] == "path" and p["name"] != PROJECT
            },
            query_parameters={
                p["name"]: (self._in_place(p["schema"]), self._validator(p["schema"]))
                for p in parameters
                if p["in"] == "query"
            },
            body=self._validator(body["content"][media_type]["schema"]) if body else None,
            body_required=bool(body.get("required")),
            media_type=media_type,
            answers=answers,
        )

    def _validator(self, schema: Schema) -> Draft202012Validator:
        return Draft202012Validator(
            self._in_place(schema), format_checker=Draft202012Validator.FORMAT_CHECKER
        )

    def _resolve(self, node: Schema) -> Schema:
        while "$ref" in node:
            target: Any = self._document
            for part in node["$ref"].removeprefix("#/").split("/"):
                target = target[part]
            node = {
                **target,
                **{key: value for key, value in node.items() if key != "$ref"},
            }
        return node

    def _in_place(self, schema: Any) -> Any:
        """Return a schema with every `$ref` replaced by what it names; none of ours is a loop."""
        if isinstance(schema, list):
            return [self._in_place(part) for part in schema]
        if not isinstance(schema, dict):
            return schema
        # Examples and notes would only be carried along.
        resolved = {
            key: self._in_place(value)
            for key, value in self._resolve(schema).items()
            if not key.startswith("x-") and key not in {"examples", "example", "discriminator"}
        }
        return _closed(resolved) if resolved.get("unevaluatedProperties") is False else resolved


def _closed(schema: Schema) -> Schema:
    """Return an `allOf` with `unevaluatedProperties: false` as one object that says the same.

    One wrong value would otherwise make the validator call every other property unknown.
    """
    merged: Schema = {"type": "object", "properties": {}, "required": []}
    for part in (*schema.get("allOf", ()), schema):
        merged["required"] += part.get("required", [])
        for name, rules in part.get("properties", {}).items():
            merged["properties"][name] = {**merged["properties"].get(name, {}), **rules}
    merged["additionalProperties"] = False
    return merged


def without_read_only(body: Any) -> Any:
    """Return an update's body as Sinch would take it if it ignored the keys only it can set."""
    if not isinstance(body, dict):
        return body
    kept = {k: v for k, v in copy.deepcopy(body).items() if k not in READ_ONLY_ORDER_KEYS}
    for number in kept.get("phoneNumbers") or ():
        if isinstance(number, dict):
            for key in READ_ONLY_NUMBER_KEYS & set(number):
                del number[key]
    return kept


def _findings(errors: Iterable[ValidationError]) -> Iterator[Finding]:
    for error in errors:
        for leaf in _leaves(error):
            yield from _finding(leaf)


def _leaves(error: ValidationError) -> list[ValidationError]:
    """Return what is really wrong behind a failed anyOf or oneOf.

    The alternatives that the value's own `type` word rules out are left aside: an EST voice
    configuration without its trunk lacks `trunkId`, it is not "a wrong RTC".
    """
    if not error.context:
        return [error]
    branches: dict[Any, list[ValidationError]] = {}
    for inner in error.context:
        branches.setdefault(inner.schema_path[0], []).append(inner)
    named = [b for b in branches.values() if not any(e.validator == "const" for e in b)]
    if len(named) == 1:
        return [leaf for inner in named[0] for leaf in _leaves(inner)]
    return [error]


def _finding(error: ValidationError) -> Iterator[Finding]:
    path = _path(error.absolute_path)
    if error.validator == "required":
        missing = [name for name in error.validator_value if name not in error.instance]
        # One error comes for each missing name, and each lists only its own.
        name = next((n for n in missing if f"'{n}'" in error.message), missing[0])
        yield Finding("body", _join(path, name), "required", "This field is required")
    elif error.validator == "additionalProperties":
        known = error.schema.get("properties", {})
        for name in error.instance:
            if name not in known:
                yield Finding("body", _join(path, name), "unknown", "Unknown field")
    else:
        yield Finding("body", path, str(error.validator), _words(error))


def _path(parts: Iterable[Any]) -> str:
    text = ""
    for part in parts:
        text = f"{text}[{part}]" if isinstance(part, int) else _join(text, str(part))
    return text


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _words(error: ValidationError) -> str:
    """Return Sinch-like words for a broken rule. Only phone numbers are ever repeated in it."""
    rule, limit = error.validator, error.validator_value
    if rule == "pattern":
        pattern = str(limit)
        if pattern.startswith(r"^\+"):
            return f"The ({error.instance}) is not a valid phone number"
        if pattern == "^[A-Z]{2}$":
            return "Use the two letter abbreviation"
        if pattern == "^https://":
            return "Must be an https address"
        if pattern.startswith("^[A-Za-z0-9+/]"):
            return "Not valid base64"
        return "Has the wrong format"
    if rule == "maxLength":
        return f"At most {limit} characters"
    if rule == "maxItems":
        return f"At most {limit} entries"
    if rule in {"minLength", "minItems"}:
        return "Must not be empty"
    if rule in {"minimum", "maximum"}:
        return f"Must be at {'least' if rule == 'minimum' else 'most'} {limit}"
    if rule in {"enum", "const"}:
        return "Unknown value"
    if rule == "format":
        return f"Not a valid {limit}"
    if rule == "type":
        wanted = limit if isinstance(limit, str) else " or ".join(limit)
        return f"Must be of type {wanted}"
    return "Has none of the allowed forms"
