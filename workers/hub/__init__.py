"""The model hub: repositories are listed, chosen from, downloaded with resume, checked, and put into its cache."""
