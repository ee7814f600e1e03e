"""Failing pages of web frameworks: their answers as one error."""

import carrier

# Error pages of frameworks are long, and begin with what matters.
LONGEST = 200


def raise_answers(request, *paths):
    """Request the paths by `request(path)`; raise IOError with their statuses and bodies.

    If the framework lets an exception through, its type and message take the place of the answer.
    """
    answers = []
    for path in paths:
        try:
            status, body = request(path)
        except Exception as error:
            answers.append("%s: %s" % (type(error).__name__, error))
        else:
            answers.append("status %d: %s" % (status, body[:LONGEST].strip()))
    raise IOError(", then ".join(answers))


def raise_wsgi_answers(application, *paths):
    """Request the paths of a WSGI application, and raise its answers."""
    raise_answers(lambda path: carrier.call_wsgi(application, path), *paths)


def raise_asgi_answers(application, *paths):
    """Request the paths of an ASGI application, and raise its answers."""
    headers = carrier.trace_headers()
    raise_answers(lambda path: carrier.call_asgi(application, path, headers), *paths)


def raise_server_answers(port, *paths):
    """Request the paths from a server of this machine, and raise its answers."""
    headers = carrier.trace_headers()
    raise_answers(lambda path: carrier.get(port, path, headers), *paths)
