"""The benchmark: how one run goes, from top to bottom.

    cli -> session: for each round, for each scenario, for each target
                       arena: start upstream, target (targets, portcullis), issuer
                       scenarios: what is asked       load: wrk, and what it says
                       machine: CPU, memory, noise    http1: single requests, idle connections
           verification: before any of that, what a target lets through (cases)
        -> results (JSON) -> statistics -> goals -> report (Markdown), chart (SVG)

Only `session` and below start processes; from `results` on everything is a pure function of the JSON.
"""
