"""What callers name by address: fetched under guard, and checked before a worker decodes it."""
