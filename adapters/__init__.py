"""All input and output: storage, settings, the clock. Vendors' clients and their errors end here."""
