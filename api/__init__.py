"""Who asks over HTTP. Translates requests into jobs and results into replies; imports of ours only `jobs`."""
