"""What vision-language models read: images cut into patches or tiles, and where their tokens are."""
