"""The console: pages for people, made on the server. One layout, one navigation; a folder for each part."""
