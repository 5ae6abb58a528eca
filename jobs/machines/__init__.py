"""The machines that models lie on: what is known of their models, and what they are told to do with them."""
