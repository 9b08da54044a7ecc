"""The sandbox as an HTTP service: `python -m sandbox.daemon`, or `coderl sandbox serve`, which also grades.

app.py         the routes                          tokens.py      who may ask, and how much
 └ batches.py  a request's items: keys, cache,     requests.py    how bodies are read and faults told
   │           streaming, cancellation             metrics.py     what Prometheus sees
   └ schedule.py  priorities; keeps pools busy     server.py      sockets, signals, logs, drain
      └ sandbox.pool.pool
models.py      what crosses the wire; sandbox/job_json.py turns outcomes to JSON
"""
