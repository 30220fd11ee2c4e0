"""A site with nothing but dj-stripe's webhook endpoint, for an environment of its own."""
