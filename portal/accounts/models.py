"""People of the desk, and the Sinch projects they work on."""

import hashlib
import secrets
from datetime import date

from django.contrib.auth.models import AbstractUser
from django.db import models
from django.utils import timezone

from portal.crypto import EncryptedTextField


class User(AbstractUser):
    """Somebody who works at the desk."""

    time_zone = models.CharField(max_length=40, default="US/Eastern")

    class Meta(AbstractUser.Meta):
        permissions = [
            ("send_to_sinch", "Can send orders, changes, notes and documents to Sinch"),
            ("reveal_secrets", "Can look at port-out PINs and account numbers"),
            ("manage_project", "Can change what a Sinch project is set to"),
            ("read_deliveries", "Can read the webhook log"),
        ]

    @property
    def short_name(self) -> str:
        """What colleagues are shown: the full name, else the user name."""
        return self.get_full_name() or self.username

    @property
    def initials(self) -> str:
        """Two letters for the round mark in the top bar."""
        parts = self.get_full_name().split() or [self.username[:1], self.username[1:2]]
        return "".join(part[:1] for part in (parts[0], parts[-1]) if part).upper()


class SinchProject(models.Model):
    """One project at Sinch, with the key the desk uses for it."""

    name = models.CharField(max_length=100)
    project_id = models.CharField("Sinch project id", max_length=64, unique=True)
    key_id = models.CharField("access key id", max_length=100)
    key_secret = EncryptedTextField("access key secret")
    key_changed_at = models.DateTimeField(default=timezone.now, editable=False)
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)
    # The porting configuration as last read; its webhook address may hold our token.
    porting_configuration = models.JSONField(null=True, blank=True, editable=False)
    porting_configuration_read_at = models.DateTimeField(null=True, editable=False)
    # Days off beside the public holidays: [{"day": "2026-12-24", "name": "Christmas Eve"}].
    days_off = models.JSONField(default=list, blank=True)
    expects_loa = models.BooleanField("port-in orders need an LOA", default=True)
    # Numbers in one import order; the account manager may raise it.
    import_limit = models.PositiveSmallIntegerField("numbers in one import order", default=5)
    # Addresses callbacks may come from, as text: "54.76.19.159" or "10.0.0.0/8"; any when empty.
    callback_sources = models.JSONField(default=list, blank=True)
    # The signing secret of hosting callbacks that Sinch had when it was last asked, as a hash.
    callback_secret_hash = models.CharField(max_length=64, blank=True, editable=False)
    callback_configuration_read_at = models.DateTimeField(null=True, editable=False)
    # When all hosting lists of the project were last walked from end to end.
    hosting_walked_at = models.DateTimeField(null=True, editable=False)
    # How complete the mirror is: when the list at Sinch was last walked from end to end.
    discovered_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        verbose_name = "Sinch project"
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    @property
    def default_port_time(self) -> str:
        """The project's default time as `HH:MM`, from its configuration, else Sinch's 09:00."""
        return self._configured("defaultPortTime", "09:00")[:5]

    @property
    def default_port_time_zone(self) -> str:
        """The project's default zone, else Sinch's US/Eastern."""
        return self._configured("defaultPortTimeZone", "US/Eastern")

    def _configured(self, name: str, default: str) -> str:
        found = (self.porting_configuration or {}).get(name)
        return found if isinstance(found, str) and found else default

    @property
    def extra_days_off(self) -> dict[date, str]:
        """The days off beside the public holidays, with their names, earliest first."""
        found = {date.fromisoformat(row["day"]): str(row["name"]) for row in self.days_off}
        return dict(sorted(found.items()))


class WebhookToken(models.Model):
    """The secret part of a webhook address: found by its hash, shown from its encrypted copy.

    Two may be valid at once, so that an address can be changed without losing an event.
    """

    project = models.ForeignKey(SinchProject, on_delete=models.CASCADE, related_name="tokens")
    kind = models.CharField(max_length=16, default="porting")
    token_hash = models.CharField(max_length=64, unique=True)
    token = EncryptedTextField()
    created_at = models.DateTimeField(auto_now_add=True)
    retired_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"{self.kind} token of {self.project}, made {self.created_at:%Y-%m-%d}"

    @staticmethod
    def hash_of(token: str) -> str:
        """Return what a token is found by."""
        return hashlib.sha256(token.encode()).hexdigest()

    @classmethod
    def make(cls, project: SinchProject, kind: str = "porting") -> "WebhookToken":
        """Make and store a token of 256 random bits."""
        token = secrets.token_urlsafe(32)
        return cls.objects.create(
            project=project, kind=kind, token=token, token_hash=cls.hash_of(token)
        )


class CallbackSecret(models.Model):
    """A secret that signs hosting callbacks: stored encrypted, several valid at once.

    A new one is valid from the moment it is made, before Sinch has heard of it, and an old one for
    a while after it was replaced, so that a rotation loses no event.
    """

    project = models.ForeignKey(
        SinchProject, on_delete=models.CASCADE, related_name="callback_secrets"
    )
    secret = EncryptedTextField()
    secret_hash = models.CharField(max_length=64)
    created_at = models.DateTimeField(default=timezone.now)
    set_at = models.DateTimeField(null=True)  # when Sinch accepted it
    retired_at = models.DateTimeField(null=True, blank=True)  # not valid from then on

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["project", "secret_hash"], name="a_callback_secret_once"
            ),
        ]

    def __str__(self) -> str:
        return f"Callback secret of {self.project}, made {self.created_at:%Y-%m-%d}"

    @staticmethod
    def hash_of(secret: str) -> str:
        """Return what a secret is compared by without decrypting it."""
        return hashlib.sha256(secret.encode()).hexdigest()

    @classmethod
    def make(cls, project: SinchProject, secret: str = "") -> "CallbackSecret":
        """Make and store a secret, of 256 random bits when none is given."""
        secret = secret or secrets.token_urlsafe(32)
        return cls.objects.create(project=project, secret=secret, secret_hash=cls.hash_of(secret))
