"""A fake tracer; the fake app sends the spans itself."""
