"""What every process of ours needs: its log, its terminal, an end with its parent, tasks that end."""
