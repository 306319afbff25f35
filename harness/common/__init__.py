"""What every layer may use: files, addresses, redaction, seeds, formats. Imports nothing of the other packages."""
