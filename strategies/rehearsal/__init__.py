"""A rehearsal: real fills on the paper venue through the product's own trade path, then venue, ledger and exposures
compared. Operators rehearse before they go live; `manage.py rehearse` is the way in. Paper mode only.
"""
