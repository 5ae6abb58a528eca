"""Results of jobs: how many bytes they may have, and how and where they are kept."""
