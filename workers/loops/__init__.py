"""The threads of a worker: each file is one loop, or what one loop does at one step."""
