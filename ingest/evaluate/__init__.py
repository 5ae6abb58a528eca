"""How good a search is: sets of queries whose pages are known, and measures of what was found for them."""
