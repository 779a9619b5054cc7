"""Replacing an account's secrets from the admin: written, sealed at once, never shown. Built on `update_account`."""

from collections.abc import Iterable
from typing import Any

from django import forms
from django.http import HttpRequest
from unfold.widgets import UnfoldAdminPasswordWidget, UnfoldBooleanWidget

from accounts.models import Account
from accounts.registration import update_account
from accounts.vault import VaultError
from identity.admin_actions import Given, ReasonedAction, ReasonForm
from identity.back_office import ADMIN_SOURCE, person_of
from identity.roles import Role

SECRETS = ("private_key", "api_key", "proxy_url")
PROXY_HELP = "http:// or socks5://user:password@host:port. The account never speaks without it."
KEEPS = "Empty: keep what is sealed."


def secret_field(label: str, text: str) -> forms.CharField:
    """An input that never shows what was typed, and that no browser remembers."""
    widget = UnfoldAdminPasswordWidget(
        render_value=False, attrs={"autocomplete": "new-password", "spellcheck": "false"}
    )
    return forms.CharField(label=label, required=False, strip=True, max_length=2_000, widget=widget, help_text=text)


class SecretsForm(ReasonForm):
    """New secrets in place of the sealed ones. Empty keeps what is sealed."""

    private_key = secret_field("Private key", f"64 hex digits, of the same address. {KEEPS}")
    api_key = secret_field("API key", KEEPS)
    remove_api_key = forms.BooleanField(required=False, label="Remove the API key", widget=UnfoldBooleanWidget)
    proxy_url = secret_field("Proxy", f"{PROXY_HELP} {KEEPS}")
    remove_proxy_url = forms.BooleanField(
        required=False,
        label="Remove the proxy",
        widget=UnfoldBooleanWidget,
        help_text="From then on the account speaks from this machine's own address.",
    )

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or {}
        if not any(data.get(name) for name in (*SECRETS, "remove_api_key", "remove_proxy_url")):
            raise forms.ValidationError("Nothing is replaced: type at least one secret, or mark one to be removed.")
        return data


def replace_secrets(request: HttpRequest, account: Account, given: Given) -> str:
    """An action's step for one account. Raises ValueError in words that repeat no secret."""
    try:
        update_account(
            account.pk,
            by=person_of(request),
            private_key=given["private_key"] or None,
            api_key=given["api_key"] or ("" if given["remove_api_key"] else None),
            proxy_url=given["proxy_url"] or ("" if given["remove_proxy_url"] else None),
            reason=given["reason"],
            source=ADMIN_SOURCE,
        )
    except VaultError as error:
        raise ValueError(str(error)) from None
    return f"{account.name}: sealed. The engine signs and connects with it within seconds."


def tell_sealed(account: Account, given: Given) -> Iterable[str]:
    """What is sealed, since when, with which vault key; never the secret."""
    sealed = list(account.secrets.defer("sealed").order_by("kind"))
    for secret in sealed:
        given_at = f"{secret.created_at:%Y-%m-%d %H:%M} UTC"
        yield f"{secret.kind.replace('_', ' ')}: given {given_at}, sealed with vault key {secret.vault_key}"
    if not sealed:
        yield "Nothing is sealed yet."


REPLACE_SECRETS = ReasonedAction(
    "replace_secrets",
    "Replace secrets",
    replace_secrets,
    role=Role.ADMIN,
    form=SecretsForm,
    preview=tell_sealed,
    in_lists=False,
    is_grave=True,
    warning="What is typed here is sealed with the vault's public key, and no page, log or person can read it"
    " back. The old one is overwritten and cannot be brought back. A wallet's private key cannot be rotated to"
    " another: its address follows from it.",
)
