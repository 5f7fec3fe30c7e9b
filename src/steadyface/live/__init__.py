"""Live page: the browser takes the pictures, a server on the same machine tracks the faces in them."""
