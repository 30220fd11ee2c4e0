"""Somebody at the desk without a browser: plain HTTP, and forms as the pages hold them."""

from html.parser import HTMLParser
from typing import Any

import requests

from tests.desk import PASSWORD, USERNAME, RunningDesk
from tests.tools import port_day, wait_for


class Form(HTMLParser):
    """The fields of one form of a page, as a browser would send them untouched."""

    def __init__(self, form_id: str) -> None:
        super().__init__()
        self.form_id, self.inside, self.fields = form_id, False, dict[str, str]()
        self.action = ""
        self._select = ""
        self._area = ""

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attributes}
        if tag == "form":
            self.inside = given.get("id") == self.form_id
            if self.inside:
                self.action = given.get("action", "")
        if not self.inside:
            return
        name = given.get("name", "")
        if tag == "input" and name:
            kind = given.get("type", "text")
            if kind not in {"checkbox", "radio", "file", "submit"} or "checked" in given:
                self.fields[name] = given.get("value", "on" if kind == "checkbox" else "")
        elif tag == "select":
            self._select = name
        elif tag == "option" and self._select and "selected" in given:
            self.fields[self._select] = given.get("value", "")
        elif tag == "textarea":
            self._area, self.fields[name] = name, ""

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self.inside = False
        elif tag == "select":
            self._select = ""
        elif tag == "textarea":
            self._area = ""

    def handle_data(self, data: str) -> None:
        if self.inside and self._area:
            self.fields[self._area] += data


class Staff:
    """The administrator of a running desk, signed in."""

    def __init__(self, desk: RunningDesk) -> None:
        self.desk, self.http = desk, requests.Session()
        self.http.trust_env = False
        self.http.get(f"{desk.address}/sign-in/", timeout=60)
        answer = self.http.post(
            f"{desk.address}/sign-in/",
            {
                "username": USERNAME,
                "password": PASSWORD,
                "csrfmiddlewaretoken": self.http.cookies["csrftoken"],
            },
            headers={"Referer": f"{desk.address}/sign-in/"},
            timeout=60,
        )
        assert answer.ok, answer.status_code
        assert "/sign-in/" not in answer.url

    def get(self, path: str) -> requests.Response:
        """Open a page of the desk."""
        return self.http.get(f"{self.desk.address}{path}", timeout=60)

    def submit(self, path: str, form_id: str, **typed: Any) -> requests.Response:
        """Open a page, type into one of its forms, and send it."""
        page = self.get(path)
        form = Form(form_id)
        form.feed(page.text)
        assert form.fields, f"{path} has no form {form_id}"
        target = form.action or page.url.removeprefix(self.desk.address)
        return self.http.post(
            f"{self.desk.address}{target}",
            form.fields | typed,
            headers={"Referer": page.url},
            timeout=60,
        )

    def add_list(self, name: str, content: bytes) -> str:
        """Add a file of numbers to a new draft; return the draft's path."""
        page = self.get("/orders/new/")
        form = Form("draft-form")
        form.feed(page.text)
        path = f"/orders/drafts/{form.fields['draft']}/"
        answer = self.http.post(
            f"{self.desk.address}{path}list/add/",
            form.fields,
            files={"list": (name, content)},
            headers={"Referer": page.url},
            timeout=60,
        )
        assert answer.url.startswith(f"{self.desk.address}{path}"), answer.text[:2000]
        return path

    def draft(self, reference: str, numbers: list[str], **typed: Any) -> str:
        """Type and check a draft that is ready to be sent; return its path."""
        answer = self.submit(
            "/orders/new/",
            "draft-form",
            action="check",
            numbers="\n".join(numbers),
            name="Harborview Dental LLC",
            street_num="1420",
            street="Alder St",
            city="Seattle",
            state="WA",
            zip="98101",
            pin="4821",
            signer="Dana Holt",
            signed_on=port_day(-2).isoformat(),
            port_date=port_day(14).isoformat(),
            reference=reference,
            **typed,
        )
        path = answer.url.removeprefix(self.desk.address).split("?")[0].split("#")[0]
        assert path.startswith("/orders/drafts/"), (answer.url, answer.text[:2000])
        wait_for(
            lambda: 'id="send-open" name="action"' in self.get(path).text,
            20,
            "a draft fit to be sent",
        )
        return path
