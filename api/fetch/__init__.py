"""What callers name by address: fetched under guard, and looked at before a worker decodes it."""
