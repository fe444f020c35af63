"""A counter in a dict, as in many a small web service: one worker process, so that there is one dict."""

import threading

state = {"n": 0}
lock = threading.Lock()


def application(environ, start_response):
    with lock:
        state["n"] += 1
        body = b"%d\n" % state["n"]
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
