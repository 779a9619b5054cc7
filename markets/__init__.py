"""Markets of the venues: what trading needs to know of each, kept in step with the venue."""
