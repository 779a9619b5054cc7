"""Who may open a page: `identity.access`, under the name the top floor knows it by."""

from identity.access import is_fragment, page_for

__all__ = ["is_fragment", "page_for"]
