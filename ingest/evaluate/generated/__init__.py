"""A document made up for measuring: facts that no model knows, in prose, tables, charts and on turned pages."""
