"""One file per task: how a model turns prepared items into outcomes."""
