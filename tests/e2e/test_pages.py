"""Every page as somebody sees it: on a wide screen and a telephone, in the light and in the dark.

One desk with the sandbox's demo orders, at rest, is looked at by an administrator and by a reader.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Browser, Page, Response

from tests.desk import PASSWORD, USERNAME, RunningDesk, running_desk
from tests.e2e.conftest import NARROW, WIDE
from tests.staff import Staff
from tests.tools import wait_for

READER = "rosa"
# The longest of what Sinch takes: an end user's name, a reference, and a reason of some length.
LONG_NAME = "The Society of Greater Washington Orthodontists, Periodontists and Dental Surgeons"
LONG_REFERENCE = "made-by-a-machine-2026-11-21-000001-" + "x" * 64
LONG_REASON = (
    "The authorized person named in the letter of authorization is not listed on the customer "
    "service record; send a new letter signed by the account holder, with the last bill attached"
)
LONG_WORD = "https://desk.example/" + "an-address-without-a-single-space/" * 6
LIST = (
    "Number,Name on the bill,Street number,Street,City,State,ZIP,Port-out PIN\r\n"
    "206-555-0142,Pike Street Books,88,Pike St,Seattle,WA,98101,4821\r\n"
    f'206-555-0143,"{LONG_NAME}",88,Pike St,Seattle,WAS,981,4821\r\n'
    f"206-555-014{LONG_WORD},Pike Street Books,88,Pike St,Seattle,WA,98101,4821\r\n"
    "206-555-0142,Pike Street Books,88,Pike St,Seattle,WA,98101,4821\r\n"
    "604-555-0110,Pike Street Books,88,Pike St,Vancouver,BC,V5K 0A1,4821\r\n"
).encode()
LIST_TO_ASK_ABOUT = (
    f"Number,City,Manager,{LONG_WORD}\r\n206-555-0142,Seattle,Rosa,{LONG_WORD}\r\n".encode()
)
SERIOUS = {"serious", "critical"}
AXE = """async rules => {
  const options = rules ? {runOnly: {type: "rule", values: rules}} : {};
  const found = await axe.run(document, {...options, resultTypes: ["violations"]});
  return found.violations.map(v => ({
    id: v.id, impact: v.impact, where: v.nodes.slice(0, 3).map(n => n.html.slice(0, 200)),
  }));
}"""
TOO_WIDE = """() => {
  const edge = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth <= edge) return [];
  return [...document.querySelectorAll("main *")]
    .filter(e => e.getBoundingClientRect().right > edge + 1)
    .map(e => e.outerHTML.slice(0, 120)).slice(0, 5);
}"""
OPEN_ALL = 'document.querySelectorAll("main details").forEach(part => { part.open = true; })'


@dataclass
class Stage:
    """A desk with something of everything on it, and the addresses of its pages."""

    desk: RunningDesk
    paths: dict[str, str]


def order_path(staff: Staff, reference: str) -> str:
    """Return the page of the one order with the reference, as soon as the desk has it."""

    def found() -> str:
        url = staff.get(f"/work/?q={reference}").url.removeprefix(staff.desk.address)
        return url if url.startswith(("/orders/", "/hosting/")) else ""

    return wait_for(found, 30, f"the order {reference} on the desk")


def number_path(staff: Staff, kind: str, query: str) -> str:
    """Return the page of the first imported or qualified number of a list, once there is one."""

    def found() -> str:
        row = re.search(rf'href="(/hosting/{kind}/\d+/)"', staff.get(query).text)
        return row[1] if row else ""

    return wait_for(found, 30, f"a number of {query}")


def make_orders(desk: RunningDesk) -> None:
    """Have orders made elsewhere: one of 500 numbers, and one with everything very long."""
    codes, lines = ("312", "630", "847"), (*range(100, 196), *range(200, 296))
    numbers = [f"+1{code}555{line:04d}" for code in codes for line in lines][:500]
    big = {"numbers": numbers, "reference": "BIG-500", "end_user": "Lakemont Cycles"}
    desk.ask_sandbox("orders", big | {"on_demand": True})
    long = {"numbers": [f"+1509555{line:04d}" for line in range(100, 112)]}
    long |= {"reference": LONG_REFERENCE, "end_user": LONG_NAME}
    order = desk.ask_sandbox("orders", long)
    refused = {"reason": LONG_REASON, "numbers": ["+15095550100", "+15095550101"]}
    desk.ask_sandbox(f"orders/{order['id']}/reject", refused)
    desk.ask_sandbox(f"orders/{order['id']}/note", {"note": f"Is this it? {LONG_WORD}"})


def make_reader(desk: RunningDesk) -> None:
    """Make an account that may look and nothing else."""
    desk.manage(
        "shell",
        "-c",
        "from django.contrib.auth.models import Group; from portal.accounts.models import User; "
        f"user = User.objects.create_user({READER!r}, password={PASSWORD!r}); "
        "user.groups.add(Group.objects.get(name='Readers'))",
    )


def check_many_numbers(staff: Staff) -> str:
    """Have Sinch asked about more numbers than a page shows; return the page of the answers."""
    numbers = "\n".join(f"{code} 555 {n:04d}" for code in (206, 425) for n in range(100, 200))
    answer = staff.submit(
        "/orders/portability/", "check-form", numbers=f"{numbers}\n800 555 0142", title=LONG_NAME
    )
    path = answer.url.removeprefix(staff.desk.address)
    wait_for(lambda: "Asking Sinch" not in staff.get(path).text, 20, "the answers")
    return path


def save_an_end_user(staff: Staff) -> str:
    """Save an end user and a routing for new orders; return the page of the end user."""
    staff.submit(
        "/orders/saved/end-users/new/",
        "saved-form",
        title=LONG_NAME,
        name="Harborview Annex",
        street_num="88",
        street="Pike St",
        city="Seattle",
        state="WA",
        zip="98101",
        account="206-555-0142-031",
    )
    staff.submit(
        "/orders/saved/routing/new/", "saved-form", title="Main trunk", voice_id="01HX0TRUNK"
    )
    found = re.search(r'href="(/orders/saved/end-users/\d+/)"', staff.get("/orders/saved/").text)
    assert found
    return found[1]


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    """The desk that is looked at; nothing on it moves by itself."""
    with running_desk(SANDBOX_OPTIONS="--speed 0 --activation-seconds 0.5") as desk:
        make_orders(desk)
        make_reader(desk)
        staff = Staff(desk)
        paths = {
            "wrong": order_path(staff, "HVD-2026-014"),
            "ready": order_path(staff, "PVC-0091"),
            "dated": order_path(staff, "CFO-main"),
            "canceling": order_path(staff, "QLA-9"),
            "canceled": order_path(staff, "KCA-9"),
            "done": order_path(staff, "FSF-3"),
            "causes": order_path(staff, "NUC-500"),
            "big": order_path(staff, "BIG-500"),
            "papers": order_path(staff, "OLP-main"),
            "long": order_path(staff, LONG_REFERENCE[:40]),
            "hosting": order_path(staff, "lakemont-text"),
            "rollout": order_path(staff, "clinics-roll-out"),
            "refused": order_path(staff, "Bayside Vet"),
            "checked": order_path(staff, "Orchard Lane texting"),
            "imported": number_path(staff, "imported", "/hosting/imported/"),
            "proof": number_path(staff, "qualified", "/hosting/qualified/?state=ELIGIBLE"),
            "fit": staff.draft("DRAFT-1", ["206 555 0142", "206 555 0143", "425 555 0118"]),
        }
        paths["check"] = check_many_numbers(staff)
        paths["profile"] = save_an_end_user(staff)
        kept = paths["profile"].removeprefix("/orders/saved/")
        paths["fill"] = f"{paths['fit']}use/{kept}"
        answer = staff.submit(
            "/orders/new/",
            "draft-form",
            action="check",
            numbers="206-555-0152\n206-555-015\nhello\n206 555 0199\n+44 20 7946 0000",
            name="Harborview Dental LLC",
            state="WAS",
            zip="981",
            port_date="2020-01-01",
            signed_on="2099-01-01",
        )
        paths["unfit"] = answer.url.removeprefix(desk.address).partition("?")[0]
        paths["list"] = staff.add_list("sites.csv", LIST)
        paths["columns"] = staff.add_list("sites, with managers.csv", LIST_TO_ASK_ABOUT)
        for name, word in (("list", "To correct"), ("columns", "Look at the columns")):
            wait_for(lambda n=name, w=word: w in staff.get(paths[n]).text, 20, word)
        paths["unread"] = staff.add_list("broken.csv", b'Number,Name\r\n2065550142,"Pike\r\n' * 2)
        wait_for(lambda: "Not read" in staff.get(paths["unread"]).text, 20, "a refused list")
        staff.submit(paths["dated"], "composer", note="Is the date still good?", sure="yes")
        key = wait_for(lambda: re.search(r'href="(/operations/[^"]+)"', staff.get("/").text))
        paths["written"] = key[1]
        papers = re.search(r'href="(/orders/\d+/documents/\d+/)"', staff.get(paths["papers"]).text)
        assert papers
        paths["paper"] = papers[1]
        wait_for(lambda: "Arrived at Sinch" in staff.get(paths["written"]).text, 20)
        # Two carriers, two orders; Sinch refuses one of them.
        paths["parts"] = staff.draft("DRAFT-3", ["206 555 0147", "425 555 0117"])
        fault = {"kind": "402", "operation": "orderPortIn", "times": "1"}
        desk.ask_sandbox("faults", fault)
        staff.submit(paths["parts"], "draft-form", action="send")
        wait_for(lambda: "1 of 2 orders made" in staff.get(paths["parts"]).text, 20)
        waiting = staff.draft("DRAFT-2", ["206 555 0144", "206 555 0145"])
        # Sinch asks us to wait for an hour: from here on nothing goes out.
        fault = {"kind": "429", "operation": "orderPortIn", "retry_after": "3600", "times": ""}
        desk.ask_sandbox("faults", fault)
        staff.submit(waiting, "draft-form", action="send")
        paths["sending"] = waiting
        delivery = re.search(r'href="(\?[^"]*d=\d+)', staff.get("/webhooks/log/").text)
        assert delivery
        paths["delivery"] = "/webhooks/log/" + delivery[1].replace("&amp;", "&")
        yield Stage(desk, paths)


# --- What is looked at ------------------------------------------------------------------------


def check_an_edit(page: Page) -> None:
    page.get_by_label("City").first.fill("Seattle")
    page.get_by_role("button", name="Check the changes").click()
    page.get_by_role("heading", level=1, name="What this edit will change").wait_for()


def see_the_fix(page: Page) -> None:
    page.get_by_role("heading", level=2, name="Fix PIN on").wait_for()
    open_everything(page)


def open_everything(page: Page) -> None:
    page.evaluate(OPEN_ALL)


def write_to_sinch(page: Page) -> None:
    page.locator("#composer").get_by_role("textbox").fill("The lobby line stays where it is.")
    page.get_by_role("button", name="Check and send to Sinch…").click()
    page.get_by_text("Send this to Sinch?").wait_for()


def ask_about_all(page: Page) -> None:
    page.get_by_role("button", name=re.compile("^Activate .*…$")).click()
    page.get_by_role("heading", level=2, name=re.compile("^Activate .* now")).wait_for()


def check_what_cannot_be_read(page: Page) -> None:
    page.get_by_label("Numbers", exact=True).fill("206 555 0142\nhello\n206 555 01")
    page.get_by_role("button", name="Check portability").click()
    page.get_by_text("2 lines could not be read").wait_for()


def save_what_is_wrong(page: Page) -> None:
    page.get_by_label("ZIP").fill("981")
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_text("5 digits, such as 98101").first.wait_for()
    open_everything(page)


def open_keys(page: Page) -> None:
    page.keyboard.press("?")
    page.get_by_role("dialog", name="Keyboard").wait_for()


@dataclass(frozen=True)
class Look:
    """A page to look at: its address (or a key of the stage's), who looks, and what is done."""

    path: str
    who: str = USERNAME
    status: int = 200
    after: Callable[[Page], None] | None = None
    is_refused: bool = False  # what is done is answered 422, which the browser notes


LOOKS = {
    "home": Look("/"),
    "list": Look("/work/"),
    "list with its menus open": Look("/work/?bucket=us", after=open_everything),
    "list without a match": Look("/work/?q=zebra"),
    "new order": Look("/orders/new/"),
    "draft with problems": Look("unfit"),
    "draft ready to send": Look("fit", after=open_everything),
    "draft being sent": Look("sending"),
    "draft sent as several orders": Look("parts"),
    "draft with a list": Look("list", after=open_everything),
    "draft with a list that is not read": Look("unread"),
    "list with rows to correct": Look("list list/"),
    "list with a row opened": Look("list list/?show=all&open=2"),
    "list whose columns are asked": Look("columns list/"),
    "list that is not read": Look("unread list/"),
    "order that is rejected": Look("wrong"),
    "order with everything open": Look("wrong", after=open_everything),
    "order with a note to be sent": Look("wrong", after=write_to_sinch),
    "order with a note from a template": Look("wrong ?template=d1#composer"),
    "new order for refused numbers": Look("wrong follow-up/"),
    "order that is ready": Look("ready"),
    "order with a write that arrived": Look("dated"),
    "order that is being canceled": Look("canceling"),
    "order that is canceled": Look("canceled"),
    "order that is done": Look("done"),
    "order of 500 numbers by cause": Look("causes"),
    "order of 500 numbers one by one": Look("big ?view=rows"),
    "number of an order": Look("wrong numbers/12535550130/"),
    "order with long words": Look("long"),
    "order as Sinch sent it": Look("wrong raw/"),
    "edit": Look("wrong edit/"),
    "edit opened at a refusal": Look("wrong edit/?fix=pin", after=see_the_fix),
    "edit that is not possible": Look("done edit/"),
    "edit to be reviewed": Look("wrong edit/", after=check_an_edit),
    "activation": Look("ready activate/"),
    "activation that is not possible": Look("wrong activate/"),
    "activations": Look("/orders/activations/?all=yes", after=open_everything),
    "activations asked about": Look("/orders/activations/?all=yes", after=ask_about_all),
    "note templates": Look("/orders/templates/"),
    "documents": Look("papers documents/"),
    "documents of a long order": Look("long documents/"),
    "documents for a reader": Look("papers documents/", who=READER),
    "document that only Sinch has": Look("paper"),
    "LOA": Look("wrong loa/"),
    "LOA of 500 numbers": Look("big loa/", after=open_everything),
    "LOA of a draft": Look("fit loa/"),
    "hand over": Look("wrong owner/"),
    "copy of an order": Look("wrong copy/"),
    "portability": Look("/orders/portability/"),
    "portability of lines that cannot be read": Look(
        "/orders/portability/", after=check_what_cannot_be_read, is_refused=True
    ),
    "portability of many numbers": Look("check"),
    "portability with its menus open": Look("check ?carrier=Lumen", after=open_everything),
    "portability without a match": Look("check ?verdict=no&q=999"),
    "saved for new orders": Look("/orders/saved/"),
    "saved end user that is wrong": Look("profile", after=save_what_is_wrong, is_refused=True),
    "saved routing": Look("/orders/saved/routing/new/", after=open_everything),
    "saved end user to be used": Look("fill"),
    "operation": Look("written"),
    "new hosting order": Look("/hosting/new/"),
    "text-enable order": Look("/hosting/new/text-enable/", after=open_everything),
    "toll-free order": Look("/hosting/new/toll-free/"),
    "import": Look("/hosting/new/import/", after=open_everything),
    "hosting order": Look("hosting"),
    "hosting order with everything open": Look("hosting", after=open_everything),
    "hosting order of 500 numbers": Look("rollout"),
    "hosting order for a reader": Look("rollout", who=READER),
    "hosting order that is refused": Look("refused", after=open_everything),
    "hosting order that Sinch is checking": Look("checked"),
    "number of a hosting order": Look("rollout numbers/19295560095/"),
    "imported numbers": Look("/hosting/imported/", after=open_everything),
    "imported numbers without a match": Look("/hosting/imported/?q=9999999"),
    "imported number": Look("imported", after=open_everything),
    "one import": Look("/hosting/imported/new/"),
    "qualified numbers": Look("/hosting/qualified/", after=open_everything),
    "qualified number": Look("proof", after=open_everything),
    "qualifying": Look("/hosting/qualified/add/"),
    "how complete hosting is": Look("/hosting/overview/"),
    "settings with everything open": Look("/settings/", after=open_everything),
    "change of password": Look("/settings/password/"),
    "webhook log": Look("/webhooks/log/"),
    "webhook log with a delivery open": Look("delivery"),
    "health": Look("/health/"),
    "components": Look("/components/"),
    "keyboard": Look("/", after=open_keys),
    "nothing here": Look("/not-here/", status=404),
    "not allowed": Look("/orders/new/", who=READER, status=403),
    "order for a reader": Look("wrong", who=READER),
    "portability for a reader": Look("check", who=READER),
    "start of portability for a reader": Look("/orders/portability/", who=READER),
    "saved for a reader": Look("/orders/saved/", who=READER),
    "settings for a reader": Look("/settings/", who=READER),
    "sign-in": Look("/sign-in/", who=""),
}


class Eyes:
    """Somebody's browser window, used for page after page."""

    def __init__(self, browser: Browser, desk: RunningDesk, who: str, **options: Any) -> None:
        """Open the window and sign in."""
        context = browser.new_context(
            base_url=desk.address, reduced_motion="reduce", color_scheme="light", **options
        )
        context.set_default_timeout(10_000)
        self.complaints: list[str] = []
        self.page = context.new_page()
        self.page.on("console", self._hear)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        if who:
            self.page.goto("/sign-in/")
            self.page.get_by_label("E-mail").fill(who)
            self.page.get_by_label("Password").fill(PASSWORD)
            self.page.get_by_role("button", name="Sign in").click()
            self.page.wait_for_url(lambda url: "/sign-in/" not in url)

    def _hear(self, message: Any) -> None:
        if message.type == "error":
            self.complaints.append(message.text)

    def go(self, path: str) -> Response:
        """Open a page, with nothing to complain about yet."""
        self.complaints.clear()
        answer = self.page.goto(path)
        assert answer
        return answer

    def axe(self, *rules: str) -> list[Any]:
        """Return what axe finds serious on the page as it is now; all rules, or some of them."""
        if not self.page.evaluate("'axe' in window"):
            self.page.evaluate(AXE_SCRIPT)
        found = self.page.evaluate(AXE, list(rules) or None)
        return [wrong for wrong in found if wrong["impact"] in SERIOUS]


@pytest.fixture(scope="module")
def eyes(stage: Stage, browser: Browser) -> Iterator[Callable[[str, str], Eyes]]:
    """Give the window of a person at a width, the same one each time."""
    windows: dict[tuple[str, str], Eyes] = {}

    def of(who: str, width: str) -> Eyes:
        if (who, width) not in windows:
            options: dict[str, Any] = {"viewport": WIDE}
            if width == "narrow":
                options = {"viewport": NARROW, "has_touch": True}
            windows[who, width] = Eyes(browser, stage.desk, who, **options)
        return windows[who, width]

    yield of
    for window in windows.values():
        window.page.context.close()


@pytest.mark.parametrize("width", ["wide", "narrow"])
@pytest.mark.parametrize("name", LOOKS)
def test_a_page_holds_together_in_the_light_and_in_the_dark(
    stage: Stage, eyes: Callable[[str, str], Eyes], name: str, width: str
) -> None:
    look = LOOKS[name]
    window = eyes(look.who, width)
    page = window.page
    first, _, rest = look.path.partition(" ")
    # Every rule once in each theme; what depends on the theme alone is looked at twice.
    page.emulate_media(color_scheme="light" if width == "wide" else "dark")
    answer = window.go(stage.paths.get(first, first) + rest)
    assert answer.status == look.status
    if look.after:
        look.after(page)
    assert page.locator("h1").count() == 1
    assert re.fullmatch(r"\S.* · Porting portal", page.title())
    assert page.evaluate(TOO_WIDE) == []
    assert window.axe() == []
    if width == "wide":
        page.emulate_media(color_scheme="dark")
        assert window.axe("color-contrast") == []
    refused = "Failed to load resource" if look.status >= 400 or look.is_refused else None
    assert [text for text in window.complaints if not (refused and refused in text)] == []


def test_signing_out_leads_to_the_sign_in_page(stage: Stage, browser: Browser) -> None:
    window = Eyes(browser, stage.desk, USERNAME, viewport=WIDE)
    window.page.get_by_role("button", name="Sign out").click()
    window.page.get_by_label("Password").wait_for()
    assert window.page.goto("/settings/")
    assert "/sign-in/" in window.page.url
    assert window.complaints == []
    window.page.context.close()


def test_an_order_fits_on_paper_without_its_controls(
    stage: Stage, eyes: Callable[[str, str], Eyes]
) -> None:
    window = eyes(USERNAME, "wide")
    window.go(stage.paths["long"])
    window.page.emulate_media(media="print")
    assert not window.page.locator(".topbar").is_visible()
    assert not window.page.get_by_role("button").filter(visible=True).count()
    assert window.page.pdf().startswith(b"%PDF")
    window.page.emulate_media(media="screen")
