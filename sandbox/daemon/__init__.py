"""The sandbox as an HTTP service: `coderl sandbox serve`, which adds grading (tasks/commands/service.py).

routes.py      the routes                          tokens.py      who may ask, and how much
 └ batches.py  a request's items: keys, cache,     guard.py       how bodies are read and faults told
   │           streaming, cancellation             metrics.py     what Prometheus sees
   └ schedule.py  priorities; keeps pools busy     server.py      sockets, signals, logs, drain
      └ sandbox.pool.pool
schema.py      what crosses the wire; sandbox/job_json.py turns outcomes to JSON
"""
