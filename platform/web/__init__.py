"""What every part of the REST API is made of: problems, pages, exact amounts, validators, throttling, request ids."""
