"""The forms of the Accounts pages. A secret's field is always empty when shown, also after an error."""

from typing import Any

from django import forms

from accounts.registration import SIGNERS
from markets.fields import choices
from trading.enums import Platform, SignerKind, TradingState

WALLETS = {
    SignerKind.EOA: "The key's own wallet (EOA)",
    SignerKind.PREDICT_ACCOUNT: "Predict smart account",
    SignerKind.POLY_PROXY: "Polymarket proxy",
    SignerKind.POLY_SAFE: "Polymarket Safe",
}
"""What a person calls each kind of wallet."""


def secret_input() -> forms.PasswordInput:
    """An input that never shows what was typed, and that no browser remembers."""
    return forms.PasswordInput(render_value=False, attrs={"autocomplete": "new-password", "spellcheck": "false"})


class WhoForm(forms.Form):
    """The wizard's first step: which account this is."""

    name = forms.CharField(max_length=64, help_text="What pages and alerts call it.")
    platform = forms.ChoiceField(choices=choices(Platform), label="Venue")
    signer_kind = forms.ChoiceField(
        choices=[(kind.value, WALLETS[kind]) for kind in SignerKind],
        label="Kind of wallet",
        help_text="A smart account also needs its address below.",
    )
    address = forms.CharField(
        max_length=42, required=False, help_text="Only for a smart account; a wallet's own follows from its key."
    )
    tags = forms.CharField(max_length=300, required=False, help_text="Words with commas between them.")

    def clean(self) -> dict[str, Any]:
        """A kind the venue does not have, and a smart account without its address, are told at once."""
        data: dict[str, Any] = super().clean() or {}
        if "platform" in data and "signer_kind" in data:
            kinds = SIGNERS[Platform(data["platform"])]
            if data["signer_kind"] not in kinds:
                self.add_error("signer_kind", f"This venue has: {', '.join(WALLETS[kind] for kind in kinds)}.")
            elif data["signer_kind"] != SignerKind.EOA.value and not data.get("address"):
                self.add_error("address", "Give the smart account's own (deposit) address.")
        return data


class LimitsForm(forms.Form):
    """The second step: what it may do. Empty is no limit."""

    max_order = forms.DecimalField(
        required=False, min_value=0, max_digits=38, decimal_places=18, help_text="Shares. Empty: no limit."
    )
    max_position = forms.DecimalField(
        required=False, min_value=0, max_digits=38, decimal_places=18, help_text="Shares of one outcome."
    )
    max_notional_per_day = forms.DecimalField(
        required=False, min_value=0, max_digits=38, decimal_places=18, help_text="Price × size of a UTC day's orders."
    )
    notes = forms.CharField(required=False, max_length=2_000)


class KeysForm(forms.Form):
    """The last step: its secrets. They are sealed at once and cannot be read back."""

    private_key = forms.CharField(max_length=200, widget=secret_input(), help_text="64 hex digits. Sealed at once.")
    api_key = forms.CharField(
        max_length=2_000, required=False, widget=secret_input(), help_text="Only if the venue gave this account one."
    )
    proxy_url = forms.CharField(
        max_length=2_000, required=False, widget=secret_input(), label="Proxy",
        help_text="http:// or socks5://user:password@host:port. The account never speaks without it.",
    )  # fmt: skip


class StateForm(forms.Form):
    """A change of state of one account or many, with its reason."""

    state = forms.ChoiceField(choices=choices(TradingState))
    reason = forms.CharField(min_length=3, max_length=255)


class ImportForm(forms.Form):
    """The CSV file; its content is never shown again."""

    file = forms.FileField(label="CSV file", widget=forms.ClearableFileInput(attrs={"accept": ".csv,text/csv"}))
