"""The page on which an admin sets the paper venue's faults. It exists in paper mode only."""

from django import forms
from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.template.defaultfilters import pluralize
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from hedgerow.access import page_for
from identity.audit import record_audit
from identity.back_office import person_of
from identity.models import AuditEntry
from identity.roles import Role
from strategies.fault_rules import KINDS, describe_rule, parse_rule, write_rule
from strategies.paper_venue import PaperVenue, PaperVenueDown, PaperVenueRefused
from trading.errors import InvalidValue


class FaultsForm(forms.Form):
    """One rule a line; none at all makes the venue behave."""

    rules = forms.CharField(
        required=False,
        label="Rules, one a line",
        widget=forms.Textarea(attrs={"rows": 8, "spellcheck": "false", "autocomplete": "off"}),
    )

    def clean_rules(self) -> list[dict[str, object]]:
        try:
            return [parse_rule(line) for line in self.cleaned_data["rules"].splitlines() if line.strip()]
        except InvalidValue as error:
            raise forms.ValidationError(str(error)) from error


@never_cache
@require_http_methods(["GET", "POST"])
@page_for(Role.ADMIN)
def show_faults(request: HttpRequest) -> HttpResponse:
    """The rules in force; on POST, these instead."""
    if settings.LIVE:
        raise Http404
    venue = PaperVenue(settings.PREDICT_API_URL)
    try:
        standing = venue.load_faults()
        form = FaultsForm(request.POST or None, initial={"rules": "\n".join(map(write_rule, standing))})
        if request.method == "POST" and form.is_valid():
            standing = venue.set_faults(form.cleaned_data["rules"])
            record_audit(
                "venue.faults_set",
                user=person_of(request),
                after={"rules": [write_rule(rule) for rule in standing]},
                source=AuditEntry.Source.PAGE.value,
            )
            stand = f"{len(standing)} fault rule{pluralize(len(standing), ' stands,s stand')}."
            messages.success(request, stand if standing else "The venue behaves.")
            return redirect("faults")
    except (PaperVenueDown, PaperVenueRefused) as error:
        return render(request, "hedgerow/faults.html", {"down": str(error)}, status=503)
    context = {"form": form, "standing": [describe_rule(rule) for rule in standing], "kinds": KINDS.items()}
    return render(request, "hedgerow/faults.html", context)
