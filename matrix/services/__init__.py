"""Back ends: servers that a cell needs beside the app."""
