"""Files for tests of lists, made as a spreadsheet makes them, and a person who adds them."""

import io
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from openpyxl import Workbook

from orders import list_work
from orders.models import ListRow, NumberList, PortInDraft

HTMX = {"HX-Request": "true"}
Cell = str | int | float | datetime | None


def book(*sheets: Iterable[Sequence[Cell]], hidden: Sequence[int] = ()) -> bytes:
    """Return an XLSX of these sheets; `hidden` are the ones out of sight, counted from 0."""
    made = Workbook()
    for index, rows in enumerate(sheets):
        sheet = made.active if index == 0 else made.create_sheet()
        assert sheet is not None
        for row in rows:
            sheet.append(list(row))
        if index in hidden:
            sheet.sheet_state = "hidden"
    content = io.BytesIO()
    made.save(content)
    return content.getvalue()


def csv_text(*rows: str, encoding: str = "utf-8", separator: str = ",") -> bytes:
    """Return a CSV; cells are written with "|" between them."""
    return "\r\n".join(row.replace("|", separator) for row in rows).encode(encoding)


def read_all() -> None:
    """Do everything that is to be done on lists, as a worker does."""
    while list_work.run_one():
        pass


class ListDesk:
    """A person who adds a file to a draft and deals with its rows."""

    def __init__(self, client: Client, draft: PortInDraft) -> None:
        self.client, self.draft = client, draft

    def url(self, name: str = "list", *args: str) -> str:
        return reverse(f"orders:{name}", args=[self.draft.pk, *args])

    def add(self, content: bytes, name: str = "sites.xlsx", **typed: Any) -> Any:
        fields = {"list": SimpleUploadedFile(name, content), "version": "1", **typed}
        return self.client.post(self.url("list_add"), fields)

    def added(self, content: bytes, name: str = "sites.xlsx") -> NumberList:
        answer = self.add(content, name)
        assert answer.status_code == 302, answer.status_code
        read_all()
        return self.list

    def press(self, action: str, query: str = "", **fields: str) -> Any:
        return self.client.post(f"{self.url()}{query}", {"action": action, **fields}, headers=HTMX)

    def page(self, query: str = "") -> str:
        answer = self.client.get(f"{self.url()}{query}")
        assert answer.status_code == 200, answer.status_code
        return str(answer.content.decode())

    def correct_with(self, content: bytes, name: str = "corrected.csv") -> Any:
        return self.client.post(
            self.url("list_corrections"), {"list": SimpleUploadedFile(name, content)}
        )

    @property
    def list(self) -> NumberList:
        return NumberList.objects.get(draft=self.draft)

    def row(self, position: int) -> ListRow:
        return self.list.rows.get(position=position)
