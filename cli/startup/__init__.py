"""What is checked before anything is started, and what the user is told once all of it runs."""
