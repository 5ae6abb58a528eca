"""The collections as tools of the Model Context Protocol, for desktop assistants and coding agents."""
