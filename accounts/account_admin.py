"""Accounts in the admin: added and changed through `accounts.registration`, acted on with a reason.

Secrets go one way. Their fields are always empty when the page is shown, also after an error; nothing reads them back.
Of an account that is there they are replaced on a page of their own.
"""

from typing import Any

from django import forms
from django.contrib import admin
from django.db import transaction
from django.http import HttpRequest
from unfold.widgets import UnfoldAdminTextInputWidget

from accounts.admin_actions import ACCOUNT_ACTIONS
from accounts.admin_columns import CONNECTION, STATE
from accounts.admin_panels import ACCOUNT_PANELS
from accounts.admin_secrets import PROXY_HELP, REPLACE_SECRETS, SECRETS, secret_field
from accounts.models import Account, SealedSecret
from accounts.registration import register_account, update_account
from accounts.vault import VaultError
from identity.back_office import ADMIN_SOURCE, DeskModelAdmin, amount, money, trimmed
from trading.errors import InvalidValue

LIMITS = ("max_order", "max_position", "max_notional_per_day")
STANDING = (
    STATE, "state_reason", "mode", "proxy_label", CONNECTION, "connection_at", "reconciled_at",
    amount("collateral"), amount("reserved", "reserved, of the collateral"), "balance_at", "sealed_kinds",
    "created_at", "updated_at",
)  # fmt: skip


class AccountForm(forms.ModelForm):  # type: ignore[type-arg]
    """The account as a person gives it. What `accounts.registration` refuses, it refuses here with the same words."""

    private_key = secret_field("Private key", "64 hex digits. Sealed at once; nobody can read it back here.")
    api_key = secret_field("API key", "The venue's key for this account, if it wants one.")
    proxy_url = secret_field("Proxy", PROXY_HELP)
    reason = forms.CharField(
        min_length=3,
        max_length=255,
        widget=UnfoldAdminTextInputWidget(attrs={"autocomplete": "off"}),
        help_text="Why it is changed. Kept in the audit log.",
    )

    person: Any = None

    class Meta:
        model = Account
        fields = ("name", "platform", "signer_kind", "address", "tags", "notes", *LIMITS)
        widgets = {"tags": UnfoldAdminTextInputWidget}
        help_texts = {"tags": "Separated by commas."}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "address" in self.fields:
            self.fields["address"].required = False
            self.fields["address"].help_text = "Only for a smart account; a wallet's own follows from its key."
        if "max_notional_per_day" in self.fields:
            self.fields["max_notional_per_day"].help_text = "Price × size of a UTC day's orders, in collateral."
        if self.instance._state.adding:
            self.fields["private_key"].required = True
            del self.fields["reason"]
        else:
            self.initial.update({name: trimmed(self.initial.get(name)) for name in LIMITS})
            for name in SECRETS:
                self.fields.pop(name, None)

    def _get_validation_exclusions(self) -> set[str]:
        """Registration checks name and address, and says more than a uniqueness error would."""
        return {*super()._get_validation_exclusions(), "address", "name"}  # type: ignore[misc]

    def clean(self) -> dict[str, Any]:
        """Carry it out and take it back: whatever would be refused is refused now, with its reason."""
        data: dict[str, Any] = super().clean() or {}
        if self.errors:
            return data
        try:
            with transaction.atomic():
                self.carry_out(data)
                transaction.set_rollback(True)
        except (InvalidValue, VaultError) as error:
            self.add_error(None, str(error))
        return data

    def carry_out(self, data: dict[str, Any]) -> Account:
        """Register or update the account; raises InvalidValue or VaultError."""
        limits = {name: data.get(name) for name in LIMITS}
        if self.instance._state.adding:
            return register_account(
                name=data["name"],
                platform=data["platform"],
                signer_kind=data["signer_kind"],
                address=data.get("address") or "",
                tags=data.get("tags") or (),
                notes=data.get("notes") or "",
                private_key=data["private_key"],
                api_key=data.get("api_key") or "",
                proxy_url=data.get("proxy_url") or "",
                by=self.person,
                source=ADMIN_SOURCE,
                **limits,
            )
        return update_account(
            self.instance.pk,
            by=self.person,
            name=data["name"],
            tags=data.get("tags") or (),
            notes=data.get("notes") or "",
            limits=limits,
            reason=data["reason"],
            source=ADMIN_SOURCE,
        )


class AccountAdmin(DeskModelAdmin):
    """The fleet. An account is never deleted: its orders and fills stay in the books; halt it instead."""

    form = AccountForm
    list_display = (
        "name", STATE, "state_reason", CONNECTION, money("collateral", "collateral"), money("reserved"), "platform",
        "connection_at", "balance_at", "reconciled_at", "proxy_label",
    )  # fmt: skip
    list_filter = ("platform", "state", "connection", "mode", "signer_kind")
    search_fields = ("name", "address", "owner_address", "tags")
    readonly_fields = STANDING
    panels = ACCOUNT_PANELS
    reasoned = (*ACCOUNT_ACTIONS, REPLACE_SECRETS)

    def get_fieldsets(self, request: HttpRequest, obj: Account | None = None) -> list[Any]:
        sections: list[Any] = [
            (None, {"fields": ["name", "platform", "signer_kind", "address", *(["owner_address"] if obj else [])]}),
            ("Limits: empty for none", {"fields": [*LIMITS]}),
            ("Notes", {"fields": ["tags", "notes"]}),
        ]
        if obj is None:
            return [*sections, ("Secrets: written, never shown", {"fields": [*SECRETS]})]
        why = [(None, {"fields": ["reason"]})] if self.has_change_permission(request, obj) else []
        return [*sections, *why, ("Standing", {"fields": [*STANDING]})]

    def get_readonly_fields(self, request: HttpRequest, obj: Account | None = None) -> tuple[Any, ...]:
        return (*STANDING, "platform", "signer_kind", "address", "owner_address") if obj else STANDING

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form = super().get_form(request, obj, change=change, **kwargs)
        return type("PersonsAccountForm", (form,), {"person": request.user})

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: Account, form: AccountForm, change: bool) -> None:
        saved = form.carry_out(form.cleaned_data)
        obj.pk = saved.pk
        obj._state.adding = False

    def construct_change_message(self, request: HttpRequest, form: Any, formsets: Any, add: bool = False) -> list[Any]:
        """Django's own history: that it changed. What changed is in the audit log, without any secret."""
        return [{"added": {}}] if add else [{"changed": {}}]

    @admin.display(description="sealed")
    def sealed_kinds(self, account: Account) -> str:
        kinds = SealedSecret.objects.filter(account=account).order_by("kind").values_list("kind", flat=True)
        return ", ".join(kind.replace("_", " ") for kind in kinds) or "nothing"
