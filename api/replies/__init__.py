"""What goes back to a caller, in forms that several dialects share."""
