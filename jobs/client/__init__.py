"""The client side of the queue, in asyncio: submit, wait, follow a stream, inspect."""
