"""What may go to Sinch as a document: decided by the content, never by the name."""

import io
import re
import struct
import unicodedata
import warnings
from dataclasses import dataclass
from pathlib import PurePosixPath

from PIL import Image, UnidentifiedImageError
from pypdf import PdfReader
from pypdf.errors import PyPdfError

MOST_BYTES = 10 * 1024 * 1024
MOST_DOCUMENTS = 50
MOST_AT_ONCE = 10
MOST_PIXELS = 80_000_000  # a scanned A3 page at 600 dpi is 70 million
LONGEST_NAME = 120

_IMAGES = {
    "JPEG": (".jpg", "image/jpeg"),
    "PNG": (".png", "image/png"),
    "TIFF": (".tif", "image/tiff"),
}
_SAME_TYPE = {".jpeg": ".jpg", ".tiff": ".tif"}
ACCEPTED = ".pdf,.jpg,.jpeg,.png,.tif,.tiff"


class NotAccepted(ValueError):
    """Raised for a file that must not be sent; its text is the sentence for staff."""


@dataclass(frozen=True)
class CheckedDocument:
    """A file that was opened for real: a safe name with the right ending, bytes, media type."""

    name: str
    content: bytes
    content_type: str


def check(name: str, content: bytes | None) -> CheckedDocument:
    """Return the document under a safe name; `content` None stands for one too large to read.

    Raises NotAccepted with what to do about it.
    """
    if content == b"":
        raise NotAccepted("The file is empty. Choose it again.")
    if content is None or len(content) > MOST_BYTES:
        raise NotAccepted("The file is larger than 10 MB. Scan it in grey or send it in parts.")
    if content.startswith((b"MZ", b"\x7fELF", b"#!", b"\xcf\xfa\xed\xfe")):
        ending = PurePosixPath(name.replace("\\", "/")).suffix.lower() or "a document"
        raise NotAccepted(f"Named {ending}, but it is a program. Nothing was sent.")
    if content.startswith(b"%PDF-"):
        ending, content_type = _check_pdf(content)
    else:
        ending, content_type = _check_image(content)
    # A zip archive glued to the end opens as something else than what was looked at here.
    if b"PK\x05\x06" in content[-66_000:]:
        raise NotAccepted("Another file is hidden behind its end. Save it anew and add it again.")
    return CheckedDocument(safe_name(name, ending), content, content_type)


def _check_pdf(content: bytes) -> tuple[str, str]:
    if b"%%EOF" not in content[-2048:]:
        raise NotAccepted("The PDF is cut off. Save it anew and add it again.")
    try:
        reader = PdfReader(io.BytesIO(content), strict=False)
        if reader.is_encrypted:
            raise NotAccepted("The PDF is locked with a password; save it without and try again.")
        pages = len(reader.pages)
    except NotAccepted:
        raise
    except (
        *(PyPdfError, ValueError, LookupError, TypeError, AttributeError),
        *(RecursionError, AssertionError, ArithmeticError),
    ) as error:
        raise NotAccepted("The PDF does not open. Save it anew and add it again.") from error
    if not pages:
        raise NotAccepted("The PDF has no page. Choose another file.")
    return ".pdf", "application/pdf"


def _check_image(content: bytes) -> tuple[str, str]:
    wrong = "Not a PDF, JPEG, PNG or TIFF. Save it as one of these and add it again."
    try:
        with warnings.catch_warnings():
            # Pillow only warns of an image that would fill the memory.
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(content), formats=list(_IMAGES))
            if image.width * image.height > MOST_PIXELS:
                raise NotAccepted("The picture is larger than any page. Scan it smaller.")
            kind = image.format or ""
            image.load()
    except UnidentifiedImageError as error:
        raise NotAccepted(wrong) from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise NotAccepted("The picture is larger than any page. Scan it smaller.") from error
    # A picture made to do harm brings Pillow out of step in more ways than it names.
    except (
        *(OSError, SyntaxError, ValueError, TypeError, LookupError),
        *(EOFError, struct.error),
    ) as error:
        raise NotAccepted("The picture does not open. Save it anew and add it again.") from error
    return _IMAGES[kind]


def safe_name(name: str, ending: str) -> str:
    """Return a file name without folders or odd characters, ending as its content asks."""
    last = PurePosixPath(name.replace("\\", "/")).name
    text = unicodedata.normalize("NFC", last)
    text = "".join(c for c in text if unicodedata.category(c)[0] != "C")
    text = re.sub(r"[<>:\"/|?*;%&$`']+", " ", text)
    text = re.sub(r"\s+", " ", text).strip(" .")
    stem, dot, given = text.rpartition(".")
    given = f".{given.lower()}" if dot else ""
    if _SAME_TYPE.get(given, given) == ending:
        text, ending = stem, given
    return f"{text[: LONGEST_NAME - len(ending)].strip(' .') or 'document'}{ending}"


_MARKS = {
    b"%PDF-": "application/pdf",
    b"\xff\xd8\xff": "image/jpeg",
    b"\x89PNG": "image/png",
    b"II*\x00": "image/tiff",
    b"MM\x00*": "image/tiff",
}


def media_type(content: bytes) -> str:
    """Return what bytes are, by how they begin; anything unknown is to be downloaded only."""
    found = (kind for mark, kind in _MARKS.items() if content.startswith(mark))
    return next(found, "application/octet-stream")


def as_png(content: bytes) -> bytes:
    """Return the first page of a picture that browsers cannot show, small enough for a screen.

    Raises NotAccepted when it does not open.
    """
    _check_image(content)
    out = io.BytesIO()
    with Image.open(io.BytesIO(content), formats=list(_IMAGES)) as image:
        page = image.convert("L" if image.mode in ("1", "L", "I;16") else "RGB")
        page.thumbnail((1600, 1600))
        page.save(out, "PNG")
    return out.getvalue()
