"""Sinch projects and webhook tokens in the admin. No secret is ever shown here."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from portal.accounts.forms import AsOpened
from portal.accounts.models import SinchProject, User, WebhookToken
from portal.operations import readings
from portal.projects import actions, callbacks, configuration


class SinchProjectForm(AsOpened):
    """A project whose key secret can be set and never read."""

    new_secret = forms.CharField(
        label="Access key secret",
        required=False,
        strip=True,
        max_length=500,
        widget=forms.PasswordInput(render_value=False, attrs={"autocomplete": "new-password"}),
        help_text="Leave empty to keep the present one. It is never shown.",
    )

    class Meta:
        model = SinchProject
        fields = ["name", "project_id", "key_id", "new_secret", "expects_loa", "is_active"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self._is_lost:
            self.fields["new_secret"].help_text = (
                "The present one cannot be read: no key in ENCRYPTION_KEYS decrypts it. Put the "
                "old key back there, or type a secret."
            )

    @property
    def _is_lost(self) -> bool:
        return self.instance.pk is not None and self.instance.key_secret is None

    def clean_key_id(self) -> str:
        """No id of a key holds a colon, which ends it where it is sent."""
        key_id: str = self.cleaned_data["key_id"]
        if ":" in key_id:
            raise forms.ValidationError(
                "An access key id has no colon. Put what follows the colon into the field of the "
                "secret."
            )
        return key_id

    def clean_new_secret(self) -> str:
        """A new project needs its secret; a present one may keep it."""
        secret: str = self.cleaned_data["new_secret"]
        if not secret and self.instance.pk is None:
            raise forms.ValidationError("A new project needs its secret.")
        return secret

    def save(self, commit: bool = True) -> SinchProject:
        """Store the project; a secret that was typed replaces the present one."""
        if secret := self.cleaned_data["new_secret"]:
            self.instance.key_secret = secret
            self.instance.key_changed_at = timezone.now()
        project: SinchProject = super().save(commit=commit)
        return project

    @property
    def columns(self) -> list[str]:
        """The columns that somebody has changed with it."""
        secret = ["key_secret", "key_changed_at"] if self.cleaned_data["new_secret"] else []
        typed = [name for name in self.changed_data if name not in ("new_secret", "was")]
        return typed + secret


@admin.register(SinchProject)
class SinchProjectAdmin(admin.ModelAdmin):
    """Sinch projects, with their key secret write-only."""

    form = SinchProjectForm
    list_display = ["name", "project_id", "is_active", "discovered_at"]
    readonly_fields = ["key_changed_at", "discovered_at", "porting_configuration_read_at"]
    actions = ["test_connection", "make_token"]

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        """Orders hang on a project: it is made inactive instead."""
        return False

    def save_model(self, request: HttpRequest, obj: SinchProject, form: Any, change: bool) -> None:
        """Store the project; one in use is made ready to be called back by Sinch."""
        # Workers and the settings page write the other columns of a project meanwhile.
        obj.save(update_fields=form.columns if change else None)
        if obj.is_active:
            callbacks.prepare(obj, "staff")
            if change and "is_active" in form.changed_data:
                readings.take_up(obj)
        if change and "expects_loa" in form.changed_data:
            configuration.count_anew(obj)

    @admin.action(description="Test the connection to Sinch", permissions=["change"])
    def test_connection(self, request: HttpRequest, projects: QuerySet[SinchProject]) -> None:
        """Have each project's configuration read by a worker."""
        assert isinstance(request.user, User)
        for project in projects:
            actions.test_connection(project, by=request.user)
        messages.info(request, "The workers are asking Sinch; the settings page shows the answer.")

    @admin.action(description="Make a new webhook token", permissions=["change"])
    def make_token(self, request: HttpRequest, projects: QuerySet[SinchProject]) -> None:
        """Make a further token for each project, as long as fewer than two are valid."""
        assert isinstance(request.user, User)
        for project in projects:
            try:
                actions.make_token(project, by=request.user)
            except actions.NotPossible as reason:
                messages.error(request, f"{project}: {reason}")
            else:
                messages.success(request, f"{project}: a new token is made and valid.")


@admin.register(WebhookToken)
class WebhookTokenAdmin(admin.ModelAdmin):
    """Which webhook tokens there are; the tokens themselves stay out of it."""

    list_display = ["project", "kind", "created_at", "retired_at"]
    list_select_related = ["project"]
    list_filter = ["kind", "project"]
    fields = ["project", "kind", "created_at", "retired_at"]
    readonly_fields = ["project", "kind", "created_at", "retired_at"]
    actions = ["end"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Tokens are made by the action on a project."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        """A token is ended, not deleted: its history stays."""
        return False

    @admin.action(description="End these tokens now", permissions=["change"])
    def end(self, request: HttpRequest, tokens: QuerySet[WebhookToken]) -> None:
        """End each token, but never the last valid one of a project."""
        assert isinstance(request.user, User)
        for token in tokens.select_related("project"):
            try:
                actions.end_token(token.project, token.pk, by=request.user)
            except actions.NotPossible as reason:
                messages.error(request, f"{token}: {reason}")
