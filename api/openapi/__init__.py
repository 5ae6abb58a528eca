"""What is said of the API in /openapi.json: made from the routes and the types that they read and write."""
