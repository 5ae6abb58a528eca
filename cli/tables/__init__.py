"""Tables, sizes and times, as commands on models print them."""
