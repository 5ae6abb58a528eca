"""The program of one API process, `python -m cli.api_process`: a queue, the app, and a server that stops well."""
