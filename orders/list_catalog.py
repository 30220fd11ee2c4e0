"""What a column of a list can hold: titles of ours, the many titles of others, and what it means.

Most columns are fields of a draft by their names; a few are only ways to write such fields
("Street address in one", `locationType1` beside its value). Pure, no database.
"""

import re
from dataclasses import dataclass
from typing import Final

NUMBER: Final = "number"
ROW: Final = "row"  # in a file of corrected rows: the row each belongs to
WRONG: Final = "wrong"  # … and what was said about it, which is not read


@dataclass(frozen=True, slots=True)
class Column:
    """What a column can hold: its title in our template, what it means, and other titles of it.

    `like` holds titles as `squeezed` writes them; `example` is what stands in the template.
    """

    name: str
    title: str
    about: str = ""
    example: str = ""
    like: str = ""
    group: str = "Number"
    in_template: bool = True


_ALL: Final = (
    Column(
        NUMBER,
        "Number",
        "The number to move, in any spelling. The only column every list needs.",
        "206 555 0142",
        "phonenumber phonenumbers phone phones telephone telephonenumber tel telno tn tns did dids "
        "ddi msisdn e164 e164number line linenumber numbers numbertoport numberstoport "
        "portingnumber portnumber portednumber wtn ctn mdn mobile mobilenumber cell cellphone "
        "cellnumber fax faxnumber tollfree tollfreenumber workingtelephonenumber servicenumber",
    ),
    Column(
        "name",
        "Name on the bill",
        "The end user’s name exactly as the losing carrier has it.",
        "Pike Street Books LLC",
        "name endusername enduser customer customername company companyname business businessname "
        "accountname subscriber subscribername billname billingname nameonbill nameonaccount "
        "nameonthebill entityname organization organisation",
        "Service address",
    ),
    Column(
        "street_num",
        "Street number",
        "The house number of the service address.",
        "88",
        "streetnum streetno housenumber houseno addressnumber civicnumber sano stnum streetnr",
        "Service address",
    ),
    Column(
        "street",
        "Street",
        "The street of the service address, as in “Pike St”.",
        "Pike St",
        "streetname sasn road streetonly",
        "Service address",
    ),
    Column(
        "address",
        "Street address in one",
        "Number, street and unit in one cell, such as “88 Pike St Suite 210”.",
        "",
        "address address1 addressline1 addr addr1 streetaddress serviceaddress serviceaddress1 "
        "serviceaddressline1 serviceaddr serviceaddr1 addressline line1 installaddress "
        "locationaddress siteaddress street1 streetline1",
        "Service address",
        in_template=False,
    ),
    Column(
        "unit",
        "Unit",
        "Suite, floor or apartment, if there is one.",
        "Suite 210",
        "suite ste apt apartment floor room address2 addressline2 addr2 serviceaddress2 "
        "serviceaddressline2 locationvalue1 unitnumber street2 line2 location1",
        "Service address",
    ),
    Column(
        "city",
        "City",
        "",
        "Seattle",
        "town municipality servicecity locality",
        "Service address",
    ),
    Column(
        "state",
        "State",
        "Two letters, such as WA; a Canadian province works too.",
        "WA",
        "province stateprovince servicestate region prov stateorprovince",
        "Service address",
    ),
    Column(
        "zip",
        "ZIP",
        "5 digits, or a Canadian postal code such as K1A 0B1.",
        "98101",
        "zipcode postalcode postcode servicezip postal zippostalcode zippostal zip5 servicezipcode",
        "Service address",
    ),
    Column(
        "service",
        "Service",
        "B for business or R for residential.",
        "B",
        "typeofservice servicetype classofservice businessresidential businessorresidential "
        "resbus busres linetype customertype",
        "Service address",
    ),
    Column(
        "pin",
        "Port-out PIN",
        "From the losing carrier; wireless always needs one.",
        "",
        "pin existingportoutpin portoutpin transferpin passcode password securitycode accountpin "
        "portpin portingpin numbertransferpin npin",
        "At the losing carrier",
    ),
    Column(
        "account",
        "Account number",
        "The account at the losing carrier, from the latest bill.",
        "",
        "accountnum account accountno acct acctnum acctno acctnumber ban billingaccountnumber "
        "accountid an carrieraccountnumber",
        "At the losing carrier",
    ),
    Column(
        "btn",
        "BTN",
        "The number the losing carrier bills.",
        "206 555 0142",
        "accountphonenumber billingtelephonenumber billingnumber billingtn atn billingphone "
        "billingphonenumber mainnumber billingtelephone maintn",
        "At the losing carrier",
    ),
    Column(
        "signer",
        "Signer",
        "Who signed the LOA.",
        "Ada Renner",
        "authorizingname authname authorizedname authorizedperson authorizedby "
        "authorizeduser authorisedperson authorizedsigner signedby signername loasigner",
        "At the losing carrier",
    ),
    Column(
        "signed_on",
        "Signed on",
        "The day it was signed, such as 2026-06-18.",
        "2026-06-18",
        "authorizingdate datesigned loadate signeddate signaturedate authorizationdate "
        "dateofsignature loasigned",
        "At the losing carrier",
    ),
    Column(
        "new_pin",
        "New PIN",
        "The port-out PIN the number gets at Sinch.",
        "",
        "newportoutpin newpin newportpin",
        "At Sinch",
    ),
    Column(
        "voice",
        "Voice",
        "EST for a SIP trunk, RTC for an app, FAX for fax.",
        "EST",
        "voiceconfiguration voicetype voiceconfigurationtype",
        "At Sinch",
    ),
    Column(
        "voice_id",
        "Voice id",
        "The trunk, app or fax service the number goes to.",
        "01HX0TRUNK000000000000PIKE",
        "voiceconfigurationid routingid",
        "At Sinch",
    ),
    Column(
        "sms_app",
        "SMS app",
        "The app that gets the texts.",
        "pike-sms",
        "smsappid smsconfigurationsmsappid smsconfiguration messagingapp",
        "At Sinch",
    ),
    Column(
        "est",
        "SIP trunk id (EST)",
        "",
        "",
        "trunkid trunk siptrunk siptrunkid voiceconfigurationesttrunkid esttrunkid",
        "At Sinch",
        False,
    ),
    Column(
        "rtc",
        "App id (RTC)",
        "",
        "",
        "appid voiceapp voiceappid voiceconfigurationrtcappid rtcappid",
        "At Sinch",
        False,
    ),
    Column(
        "fax",
        "Fax service id",
        "",
        "",
        "serviceid faxservice faxserviceid voiceconfigurationfaxserviceid",
        "At Sinch",
        False,
    ),
    Column(
        "street_pre",
        "Direction before the street",
        "",
        "",
        "streetpredir predir predirection predirectional sapr",
        "Street in parts",
        False,
    ),
    Column(
        "street_type",
        "Type of street",
        "",
        "",
        "streettype streetsuffix sath thoroughfare",
        "Street in parts",
        False,
    ),
    Column(
        "street_post",
        "Direction after the street",
        "",
        "",
        "streetpostdir postdir postdirection postdirectional sass",
        "Street in parts",
        False,
    ),
    Column(
        "unit_type",
        "Kind of unit",
        "Suite, floor, apartment",
        "",
        "locationtype1 unittype",
        "Street in parts",
        False,
    ),
    Column("place2", "Second place", "", "", "locationvalue2 location2", "Street in parts", False),
    Column(
        "place2_type", "Kind of second place", "", "", "locationtype2", "Street in parts", False
    ),
    Column("place3", "Third place", "", "", "locationvalue3 location3", "Street in parts", False),
    Column("place3_type", "Kind of third place", "", "", "locationtype3", "Street in parts", False),
    Column(
        "e911_name",
        "E911 name",
        "Whom to look for at the emergency address.",
        "",
        "e911name",
        "Emergency address",
    ),
    Column(
        "e911_street_num",
        "E911 street number",
        "",
        "",
        "e911streetnum e911housenumber",
        "Emergency address",
    ),
    Column(
        "e911_street", "E911 street", "", "", "e911streetinfo e911streetname", "Emergency address"
    ),
    Column(
        "e911_location",
        "E911 location",
        "Suite or floor, if there is one.",
        "",
        "e911unit e911suite",
        "Emergency address",
    ),
    Column("e911_city", "E911 city", "", "", "e911town", "Emergency address"),
    Column("e911_state", "E911 state", "", "", "e911province", "Emergency address"),
    Column("e911_zip", "E911 ZIP", "", "", "e911postalcode e911zipcode", "Emergency address"),
    Column(
        "e911_zip4",
        "E911 ZIP, last four",
        "",
        "",
        "e911postalcodeplusfour e911plusfour",
        "Emergency address",
    ),
)
COLUMNS: Final = {column.name: column for column in _ALL}
# Only in files of corrected rows.
OF_CORRECTIONS: Final = {"row": ROW, "whatiswrong": WRONG}
_PREFIXES: Final = (
    *("", "enduser", "portoutinfo", "smsconfiguration"),
    *("voiceconfiguration", "service", "losingcarrier", "losing", "current", "customer", "svc"),
)


def squeezed(title: str) -> str:
    """Return the letters and digits of a title, small: "endUser.streetNum" → "enduserstreetnum"."""
    return re.sub(r"[^a-z0-9]+", "", title.lower())


def _titles() -> dict[str, str]:
    known: dict[str, str] = {}
    for column in _ALL:
        for like in (squeezed(column.title), squeezed(column.name), *column.like.split()):
            known.setdefault(like, column.name)
    return known


_BY_TITLE: Final = _titles()
_IGNORED: Final = frozenset(["number"])  # behind a prefix: "customer number" is no phone number


def column_of(title: str) -> str:
    """Return what a column with this title holds, "" when nobody can tell."""
    text = squeezed(title)
    if known := _BY_TITLE.get(text):
        return known
    for first in ("", "phonenumbers0", "phonenumbers"):
        for prefix in _PREFIXES:
            rest = text.removeprefix(first).removeprefix(prefix)
            if rest != text and rest not in _IGNORED and (known := _BY_TITLE.get(rest)):
                return known
    return ""
