"""One folder per HTTP dialect. It only translates: its request into a job, the job's result into its reply."""
