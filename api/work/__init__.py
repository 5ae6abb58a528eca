"""Getting work done for a caller: submitted, waited for or streamed, and given up when the caller leaves."""
